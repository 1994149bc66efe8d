"""How fast this machine trains a network, by the very step that the run will make."""

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from textgen.config import ModelConfig, TrainConfig
from textgen.text.batches import Batch
from textgen.training.recipe import two_digits
from textgen.training.stopping import Interrupted, Stopping

if TYPE_CHECKING:
    from textgen.training.learner import Learner

SECONDS = 0.5  # to measure for, once the step is compiled,
STEPS = 3  # and at least so many
ABOUT_RIGHT = math.log(4 / 3)  # passes that differ by less are as announced


class Pace:
    """Measures training steps, and keeps the latest learner: compiling its step takes seconds.

    Args:
        stop: how training is asked to stop, which compiled code would not notice.

    Attributes:
        announced: passes over the text that the user was told of; None where there is no time.
    """

    def __init__(self, stop: Stopping | None = None) -> None:
        self._stop = stop or Stopping()
        self.announced: float | None = None
        self._measured: tuple[ModelConfig, TrainConfig, int] | None = None
        self._learner: Learner | None = None

    def measure(self, model: ModelConfig, train: TrainConfig, vocabulary_size: int) -> float:
        """Characters a second of one device's training steps.

        Args:
            model: the architecture.
            train: how it is trained.
            vocabulary_size: distinct characters.

        Raises:
            TextgenError: there is not enough memory.
            Interrupted: it was asked to stop.
        """
        with self._stop.deferred():
            rate = self._measured_rate(model, train, vocabulary_size)
        if self._stop.received is not None:
            raise Interrupted(self._stop.received)
        return rate

    def _measured_rate(self, model: ModelConfig, train: TrainConfig, vocabulary_size: int) -> float:
        from textgen.training.learner import Learner, memory_errors_explained

        with memory_errors_explained():
            learner = Learner(model, train, vocabulary_size)
            new = learner.arrays()
            ids = np.zeros((train.batch_size, model.seq_length), np.int32)
            targets = ids if model.targets == "every" else ids[:, -1]
            batch = Batch(ids, targets, np.ones(train.batch_size, bool))
            learner.step(0, batch, 0.0)
            begun, steps = time.perf_counter(), 0
            while steps < STEPS or time.perf_counter() - begun < SECONDS:
                learner.step(0, batch, 0.0)
                steps += 1
            seconds = time.perf_counter() - begun
            learner.restore(new)
        self._measured, self._learner = (model, train, vocabulary_size), learner
        return steps * targets.size / seconds

    def learner(
        self, model: ModelConfig, train: TrainConfig, vocabulary_size: int
    ) -> "Learner | None":
        """Hand over the learner that was measured, as new; None where it was another one."""
        same = self._measured == (model, train, vocabulary_size)
        learner, self._learner = self._learner if same else None, None
        return learner

    def changed(self, expected: float | None) -> str:
        """A note where the run will read the text more or less often than announced, else empty.

        Args:
            expected: passes at its end, by its speed so far; None if unknown.
        """
        if not self.announced or not expected:
            return ""
        if abs(math.log(expected / self.announced)) < ABOUT_RIGHT:
            return ""
        now = "faster" if expected > self.announced else "slower"
        self.announced = expected
        return f"The machine is {now} than at the start: about {two_digits(expected)} passes."
