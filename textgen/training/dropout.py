"""Dropout masks as pure functions: equal whatever the number of devices, after any resume."""

import math

import tensorflow as tf

# Odd constants of the 32-bit finaliser "lowbias32" (Wellons 2018, hash prospector).
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B
_GOLDEN = 0x9E3779B9  # 2**32 / golden ratio: spreads consecutive counters


def _mix(bits: tf.Tensor) -> tf.Tensor:
    """A 32-bit hash of each uint32: every input bit flips each output bit about half the time."""
    bits = (bits ^ tf.bitwise.right_shift(bits, tf.constant(16, tf.uint32))) * _FIRST
    bits = (bits ^ tf.bitwise.right_shift(bits, tf.constant(15, tf.uint32))) * _SECOND
    return bits ^ tf.bitwise.right_shift(bits, tf.constant(16, tf.uint32))


def _word(value: int | tf.Tensor) -> tf.Tensor:
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
        key = _mix(key * _GOLDEN + _word(value))
    rows = _mix(key * _GOLDEN + _word(first_row) + _count(batch))
    counters = _count(math.prod(others)) * _GOLDEN
    bits = _mix(rows[:, None] ^ _mix(counters)[None])
    kept = bits >= tf.constant(min(round(rate * 2**32), 2**32 - 1), tf.uint32)
    return tf.reshape(tf.cast(kept, tf.float32) / (1 - rate), shape)
