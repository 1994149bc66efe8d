"""The default recipe: a model and a schedule that fit the corpus and the time."""

import time

import numpy as np

from textgen.config import ModelConfig, Preset, TrainConfig

# Where --optimizer is given without --learning-rate; Keras's defaults, but for SGD.
LEARNING_RATES = {
    "adam": 0.001,
    "adamw": 0.001,
    "nadam": 0.001,
    "rmsprop": 0.001,
    "adagrad": 0.01,
    "sgd": 0.1,
}


def matrix_rate(seconds: float = 0.2) -> float:
    """Floating-point operations a second that this machine does in a matrix product."""
    size = 1024
    matrix = np.ones((size, size), dtype=np.float32)
    product = matrix @ matrix
    times: list[float] = []
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds or not times:
        start = time.perf_counter()
        np.matmul(matrix, matrix, out=product)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)


def fit(characters: int, minutes: float | None) -> tuple[Preset, str]:
    """Choose a model and a schedule.

    Args:
        characters: length of the text.
        minutes: wall-clock budget, or None.

    Returns:
        The preset, and one line that says what was chosen and why.
    """
    batch_size = 8 if characters < 60_000 else 16 if characters < 250_000 else 32
    epochs = int(min(30, max(1, 20e6 / characters)))
    model = ModelConfig(units=(256, 256), dropout=0.2, seq_length=64)
    train = TrainConfig(
        batch_size=batch_size,
        epochs=None if minutes else epochs,
        minutes=minutes,
        learning_rate=0.005,
        patience=None if minutes else 5,
    )
    return Preset(model, train), f"{len(model.units)} x {model.units[0]} units"
