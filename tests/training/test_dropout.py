"""Dropout masks: the right share, no pattern, the same however the batch is divided."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from textgen.config import ModelConfig, TrainConfig
from textgen.text.batches import Streams
from textgen.training.dropout import dropout_mask
from textgen.training.learner import Learner

SHAPE = (16, 50, 64)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.9])
def test_share_of_zeros_and_mean(rate: float) -> None:
    mask = dropout_mask(SHAPE, rate, 1, 2, 0, 0).numpy()
    elements = mask.size
    assert abs(np.mean(mask == 0) - rate) < 5 * np.sqrt(rate * (1 - rate) / elements)
    assert np.allclose(np.unique(mask), [0, 1 / (1 - rate)])


def test_rows_are_the_same_however_the_batch_is_divided() -> None:
    whole = dropout_mask(SHAPE, 0.3, 5, 7, 1, 0).numpy()
    compiled = tf.function(dropout_mask, jit_compile=True)
    second = compiled((6, 50, 64), 0.3, 5, tf.constant(7, tf.int64), 1, tf.constant(10))
    np.testing.assert_array_equal(second, whole[10:])


@pytest.mark.parametrize("changed", [(2**40, 7, 1, 0), (5, 8, 1, 0), (5, 7, 2, 0), (5, 7, 1, 16)])
def test_seed_step_layer_and_row_each_change_the_mask(changed: tuple) -> None:
    one = dropout_mask(SHAPE, 0.5, 5, 7, 1, 0).numpy() > 0
    other = dropout_mask(SHAPE, 0.5, *changed).numpy() > 0
    assert abs(np.mean(one == other) - 0.5) < 0.02


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbours_are_independent(axis: int) -> None:
    kept = dropout_mask(SHAPE, 0.5, 3, 1, 0, 0).numpy() > 0
    same = kept == np.roll(kept, 1, axis)
    assert abs(same.mean() - 0.5) < 0.02


def test_hidden_characters_are_not_read() -> None:
    """Of the input kernel only the rows of characters that were read learn in a step."""
    train = TrainConfig(batch_size=16, input_dropout=0.5, optimizer="sgd", learning_rate=1.0)
    learner = Learner(ModelConfig(units=(12,), dropout=0.0, seq_length=20), train, 250)
    ids = np.random.default_rng(0).integers(0, 250, 4000).astype(np.uint8)
    batches = Streams(ids, 16, 20, 0)
    for step in range(3):
        before, batch = learner.weights()[0], batches.batch(step)
        learner.step(step, batch, 1.0)
        changed = np.flatnonzero((before != learner.weights()[0]).any(1))
        read = batch.inputs[dropout_mask((16, 20), 0.5, train.seed, step, 2).numpy() > 0]
        assert len(np.unique(read)) < len(np.unique(batch.inputs))
        np.testing.assert_array_equal(changed, np.unique(read))


def test_the_input_kernel_makes_up_for_hidden_characters() -> None:
    """The loss is that of the input kernel scaled up and a row of zeros for each hidden one."""
    config = ModelConfig(units=(12, 9), dropout=0.0, seq_length=20)
    learner, plain = (
        Learner(config, TrainConfig(batch_size=16, input_dropout=rate), 30) for rate in (0.5, 0.0)
    )
    ids = np.random.default_rng(0).integers(0, 30, 4000).astype(np.uint8)
    batch = Streams(ids, 16, 20, 0).batch(0)
    arrays = learner.arrays()
    plain.restore(arrays | {"weights/0": arrays["weights/0"] * 2})
    hidden = dropout_mask((16, 20), 0.5, 0, 0, 4).numpy() == 0
    shown = dataclasses.replace(batch, inputs=np.where(hidden, np.int32(30), batch.inputs))
    assert learner.step(0, batch, 0.01) == pytest.approx(plain.step(0, shown, 0.01), rel=1e-6)


def test_dropped_recurrent_weights_rest_for_a_step() -> None:
    """Each step zeroes its own recurrent weights; these learn nothing in it."""
    train = TrainConfig(batch_size=16, weight_dropout=0.5, optimizer="sgd", learning_rate=1.0)
    learner = Learner(ModelConfig(units=(12,), dropout=0.0, seq_length=20), train, 30)
    ids = np.random.default_rng(0).integers(0, 30, 4000).astype(np.uint8)
    batches = Streams(ids, 16, 20, 0)
    for step in range(3):
        before = learner.weights()[1]
        learner.step(step, batches.batch(step), 1.0)
        mask = dropout_mask(before.shape, 0.5, train.seed, step, 1).numpy()
        np.testing.assert_array_equal(before != learner.weights()[1], mask > 0)
