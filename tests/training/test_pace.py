"""How fast the machine trains, and what is said of it."""

import numpy as np

from textgen.config import ModelConfig, TrainConfig
from textgen.training.learner import Learner
from textgen.training.pace import Pace

MODEL, TRAIN = ModelConfig(units=(8,), seq_length=16), TrainConfig(batch_size=4, seed=3)


def test_what_was_measured_serves_as_new() -> None:
    """So that its step need not be compiled again."""
    pace = Pace()
    assert pace.measure(MODEL, TRAIN, 5) > 0
    learner = pace.learner(MODEL, TRAIN, 5)
    assert learner is not None
    new = Learner(MODEL, TRAIN, 5).arrays()
    for name, array in learner.arrays().items():
        np.testing.assert_array_equal(array, new[name], err_msg=name)


def test_a_learner_is_handed_over_once() -> None:
    """So that none that does not train keeps its memory."""
    pace = Pace()
    pace.measure(MODEL, TRAIN, 5)
    assert pace.learner(MODEL, TRAIN, 6) is None
    assert pace.learner(MODEL, TRAIN, 5) is None


def test_nothing_is_said_while_it_comes_true() -> None:
    pace = Pace()
    assert pace.changed(5) == ""  # a run without a time
    pace.announced = 10
    assert pace.changed(11) == ""
    assert pace.changed(None) == ""


def test_a_change_is_said_once() -> None:
    pace = Pace()
    pace.announced = 10
    assert pace.changed(4) == "The machine is slower than at the start: about 4 passes."
    assert pace.changed(4.1) == ""
    assert "faster" in pace.changed(9)
