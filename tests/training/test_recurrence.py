"""Our recurrent layers against stock Keras: outputs, states, gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from textgen.training import recurrence

CELLS = {
    "lstm": (recurrence.LSTM, keras.layers.LSTM),
    "gru": (recurrence.GRU, keras.layers.GRU),
    "rnn": (recurrence.SimpleRNN, keras.layers.SimpleRNN),
}
STATES = {"lstm": 2, "gru": 1, "rnn": 1}


def random(seed: int, *shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def same_weights(cell: str, units: int, features: int, **options: object) -> tuple:
    """Our layer and Keras's with the same weights, none of them zero.

    Larger weights would make the simple recurrence chaotic: rounding grows with every step.
    """
    ours, stock = (kind(units, **options) for kind in CELLS[cell])
    for layer in (ours, stock):
        layer.build((3 if layer.stateful else None, None, features))
    rng = np.random.default_rng(units)
    weights = [
        rng.normal(scale=0.7 / np.sqrt(w.shape[0]), size=w.shape).astype(np.float32)
        for w in stock.trainable_weights
    ]
    ours.set_weights(weights)
    stock.set_weights(weights)
    return ours, stock


def run(layers: list, inputs: tf.Tensor, states: list, compiled: bool) -> tuple[list, list]:
    """All outputs and states of a stack, and gradients of weights, inputs and states."""
    weights = [weight.value for layer in layers for weight in layer.trainable_weights]

    def outputs_and_gradients(inputs: tf.Tensor, states: list) -> tuple[list, list]:
        with tf.GradientTape() as tape:
            tape.watch([inputs, states])
            outputs, after = inputs, []
            for layer, before in zip(layers, states, strict=True):
                outputs, *state = layer(outputs, initial_state=before)
                after += state
            # Not a plain sum: each element must have a gradient of its own.
            loss = tf.add_n([tf.reduce_sum(tf.sin(3 * value)) for value in (outputs, *after)])
        gradients = tape.gradient(loss, [*weights, inputs, *tf.nest.flatten(states)])
        return [outputs, *after], gradients

    return tf.function(outputs_and_gradients, jit_compile=compiled, autograph=False)(inputs, states)


def assert_same(ours: list, stock: list) -> None:
    """Equal to float32 rounding, by the largest element of each tensor."""
    assert len(ours) == len(stock)
    for one, other in zip(ours, stock, strict=True):
        assert one.shape == other.shape
        size = np.abs(other).max()
        np.testing.assert_allclose(one, other, rtol=0, atol=4e-6 * max(size, 1e-3))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize(
    ("units", "batch", "time", "features", "depth"),
    [(1, 1, 1, 1, 1), (17, 3, 9, 5, 3), (48, 8, 40, 65, 1)],
)
def test_stacks_equal_stock_keras(
    cell: str, units: int, batch: int, time: int, features: int, depth: int
) -> None:
    options = {"return_sequences": True, "return_state": True}
    sizes = [features, *[units] * (depth - 1)]
    pairs = [same_weights(cell, units, size, **options) for size in sizes]
    inputs = random(1, batch, time, features)
    states = [
        [random(10 * layer + kind, batch, units) for kind in range(STATES[cell])]
        for layer in range(depth)
    ]
    ours, stock = ([pair[which] for pair in pairs] for which in range(2))
    outputs, gradients = run(ours, inputs, states, compiled=True)
    stock_outputs, stock_gradients = run(stock, inputs, states, compiled=False)
    assert_same(outputs, stock_outputs)
    assert_same(gradients, stock_gradients)


@pytest.mark.parametrize("compiled", [False, True], ids=["loops compiled", "all compiled"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_products_in_bfloat16(cell: str, compiled: bool) -> None:
    """They give what float32 gives to two digits, for a stack and its gradients."""
    options = {"return_sequences": True, "return_state": True}
    stacks = []
    for dtype in ("mixed_bfloat16", "float32"):
        pairs = [same_weights(cell, 32, size, dtype=dtype, **options) for size in (65, 32)]
        assert all(ours.served() for ours, _ in pairs)
        stacks.append([ours for ours, _ in pairs])
    inputs = random(1, 8, 20, 65)
    states = [[random(10 * n + k, 8, 32) for k in range(STATES[cell])] for n in range(2)]
    (low, low_gradients), (full, full_gradients) = (
        run(stack, inputs, states, compiled) for stack in stacks
    )
    for one, other in zip([*low, *low_gradients], [*full, *full_gradients], strict=True):
        error = np.abs(tf.cast(one, tf.float32) - other).max() / np.abs(other).max()
        assert 0 < error < 0.02


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gradients_are_the_same_outside_a_compiled_function(cell: str) -> None:
    options = {"return_sequences": True, "return_state": True}
    ours, stock = same_weights(cell, 12, 7, **options)
    inputs, states = random(1, 4, 6, 7), [[random(k, 4, 12) for k in range(STATES[cell])]]
    outputs, gradients = run([ours], inputs, states, compiled=False)
    stock_outputs, stock_gradients = run([stock], inputs, states, compiled=False)
    assert_same(outputs, stock_outputs)
    assert_same(gradients, stock_gradients)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_ids_equal_one_hot_rows(cell: str) -> None:
    ours, stock = same_weights(cell, 24, 11, return_sequences=True, return_state=True)
    # 11, one past the last, is a row of zeros.
    ids = tf.constant(np.random.default_rng(3).integers(0, 12, (5, 13)), tf.int32)
    states = [random(k, 5, 24) for k in range(STATES[cell])]

    def loss(outputs: tf.Tensor, after: list) -> tf.Tensor:
        return tf.reduce_sum(tf.sin(outputs)) + tf.add_n([tf.reduce_sum(s * s) for s in after])

    @tf.function(jit_compile=True, autograph=False)
    def from_ids() -> tuple:
        with tf.GradientTape() as tape:
            outputs, *after = ours.window(ids, states)
            total = loss(outputs, after)
        return [outputs, *after], tape.gradient(total, ours.trainable_weights)

    with tf.GradientTape() as tape:
        expected, *after = stock(tf.one_hot(ids, 11), initial_state=states)
        total = loss(expected, after)
    outputs, gradients = from_ids()
    assert_same(outputs, [expected, *after])
    assert_same(gradients, tape.gradient(total, stock.trainable_weights))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_state": True},
        {"return_sequences": True},
        {"go_backwards": True, "return_sequences": True, "return_state": True},
        {"stateful": True},
        {"unroll": True, "return_sequences": True},
        {"use_bias": False},
        {"activation": "relu", "return_state": True},
    ],
    ids=str,
)
def test_every_option_gives_what_keras_gives(cell: str, options: dict) -> None:
    ours, stock = same_weights(cell, 6, 4, **options)
    inputs = random(2, 3, 8, 4)
    for _ in range(2):  # a stateful layer continues from the first call
        results = [layer(inputs) for layer in (ours, stock)]
        assert_same(*(tf.nest.flatten(result) for result in results))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_configuration_and_weight_names_are_those_of_keras(cell: str) -> None:
    ours, stock = same_weights(cell, 5, 3)
    assert ours.get_config() == {**stock.get_config(), "name": ours.name}
    assert [w.path.split("/")[-1] for w in ours.weights] == [
        w.path.split("/")[-1] for w in stock.weights
    ]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_masks_are_refused(cell: str) -> None:
    ours, _ = same_weights(cell, 6, 4)
    with pytest.raises(ValueError, match="take no mask"):
        ours(random(2, 3, 8, 4), mask=tf.ones((3, 8), tf.bool))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_functional_model_of_any_length_trains(cell: str) -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None,), dtype="int32")
    outputs = CELLS[cell][0](8, return_sequences=True)(keras.ops.one_hot(inputs, 5))
    model = keras.Model(inputs, keras.layers.Dense(5)(outputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    ids = np.tile(np.arange(5, dtype=np.int32), (6, 3))
    before = model.evaluate(ids[:, :7], ids[:, 1:8], verbose=0)
    model.fit(ids[:, :-1], ids[:, 1:], epochs=20, verbose=0)
    assert model.evaluate(ids[:, :7], ids[:, 1:8], verbose=0) < before - 0.1
