"""A batch in parts gives what the whole batch gives."""

import numpy as np
import pytest
import tensorflow as tf

from textgen.cores import LEAST_ROWS
from textgen.training.core_parts import cut, join, mean, part_count, take


@pytest.mark.parametrize(("rows", "parts"), [(1, 1), (7, 2), (32, 3), (64, 5)])
def test_cut_rows_join_to_the_whole_and_their_mean_is_the_whole_mean(rows: int, parts: int) -> None:
    whole = {"a": tf.random.stateless_normal((rows, 3), [1, 2]), "b": [tf.range(rows)]}
    slices = cut(rows, parts)
    taken = [take(whole, part) for part in slices]
    assert max(len(part["a"]) for part in taken) - min(len(part["a"]) for part in taken) <= 1
    joined = join(taken)
    np.testing.assert_array_equal(joined["a"], whole["a"])
    np.testing.assert_array_equal(joined["b"][0], whole["b"][0])
    means = mean([tf.reduce_mean(part["a"], 0) for part in taken], slices)
    np.testing.assert_allclose(means, tf.reduce_mean(whole["a"], 0), atol=1e-6)


def test_small_batches_stay_whole() -> None:
    assert part_count(1) == part_count(LEAST_ROWS) == 1
    assert 1 <= part_count(1000) <= 125
