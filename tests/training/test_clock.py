"""When the hold-out is measured, and how many passes are expected."""

import time
from dataclasses import replace
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


def test_a_run_whose_passes_end_before_its_minutes_is_measured_as_often() -> None:
    """A third of the minutes will do: so a third of the time lies between two evaluations."""
    clock = Clock(replace(TRAIN, epochs=3), 100, time.monotonic())
    clock.agreed = 0.0
    clock.start()
    for now, due in ((0.9, False), (1.1, True)):
        clock.agreed = now
        step = round(300 * now / 20)
        assert clock.evaluation_due(step, 2, 0.0) == due


def test_at_the_end_the_passes_that_were_made_are_expected() -> None:
    """Though the last evaluation has taken longer than the clock had kept for it."""
    clock = Clock(TRAIN, 100, time.monotonic())
    clock.agreed = 70.0
    batches: Any = SimpleNamespace(steps_per_pass=100)
    other: Any = None
    run: Any = SimpleNamespace(train=TRAIN)
    progress = Progress(step=50, step_seconds=20.0)
    standing = Standing(run, other, batches, other, progress, clock, other)
    assert standing.expected_passes() == 0.5
