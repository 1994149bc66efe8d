"""A batch in parts: the same compiled program side by side, one a core.

A recurrent layer is a chain of small matrix products. Threads that share each product meet after
every one of them; parts of the batch, with a program each, meet once a step. XLA programs run side
by side when a `tf.function` that is not compiled itself calls them and none needs another's result.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import tensorflow as tf

from textgen.cores import LEAST_ROWS, available_cores


def compiled(function: Callable, wanted: bool = True) -> Callable:
    """The function as an XLA program, where wanted; cuDNN's kernels cannot be part of one."""
    jit = wanted and not tf.config.list_physical_devices("GPU")
    return tf.function(function, jit_compile=jit, autograph=False)


def part_count(rows: int, sharing: int = 1) -> int:
    """Into how many parts a batch of `rows` is best cut, where so many share this machine."""
    if tf.config.list_physical_devices("GPU"):
        return 1
    return max(1, min(available_cores() // sharing, rows // LEAST_ROWS))


def cut(rows: int, parts: int) -> list[slice]:
    """The rows of each part, as equal in number as they can be."""
    edges = [rows * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def take(nested: Any, rows: slice) -> Any:
    """The same rows of every tensor of a nested structure."""
    return tf.nest.map_structure(lambda tensor: tensor[rows], nested)


def join(parts: Sequence[Any]) -> Any:
    """The nested structure whose tensors hold the rows of all parts in turn."""
    return tf.nest.map_structure(lambda *tensors: tf.concat(tensors, 0), *parts)


def mean(parts: Sequence[Any], rows: Sequence[slice]) -> Any:
    """The mean of every tensor over the parts, each weighted by its number of rows."""
    shares = [(part.stop - part.start) / rows[-1].stop for part in rows]

    def weighted(*tensors: tf.Tensor) -> tf.Tensor:
        return tf.add_n([share * tensor for share, tensor in zip(shares, tensors, strict=True)])

    return tf.nest.map_structure(weighted, *parts)
