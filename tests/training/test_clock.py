"""When the hold-out is measured."""

import time

import pytest

from textgen.config import TrainConfig
from textgen.training.clock import Clock

TRAIN = TrainConfig(epochs=None, minutes=1)


@pytest.mark.parametrize(
    ("expected", "due"),
    [(0.0, 13), (0.6, 20), (6.0, 31)],
    ids=["unknown", "a sixth of the run", "half of the run"],
)
def test_the_first_evaluation_waits_as_long_as_it_is_costly(expected: float, due: float) -> None:
    """At most for half of the run, so that there is a model when it is interrupted."""
    clock = Clock(TRAIN, 100, time.monotonic())
    clock.agreed = 10.0
    clock.start()
    clock.agreed = due - 1
    assert not clock.evaluation_due(50, 0, expected)
    clock.agreed = due
    assert clock.evaluation_due(50, 0, expected)
