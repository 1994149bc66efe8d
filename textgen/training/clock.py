"""A run's time and steps: how much of it is over, and when to evaluate."""

import math
import time

from textgen.config import TrainConfig

MOST_STEPS = 1000  # between two evaluations
MOST_EVALUATIONS = 20  # of a run with --minutes, which makes two at least,
EVALUATION_SHARE = 0.06  # and spends at most this share of its time on more


class Clock:
    """Where a run stands between its beginning and its end.

    Args:
        train: the run.
        steps_per_pass: steps in which the text is read once.
        started: `time.monotonic()` at the start of this session.
        earlier: seconds of earlier sessions.
        stage: the seconds at which this stage of the run began.

    Attributes:
        agreed: `spent` as all workers know it; None where one decides alone.
    """

    def __init__(
        self,
        train: TrainConfig,
        steps_per_pass: int,
        started: float,
        earlier: float = 0.0,
        stage: float = 0.0,
    ):
        self.agreed: float | None = None
        self._began = started - earlier
        self._minutes, self._stage = train.minutes, stage
        self._total = None if train.epochs is None else train.epochs * steps_per_pass
        self._steps_per_pass = steps_per_pass
        # Evaluations divide a pass into equal parts.
        self._steps_between = math.ceil(steps_per_pass / math.ceil(steps_per_pass / MOST_STEPS))
        self._start = self._evaluated = 0.0
        self._evaluation_seconds = 0.0

    @property
    def spent(self) -> float:
        """Wall-clock seconds of this run, earlier sessions included."""
        return time.monotonic() - self._began

    @property
    def now(self) -> float:
        """`spent` for decisions: the same on all workers."""
        return self.spent if self.agreed is None else self.agreed

    def start(self) -> None:
        """Training begins; what came before was start-up."""
        self._start = self._evaluated = self.now

    def evaluated(self, begun: float) -> None:
        """An evaluation is over that began when the clock said `begun`."""
        self._evaluation_seconds = self.now - begun
        self._evaluated = self.now

    @property
    def budget(self) -> float:
        """Seconds after which no step is made."""
        return self._budget(self._evaluation_seconds)

    def _budget(self, evaluation: float) -> float:
        """The last evaluation and saving need time too."""
        return (self._minutes or 0) * 60 - 1.2 * evaluation - 1.0

    def done(self, step: int) -> float:
        """The share of the run's stage that is over after `step` steps, 0 to 1."""
        time_share = 0.0 if self._minutes is None else self._time_share()
        step_share = 0.0 if self._total is None else step / self._total
        return min(1.0, max(time_share, step_share))

    def _time_share(self) -> float:
        """The share of the stage's minutes that is over."""
        return (self.now - self._stage) / max(self.budget - self._stage, 1e-9)

    def evaluation_due(self, step: int, evaluations: int, expected: float) -> bool:
        """Whether the hold-out is to be measured.

        Args:
            step: steps done.
            evaluations: that were made.
            expected: seconds that one should take, until that is known.
        """
        if self._minutes is None:
            return step % self._steps_per_pass % self._steps_between == 0
        # The first evaluation compiles, so it does not show what another one costs.
        costs = self._evaluation_seconds if evaluations > 1 else expected
        half = (self._budget(costs) - self._start) / 2
        # Where the passes are over before the minutes, the run has only a share of these.
        done = self.done(step)
        share = self._time_share() / done if done else 1.0
        part = share * (self.budget - self._stage) / MOST_EVALUATIONS
        return self.now >= self._evaluated + max(part, min(costs / EVALUATION_SHARE, share * half))
