"""When the hold-out is measured, and how many passes are expected."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from textgen.config import TrainConfig
from textgen.training.clock import Clock
from textgen.training.progress import Progress
from textgen.training.standing import Standing

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


def test_at_the_end_the_passes_that_were_made_are_expected() -> None:
    """Though the last evaluation has taken longer than the clock had kept for it."""
    clock = Clock(TRAIN, 100, time.monotonic())
    clock.agreed = 70.0
    batches: Any = SimpleNamespace(steps_per_pass=100)
    other: Any = None
    progress = Progress(step=50, step_seconds=20.0)
    standing = Standing(other, other, batches, other, progress, clock, other)
    assert standing.expected_passes() == 0.5
