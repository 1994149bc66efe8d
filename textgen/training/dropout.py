"""Dropout whose masks are pure functions: equal on any number of devices, after any resume."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from textgen.config import TrainConfig
from textgen.training.core_parts import compiled
from textgen.training.model import StackedModel

# Odd constants of the 32-bit finaliser "lowbias32" (Wellons 2018, hash prospector).
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B
_GOLDEN = 0x9E3779B9  # 2**32 / golden ratio: spreads consecutive counters


def _mix(bits: tf.Tensor) -> tf.Tensor:
    """A 32-bit hash of each uint32: every input bit flips each output bit about half the time."""
    bits = (bits ^ tf.bitwise.right_shift(bits, tf.constant(16, tf.uint32))) * _FIRST
    bits = (bits ^ tf.bitwise.right_shift(bits, tf.constant(15, tf.uint32))) * _SECOND
    return bits ^ tf.bitwise.right_shift(bits, tf.constant(16, tf.uint32))


def _low_bits(value: int | tf.Tensor) -> tf.Tensor:
    """The low 32 bits of an integer."""
    if isinstance(value, int):
        return tf.constant(value % 2**32, tf.uint32)
    return tf.cast(value, tf.uint32)


def _count(number: int) -> tf.Tensor:
    """0, 1, ... number - 1 as uint32."""
    return tf.cast(tf.range(number), tf.uint32)


def dropout_mask(
    shape: tuple[int, ...],
    rate: float,
    seed: int,
    step: int | tf.Tensor,
    place: int,
    first_row: int | tf.Tensor = 0,
) -> tf.Tensor:
    """The factors of one tensor: 0 with probability `rate`, else 1 / (1 - rate).

    A function of its arguments only: row r of a batch has the same factors however the batch is
    divided. Each element hashes its own counter, so XLA makes the mask where it is used.

    Args:
        shape: of the tensor; its first axis are the rows.
        rate: the probability of zero, 0 to below 1.
        seed: of the run; its low 64 bits count.
        step: number of the training step.
        place: number of the tensor among those that have a mask in a step.
        first_row: number of the first row in the global batch.

    Returns:
        The mask, `shape` float32.
    """
    batch, *others = shape
    key = tf.zeros([], tf.uint32)
    for value in (seed, seed >> 32, step, place):
        key = _mix(key * _GOLDEN + _low_bits(value))
    rows = _mix(key * _GOLDEN + _low_bits(first_row) + _count(batch))
    counters = _count(math.prod(others)) * _GOLDEN
    bits = _mix(rows[:, None] ^ _mix(counters)[None])
    kept = bits >= tf.constant(min(round(rate * 2**32), 2**32 - 1), tf.uint32)
    return tf.reshape(tf.cast(kept, tf.float32) / (1 - rate), shape)


class Dropout:
    """What a training step drops: outputs of the layers, characters read, recurrent weights.

    Places of the masks: of n layers, 0 to n - 1 for the outputs, then as many for the recurrent
    weights, then one for the characters.

    Args:
        model: the model in training.
        train: the run.
    """

    def __init__(self, model: StackedModel, train: TrainConfig):
        self._model, self._train = model, train
        self._mask = compiled(dropout_mask)

    def outputs(
        self, number: tf.Tensor, first_row: tf.Tensor
    ) -> Callable[[int, tf.Tensor], tf.Tensor] | None:
        """The dropout of a layer's outputs (batch, time, units) in a step; None if there is none.

        Args:
            number: of the step.
            first_row: number of the first row in the global batch.
        """
        rate, seed = self._model.config.dropout, self._train.seed
        if not rate:
            return None

        def drop(layer: int, outputs: tf.Tensor) -> tf.Tensor:
            mask = self._mask(tuple(outputs.shape), rate, seed, number, layer, first_row)
            return outputs * tf.cast(mask, outputs.dtype)

        return drop

    def hide(self, inputs: tf.Tensor, number: tf.Tensor, first_row: tf.Tensor) -> tf.Tensor:
        """The ids, some of them one past the vocabulary: the network sees no character there."""
        rate, seed = self._train.input_dropout, self._train.seed
        if not rate:
            return inputs
        place = 2 * len(self._model.recurrent)
        seen = self._mask(tuple(inputs.shape), rate, seed, number, place, first_row) > 0
        return tf.where(seen, inputs, self._model.vocabulary_size)

    def weights(self, number: tf.Tensor) -> list[tuple[keras.Variable, tf.Tensor]]:
        """What stands for some weights in a step.

        The input kernel makes up for the hidden characters; some recurrent weights are zero.
        """
        cells = [layer.cell for layer in self._model.recurrent]
        changed = []
        if self._train.input_dropout:
            kernel = cells[0].kernel
            changed.append((kernel, kernel / (1 - self._train.input_dropout)))
        if self._train.weight_dropout:
            rate, seed = self._train.weight_dropout, self._train.seed
            for place, cell in enumerate(cells, start=len(cells)):
                kernel = cell.recurrent_kernel
                mask = self._mask(tuple(kernel.shape), rate, seed, number, place)
                changed.append((kernel, kernel * mask))
        return changed
