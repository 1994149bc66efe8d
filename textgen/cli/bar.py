"""What a person sees of a run in training: a bar on a terminal, plain lines elsewhere."""

import math
import sys
import time
from dataclasses import dataclass

from tqdm import tqdm

LINE_SECONDS = 10.0  # between two plain lines
BAR = "{desc}{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


@dataclass(frozen=True)
class Status:
    """Where a run stands.

    Attributes:
        done: share of the run, 0 to 1.
        passes: epochs done, with their fraction.
        epochs: how many there will be, or None.
        loss: mean training loss since the latest evaluation, nats a character.
        chars_per_second: characters trained per second of training steps.
        spent: seconds since the start.
    """

    done: float
    passes: float
    epochs: int | None
    loss: float
    chars_per_second: float
    spent: float

    @property
    def place(self) -> str:
        """The epoch, as a person counts it."""
        of = "" if self.epochs is None else f"/{self.epochs}"
        return f"epoch {self.passes:.{0 if self.passes == int(self.passes) else 1}f}{of}"

    @property
    def figures(self) -> str:
        """Loss, bits per character and speed."""
        figures = f"loss {self.loss:.3f}  {self.loss / math.log(2):.2f} bpc"
        if self.chars_per_second:  # not known before the second step
            figures += f"  {self.chars_per_second:,.0f} characters/s"
        return figures


class Reporter:
    """Tells nothing: `--quiet`."""

    def note(self, line: str) -> None:
        """Tell one line."""

    def step(self, status: Status) -> None:
        """A step is done."""

    def evaluated(self, status: Status, val_loss: float, best: bool) -> None:
        """The hold-out loss (nats a character) is known."""

    def close(self) -> None:
        """The run is over."""


class Notes(Reporter):
    """Tells notes only, on stderr: a worker that is not the chief."""

    def note(self, line: str) -> None:
        """Tell one line."""
        print(line, file=sys.stderr, flush=True)


class Lines(Notes):
    """Plain lines on stderr, one every few seconds."""

    def __init__(self) -> None:
        self.told = time.monotonic()

    def step(self, status: Status) -> None:
        """Tell where the run stands, if it is time."""
        if time.monotonic() - self.told < LINE_SECONDS:
            return
        self.told = time.monotonic()
        left = status.spent * (1 - status.done) / max(status.done, 1e-9)
        self.note(f"{status.place}  {status.figures}  {tqdm.format_interval(left)} left")

    def evaluated(self, status: Status, val_loss: float, best: bool) -> None:
        """Tell the hold-out loss."""
        mark = "  best so far" if best else ""
        self.note(
            f"{status.place}  hold-out {val_loss:.3f} nats  {val_loss / math.log(2):.3f} bpc{mark}"
        )


class Bar(Lines):
    """A bar on the terminal; lines are written above it."""

    def __init__(self) -> None:
        super().__init__()
        self.bar: tqdm | None = None

    def note(self, line: str) -> None:
        """Tell one line above the bar."""
        tqdm.write(line, file=sys.stderr)

    def step(self, status: Status) -> None:
        """Move the bar."""
        if self.bar is None:  # only now, because stderr is another file while Keras runs
            self.bar = tqdm(total=1.0, bar_format=BAR, file=sys.stderr, dynamic_ncols=True)
        self.bar.set_description_str(f"{status.place} ", refresh=False)
        self.bar.set_postfix_str(status.figures, refresh=False)
        self.bar.update(status.done - self.bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self.bar is not None:
            self.bar.close()
