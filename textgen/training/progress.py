"""Where a run stands: what is counted and measured, and saved with every state."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from textgen.errors import TextgenError
from textgen.storage import schema
from textgen.storage.state import write_state

WEIGHTS = "weights/"  # what the names of the weights begin with in a state
MAX_LOG = 1 << 24  # characters of log.csv, some 100 each evaluation


@dataclass
class Progress:
    """Where a run stands; saved with every state.

    Losses are means in nats a character.

    Attributes:
        step: steps done.
        evaluations: hold-out evaluations done.
        best: the lowest hold-out loss; None before the first evaluation.
        best_train_loss: the training loss before that evaluation.
        val_loss: the latest hold-out loss.
        train_loss: training loss between the two latest evaluations.
        waited: evaluations since the best one.
        loss_sum: of the steps since the latest evaluation.
        loss_steps: how many these are.
        rate_factor: what callbacks made of the learning rate.
        finished: whether the run came to its end.
        stage_seconds: the `seconds` at which a finished run was given more minutes; 0 at first.
        seconds: wall-clock time spent, start-up and earlier sessions included.
        step_seconds: time spent in steps.
        step_targets: characters trained in that time.
        log: the text of log.csv.
    """

    step: int = 0
    evaluations: int = 0
    best: float | None = None
    best_train_loss: float | None = None
    val_loss: float | None = None
    train_loss: float | None = None
    waited: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    rate_factor: float = 1.0
    finished: bool = False
    stage_seconds: float = 0.0
    seconds: float = 0.0
    step_seconds: float = 0.0
    step_targets: int = 0
    log: str = ""

    @classmethod
    def read(cls, values: dict[str, Any]) -> "Progress":
        """Take what a state says, which anybody may have written.

        Raises:
            TextgenError: it is not what training writes.
        """
        try:
            schema.closed(values, [field.name for field in fields(cls)], "the saved progress")
            for name, value in values.items():
                if name == "log":
                    schema.string(value, MAX_LOG, name)
                elif isinstance(getattr(cls, name), bool):
                    schema.boolean(value, name)
                elif isinstance(getattr(cls, name), int):
                    schema.integer(value, 0, 1 << 53, name)
                elif value is not None or getattr(cls, name) is not None:
                    schema.number(value, 0, 1e300, name)
        except schema.Refused as reason:
            raise TextgenError(
                f"The run cannot be continued: {reason}. Train it again with --overwrite."
            ) from None
        return cls(**values)

    @property
    def chars_per_second(self) -> float:
        """Targets trained per second of training steps, without anything else."""
        return self.step_targets / self.step_seconds if self.step_seconds else 0.0

    @property
    def is_best(self) -> bool:
        """Whether the latest evaluation is the best one."""
        return self.evaluations > 0 and self.waited == 0

    def resume(self, minutes: float | None) -> None:
        """A session begins; a finished run that has been given more minutes begins a new stage.

        Args:
            minutes: of the whole run, or None.
        """
        if self.finished and minutes is not None and minutes * 60 > self.seconds:
            self.stage_seconds, self.waited = self.seconds, 0
        self.finished = False

    def stepped(self, loss: float) -> None:
        """A step is done; its loss."""
        self.step += 1
        self.loss_sum += loss
        self.loss_steps += 1

    def evaluated(self, val_loss: float) -> None:
        """The hold-out was measured; its loss."""
        self.val_loss = val_loss
        self.train_loss = self.loss_sum / self.loss_steps
        self.loss_sum, self.loss_steps = 0.0, 0
        self.evaluations += 1
        if self.best is None or val_loss < self.best:
            self.best, self.best_train_loss, self.waited = val_loss, self.train_loss, 0
        else:
            self.waited += 1


def write_start(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write the state of a run that starts from these weights, in Keras's order."""
    arrays = {f"{WEIGHTS}{number}": array for number, array in enumerate(weights.values())}
    write_state(path, asdict(Progress()), arrays)


def completed(arrays: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A state's arrays; where they are a start, which is weights only, with new ones of the rest.

    Args:
        arrays: of the state, by name.
        new: of a learner that has learned nothing.
    """
    start = all(name.startswith(WEIGHTS) for name in arrays)
    return new | arrays if start else arrays
