"""The NumPy network against stock Keras layers, and its own invariants."""

import numpy as np
import pytest

from textgen.config import CELLS, ModelConfig
from textgen.generation.network import Network

VOCABULARY_SIZE = 11


def random_weights(config: ModelConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights like a trained model's in size; biases are not zero.

    Much larger ones make the simple recurrence chaotic, and rounding grows with every step.
    """
    rng = np.random.default_rng(seed)
    shapes = config.weight_shapes(VOCABULARY_SIZE)
    return {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def random_ids(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, VOCABULARY_SIZE, shape)


def keras_logits(
    config: ModelConfig, weights: dict[str, np.ndarray], ids: np.ndarray
) -> np.ndarray:
    """Logits of a stack of stock Keras layers that holds the same weights."""
    import keras

    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
    inputs = keras.Input((ids.shape[1],), dtype="int32")
    x = keras.ops.one_hot(inputs, VOCABULARY_SIZE)
    for k, units in enumerate(config.units):
        sequences = config.targets == "every" or k + 1 < config.num_layers
        x = layer[config.cell](units, return_sequences=sequences)(x)
    model = keras.Model(inputs, keras.layers.Dense(VOCABULARY_SIZE)(x))
    model.set_weights(list(weights.values()))
    return keras.ops.convert_to_numpy(model(ids))


@pytest.mark.parametrize("units", [(16,), (16, 24), (24, 8, 16)])
@pytest.mark.parametrize("targets", ["every", "last"])
@pytest.mark.parametrize("cell", CELLS)
def test_logits_equal_stock_keras(cell: str, targets: str, units: tuple[int, ...]) -> None:
    config = ModelConfig(cell=cell, units=units, targets=targets)
    weights = random_weights(config)
    ids = random_ids(3, 20)

    network = Network(config, weights)
    logits = network.run(ids, network.zero_state(3))

    if targets == "last":
        logits = logits[:, -1]
    np.testing.assert_allclose(logits, keras_logits(config, weights, ids), rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_steps_equal_one_run(cell: str, batch: int) -> None:
    config = ModelConfig(cell=cell, units=(16, 24))
    network = Network(config, random_weights(config))
    ids = random_ids(batch, 30)
    walked, ran = network.zero_state(batch), network.zero_state(batch)

    steps = np.stack([network.step(column, walked).copy() for column in ids.T], axis=1)

    np.testing.assert_allclose(steps, network.run(ids, ran), rtol=0, atol=1e-5)
    for layer_walked, layer_ran in zip(walked, ran, strict=True):
        for part_walked, part_ran in zip(layer_walked, layer_ran, strict=True):
            np.testing.assert_allclose(part_walked, part_ran, rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_long_run_equals_its_parts(batch: int) -> None:
    config = ModelConfig(cell="lstm", units=(8, 8))
    network = Network(config, random_weights(config))
    ids = random_ids(batch, 2500)
    state = network.zero_state(batch)

    parts = [network.run(part, state) for part in np.split(ids, [1, 7, 1300], axis=1)]

    whole = network.run(ids, network.zero_state(batch))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("cell", "parts"), [("lstm", 2), ("gru", 1), ("rnn", 1)])
def test_state_is_a_list_of_arrays_per_layer_that_can_be_written(cell: str, parts: int) -> None:
    config = ModelConfig(cell=cell, units=(8, 12))
    network = Network(config, random_weights(config))
    ids = random_ids(2, 9)
    state, copy = network.zero_state(2), network.zero_state(2)
    network.run(ids, state)

    assert [[part.shape for part in layer] for layer in state] == [
        [(2, 8)] * parts,
        [(2, 12)] * parts,
    ]
    for source, target in zip(state, copy, strict=True):
        for part, place in zip(source, target, strict=True):
            assert part.any()
            place[:] = part
    np.testing.assert_array_equal(network.step(ids[:, 0], state), network.step(ids[:, 0], copy))


def test_one_unit_lstm_by_hand() -> None:
    """Constant weights, one unit: the numbers follow from the definition of the cell."""
    config = ModelConfig(cell="lstm", units=(1,))
    weights = {
        "layer_0/kernel": np.array([[0.1, 0.2, 0.3, 0.4], [-1.0, 1.0, 2.0, 0.5]]),
        "layer_0/recurrent_kernel": np.array([[0.5, -0.5, 1.0, 0.25]]),
        "layer_0/bias": np.array([0.0, 1.0, 0.0, 0.0]),
        "logits/kernel": np.array([[2.0, -3.0]]),
        "logits/bias": np.array([0.25, 0.5]),
    }

    def sigmoid(x: float) -> float:
        return 1 / (1 + np.exp(-x))

    c1 = sigmoid(-1.0) * np.tanh(2.0)
    h1 = sigmoid(0.5) * np.tanh(c1)
    c2 = sigmoid(1.2 - 0.5 * h1) * c1 + sigmoid(0.1 + 0.5 * h1) * np.tanh(0.3 + h1)
    h2 = sigmoid(0.4 + 0.25 * h1) * np.tanh(c2)

    network = Network(config, weights)
    state = network.zero_state(1)
    network.step(np.array([1]), state)
    logits = network.step(np.array([0]), state)

    np.testing.assert_allclose(logits, [[2 * h2 + 0.25, -3 * h2 + 0.5]], rtol=1e-6)
    np.testing.assert_allclose([state[0][0], state[0][1]], [[[h2]], [[c2]]], rtol=1e-6)


def test_extreme_weights_give_finite_logits() -> None:
    config = ModelConfig(cell="lstm", units=(8,))
    weights = {name: w * 1e4 for name, w in random_weights(config).items()}
    network = Network(config, weights)

    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(network.run(random_ids(2, 50), network.zero_state(2))).all()
