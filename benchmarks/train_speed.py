"""How fast a training step is: textgen, stock Keras, and torch.nn.LSTM beside them.

    python benchmarks/train_speed.py --torch-python /path/to/a/python/with/torch

A step is forward, loss, backward, global-norm clip at 1 and Adam; targets every, one-hot input of
65 characters, dropout 0. Each candidate is a process of its own that sleeps while another is
measured; they take turns for several rounds, so a busy machine disturbs all alike. The table gives
the best and the median time of each, characters a second by the best, the ratio to torch by best
and by median, and the share of the machine's own rate in a float32 product of two 2048 x 2048
matrices (by TensorFlow, best of the same rounds); "textgen, bfloat16" has the layers' products in
bfloat16, and its share is of the float32 rate too. Counted for that share are 6 operations for each
weight of the recurrent kernels, of the input kernels above the first layer and of the logits, for
each character. The one-hot input counts nothing: rows of the kernel can be gathered.

On a busy machine wall-clock times of programs with several threads say little. `--one-core` gives
each candidate one core and measures its processor time; halve the batch of a shape to see what
one of two cores does.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

SHAPES = ("2x128,64,64", "2x256,100,32", "3x256,100,64", "1x512,64,32")
VOCABULARY = 65
PRODUCT = 2048
PRODUCTS = ("matrix product, float32", "matrix product, bfloat16")
Shape = tuple[int, int, int, int]  # layers, units, window, batch


def parse_shape(text: str) -> Shape:
    """`2x128,64,64`: layers x units, window, batch."""
    stack, window, batch = text.split(",")
    layers, units = stack.split("x")
    return int(layers), int(units), int(window), int(batch)


def operations(shape: Shape) -> int:
    """Floating-point operations that the matrix products of one step need."""
    layers, units, window, batch = shape
    weights = layers * units * 4 * units + (layers - 1) * units * 4 * units + units * VOCABULARY
    return 6 * weights * window * batch


def textgen_step(shape: Shape, precision: str) -> Callable[[], object]:
    """The step of `textgen train`."""
    import numpy as np

    from textgen.config import ModelConfig, TrainConfig
    from textgen.text.batches import Batch
    from textgen.training.learner import Learner

    layers, units, window, batch = shape
    config = ModelConfig(units=(units,) * layers, dropout=0.0, seq_length=window)
    learner = Learner(config, TrainConfig(batch_size=batch, precision=precision), VOCABULARY)
    ids = np.random.default_rng(0).integers(0, VOCABULARY, (batch, window + 1)).astype(np.int32)
    data = Batch(ids[:, :-1], ids[:, 1:], np.zeros(batch, dtype=bool))
    return lambda: learner.step(0, data, 0.001)


def keras_step(shape: Shape, compiled: bool) -> Callable[[], object]:
    """`train_on_batch` of stock layers."""
    import keras
    import numpy as np

    layers, units, window, batch = shape
    inputs = keras.Input((window,), batch_size=batch, dtype="int32")
    outputs = keras.ops.one_hot(inputs, VOCABULARY)
    for _ in range(layers):
        outputs = keras.layers.LSTM(units, return_sequences=True)(outputs)
    model = keras.Model(inputs, keras.layers.Dense(VOCABULARY)(outputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(global_clipnorm=1.0), loss, jit_compile=compiled)
    ids = np.random.default_rng(0).integers(0, VOCABULARY, (batch, window + 1)).astype(np.int32)
    return lambda: model.train_on_batch(ids[:, :-1], ids[:, 1:])


def torch_step(shape: Shape) -> Callable[[], object]:
    """torch.nn.LSTM and a linear layer, with one-hot input as its users write it."""
    import torch
    from torch.nn import functional

    layers, units, window, batch = shape
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    lstm = torch.nn.LSTM(VOCABULARY, units, layers, batch_first=True)
    dense = torch.nn.Linear(units, VOCABULARY)
    parameters = [p for module in (lstm, dense) for p in module.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.001, fused=True)
    ids = torch.randint(0, VOCABULARY, (batch, window + 1))

    def step() -> float:
        inputs, targets = ids[:, :-1], ids[:, 1:]
        logits = dense(lstm(functional.one_hot(inputs, VOCABULARY).float())[0])
        loss = functional.cross_entropy(logits.reshape(-1, VOCABULARY), targets.reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss.item()

    return step


def product(dtype: str) -> Callable[[], object]:
    """One product of two large square matrices."""
    import tensorflow as tf

    matrix = tf.cast(tf.random.uniform((PRODUCT, PRODUCT)), dtype)

    def step() -> float:
        return float((matrix @ matrix)[0, 0])

    return step


CANDIDATES: dict[str, Callable[[Shape], Callable[[], object]]] = {
    "textgen": lambda shape: textgen_step(shape, "float32"),
    "textgen, bfloat16": lambda shape: textgen_step(shape, "mixed_bfloat16"),
    "stock Keras": lambda shape: keras_step(shape, compiled=False),
    "stock Keras, XLA": lambda shape: keras_step(shape, compiled=True),
    "torch": torch_step,
    PRODUCTS[0]: lambda _: product("float32"),
    PRODUCTS[1]: lambda _: product("bfloat16"),
}


def work(name: str, shape: Shape, one_core: bool) -> None:
    """A candidate's process: for each number on stdin, time steps for so many seconds."""
    if one_core:
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    clock = time.process_time if one_core else time.perf_counter
    step = CANDIDATES[name](shape)
    begun = time.perf_counter()
    step()
    print(json.dumps([time.perf_counter() - begun]), flush=True)
    step()
    for line in sys.stdin:
        times, end = [], time.perf_counter() + float(line)
        while time.perf_counter() < end or not times:
            begun = clock()
            step()
            times.append(clock() - begun)
        print(json.dumps(times), flush=True)


class Candidate:
    """A candidate's process and the times it has sent."""

    def __init__(self, name: str, shape: str, python: str, one_core: bool):
        self.name = name
        self.times: list[float] = []
        self.process = subprocess.Popen(
            [python, __file__, "--work", name, "--shapes", shape, *["--one-core"] * one_core],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        [self.first] = self.answer()

    def answer(self) -> list[float]:
        """The next line of times, in seconds."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with status {self.process.wait()}.")
        return json.loads(line)

    def measure(self, seconds: float) -> None:
        """Run for so many seconds, and at least one step."""
        assert self.process.stdin
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        self.times += self.answer()

    def stop(self) -> None:
        """End the process."""
        self.process.communicate()


def measure(shape: str, options: argparse.Namespace) -> None:
    """Measure one shape and print its rows of the table."""
    pythons = dict.fromkeys(CANDIDATES, sys.executable) | {"torch": options.torch_python}
    candidates = {
        name: Candidate(name, shape, python, options.one_core)
        for name, python in pythons.items()
        if python
    }
    for _ in range(options.rounds):
        for candidate in candidates.values():
            candidate.measure(options.seconds)
    for candidate in candidates.values():
        candidate.stop()
    rates = [2 * PRODUCT**3 / min(candidates.pop(name).times) for name in PRODUCTS]
    print(f"\n{shape}: matrix product {rates[0] / 1e9:.0f} GFLOP/s", end="")
    print(f" in float32, {rates[1] / 1e9:.0f} in bfloat16")
    print_rows(parse_shape(shape), candidates, rates[0])


def print_rows(shape: Shape, candidates: dict[str, Candidate], rate: float) -> None:
    """One row a candidate."""
    _, _, window, batch = shape
    print(f"{'':18}{'first s':>8}{'best ms':>9}{'median ms':>11}{'chars/s':>9}", end="")
    print(f"{'% of rate':>11}{'x torch, best':>15}{'median':>8}")
    torch = candidates.get("torch")
    for candidate in candidates.values():
        best, median = min(candidate.times), statistics.median(candidate.times)
        row = f"{candidate.name:18}{candidate.first:8.1f}{best * 1e3:9.1f}{median * 1e3:11.1f}"
        row += f"{window * batch / best:9.0f}{100 * operations(shape) / best / rate:11.0f}"
        if torch:
            ratios = min(torch.times) / best, statistics.median(torch.times) / median
            row += f"{ratios[0]:15.2f}{ratios[1]:8.2f}"
        print(row, flush=True)


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="LxU,WINDOW,BATCH")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each candidate")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    parser.add_argument("--torch-python", help="a Python that has torch; without it, no torch")
    parser.add_argument("--one-core", action="store_true", help="processor time on one core")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, parse_shape(options.shapes[0]), options.one_core)
        return
    for shape in options.shapes:
        measure(shape, options)


if __name__ == "__main__":
    main()
