"""What can be said of a run in training: to a person, to callbacks, in a model file."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from textgen.storage.model_file import Model
from textgen.storage.run import Run
from textgen.text.batches import Streams, Windows
from textgen.text.parts import Holdout
from textgen.training.clock import Clock
from textgen.training.distributed.replicas import Replicas
from textgen.training.learner import Learner
from textgen.training.progress import Progress
from textgen.training.rate import Rate
from textgen.training.recipe import evaluation_seconds
from textgen.training.reporter import Status

ENOUGH_SECONDS = 1.0  # of steps, to know their speed


class Standing:
    """A view of a run in training.

    Args:
        run: what is trained and how.
        text: ids of its training text (characters,).
        batches: what it learns from.
        learner: what learns.
        progress: where it stands.
        clock: its time.
        rate: its learning rate.
    """

    def __init__(
        self,
        run: Run,
        text: np.ndarray,
        batches: Streams | Windows,
        learner: Learner | Replicas,
        progress: Progress,
        clock: Clock,
        rate: Rate,
    ):
        self._run, self._text, self._batches, self._learner = run, text, batches, learner
        self._progress, self._clock, self._rate = progress, clock, rate

    @property
    def passes(self) -> float:
        """Passes over the text done, with their fraction."""
        return self._progress.step / self._batches.steps_per_pass

    def expected_passes(self) -> float | None:
        """Passes at the end of a run with a time, at the speed so far; None if unknown."""
        seconds, left = self._progress.step_seconds, max(0.0, self._clock.budget - self._clock.now)
        if seconds <= ENOUGH_SECONDS:
            return None
        return min(self.passes * (1 + left / seconds), self._run.train.epochs or math.inf)

    def evaluation_seconds(self, holdout: Holdout) -> float:
        """How long measuring the hold-out should take, by the speed so far; 0 if unknown."""
        speed = self._progress.chars_per_second
        return evaluation_seconds(len(holdout.ids), speed) if speed else 0.0

    def status(self) -> Status:
        """What a person may watch."""
        progress = self._progress
        return Status(
            done=self._clock.done(progress.step),
            passes=self.passes,
            epochs=self._run.train.epochs,
            loss=progress.loss_sum / max(1, progress.loss_steps),
            chars_per_second=progress.chars_per_second,
            spent=self._clock.spent,
        )

    def figures(self) -> dict[str, Any]:
        """The latest evaluation, as callbacks get it and log.csv keeps it."""
        progress = self._progress
        return {
            "passes": self.passes,
            "step": progress.step,
            "seconds": round(self._clock.spent, 2),
            "train_loss": progress.train_loss,
            "val_loss": progress.val_loss,
            "learning_rate": self._rate.now,
            "chars_per_second": round(progress.chars_per_second, 1),
        }

    def model(self) -> Model:
        """The model as it is now, with all that a model file says."""
        progress = self._progress
        shapes = self._run.model.weight_shapes(len(self._run.vocabulary))
        model = self._run.new_model(self._text)
        trained = {
            "train_loss": progress.train_loss,
            "val_loss": progress.val_loss,
            "evaluation": progress.evaluations,
            "passes": self.passes,
            "step": progress.step,
            "seconds": round(self._clock.spent, 2),
        }
        return replace(
            model,
            weights=dict(zip(shapes, self._learner.weights(), strict=True)),
            provenance=model.provenance | trained,
        )
