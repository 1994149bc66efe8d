"""What the workers of a run decide as one.

Each worker casts a ballot with every step; its sum over the workers, the tally, travels with the
loss, so all of them read the same clock, stop after the same step and use the same learning rate.
"""

import signal

import numpy as np

from textgen.training.clock import Clock
from textgen.training.distributed.devices import Devices
from textgen.training.progress import Progress
from textgen.training.stopping import Stopping


class Agreement:
    """The decisions of all workers; where one trains alone, its own.

    Args:
        devices: where the run trains.
        clock: of this worker; is set to the chief's.
        progress: the run's.
        stop: how this worker is asked to stop.

    Attributes:
        stop_training: whether a callback of this worker wants training to end.
    """

    def __init__(self, devices: Devices, clock: Clock, progress: Progress, stop: Stopping):
        self.stop_training = False
        self._devices, self._clock, self._progress, self._stop = devices, clock, progress, stop
        self._tally = np.zeros(5)

    def ballot(self) -> np.ndarray:
        """This worker's ballot (5,) float64.

        The chief's clock and factor of the learning rate; whether this worker got SIGINT or
        SIGTERM; whether a callback stops training.
        """
        chief, received = self._devices.is_chief, self._stop.received
        return np.array(
            [
                self._clock.spent if chief else 0.0,
                self._progress.rate_factor if chief else 0.0,
                received == signal.SIGINT,
                received == signal.SIGTERM,
                self.stop_training,
            ],
            np.float64,
        )

    def count(self, tally: np.ndarray) -> None:
        """Take the sum of all ballots (5,)."""
        self._tally = tally
        if not self._devices.alone:
            self._clock.agreed = float(tally[0])

    def meet(self) -> None:
        """Wait for all workers and count their ballots."""
        self.count(self._devices.sum(self.ballot()))

    @property
    def tally(self) -> np.ndarray:
        """The latest count; where one decides alone, what holds now."""
        return self.ballot() if self._devices.alone else self._tally

    @property
    def rate_factor(self) -> float:
        """What callbacks made of the learning rate: the chief's count."""
        return float(self.tally[1])

    @property
    def stop_signal(self) -> int | None:
        """The signal for which training stops: this worker's, or one that another got."""
        interrupts, terminations = self.tally[2:4]
        if not interrupts and not terminations:
            return None
        return self._stop.received or (signal.SIGTERM if terminations else signal.SIGINT)

    @property
    def ended_by_callback(self) -> bool:
        """Whether a callback of any worker ends training."""
        return bool(self.tally[4])
