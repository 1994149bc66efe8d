"""The learning rate: a schedule, times what callbacks make of it."""

import math

import keras

from textgen.config import TrainConfig
from textgen.training.progress import Progress

WARMUP = 0.02  # share of the run in which the learning rate rises
FINAL_RATE = 0.01  # of the peak learning rate, at the end


def learning_rate(train: TrainConfig, done: float) -> float:
    """The scheduled learning rate when a share `done` (0 to 1) of the run is over."""
    if train.schedule == "constant":
        return train.learning_rate
    if done < WARMUP:
        return train.learning_rate * (FINAL_RATE + (1 - FINAL_RATE) * done / WARMUP)
    cosine = (1 + math.cos(math.pi * min(1.0, (done - WARMUP) / (1 - WARMUP)))) / 2
    return train.learning_rate * (FINAL_RATE + (1 - FINAL_RATE) * cosine)


class Rate:
    """The learning rate of a run.

    A callback that sets the optimizer's `learning_rate`, as ReduceLROnPlateau does, sets a factor
    on the schedule; it is kept in the progress.

    Args:
        train: the run.
        progress: of the run.
        optimizer: where callbacks look for the rate.
    """

    def __init__(
        self, train: TrainConfig, progress: Progress, optimizer: keras.optimizers.Optimizer
    ):
        self._train, self._progress, self._variable = train, progress, optimizer.learning_rate
        self._given = 0.0

    @property
    def now(self) -> float:
        """The rate that the optimizer has."""
        return float(self._variable.numpy())

    def give(self, done: float, factor: float) -> float:
        """Set and return the rate when a share `done` (0 to 1) of the stage is over.

        Args:
            done: the share.
            factor: of the schedule, on which all workers agree.
        """
        self.heed_callbacks()
        self._variable.assign(learning_rate(self._train, done) * factor)
        self._given = self.now
        return self._given

    def heed_callbacks(self) -> None:
        """Note whether a callback has changed the rate."""
        now = self.now
        if self._given and now != self._given:
            self._progress.rate_factor *= now / self._given
            self._given = now
