"""What a person sees of a run in training: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from contextlib import suppress
from itertools import islice
from textwrap import wrap

from tqdm import tqdm

from textgen.cli.terminal import note_on_stderr
from textgen.messages import bits, printable, quoted
from textgen.training.reporter import Reporter, Status

LINE_SECONDS = 10.0  # between two plain lines
WIDTH = 76  # of a line of what the model writes
BAR = "{desc}{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


def place(status: Status) -> str:
    """The pass over the text, as a person counts it."""
    whole = status.passes == int(status.passes)
    of = "" if status.epochs is None else f"/{status.epochs}"
    return f"pass {status.passes:.{0 if whole else 1}f}{of}"


def figures(status: Status) -> str:
    """Loss, bits per character and speed."""
    text = f"loss {status.loss:.3f}  {bits(status.loss):.2f} bpc"
    if status.chars_per_second:  # not known before the second step
        text += f"  {status.chars_per_second:,.0f} characters/s"
    return text


def whole_lines(text: str, most: int, whole: bool = False) -> list[str]:
    """The first lines of a generated text, of whole words: unless `whole`, it begins within one."""
    rest = text if whole else text.partition(" ")[2]
    lines = (part for line in rest.splitlines() for part in wrap(printable(line), WIDTH))
    return list(islice(lines, most))


class Quiet(Reporter):
    """Shows nothing: `--quiet`.

    Attributes:
        name: of the run, once it has one.
    """

    name: str | None = None

    def note(self, line: str) -> None:
        """Show one line."""

    def opened(self, name: str) -> None:
        """Remember what can be continued."""
        self.name = name

    def stopped(self, saved: float | None = None) -> None:
        """Say how to continue a run that has its name.

        Args:
            saved: `time.monotonic()` when all was last saved, if that was not just now.
        """
        if self.name is None:
            return
        from textgen.storage.run_folder import ROOT, RunDirectory  # loads NumPy

        if RunDirectory(ROOT / self.name).model.exists():
            self.note(f"Use its best model so far: textgen sample --model {quoted(self.name)}")
        minutes = 0.0 if saved is None else (time.monotonic() - saved) / 60
        lost = f" The last {minutes:.1f} minutes are lost." if minutes > 0.1 else ""
        self.note(f"Stopped.{lost} Continue: textgen train --resume --name {quoted(self.name)}")
        self.close()


class Notes(Quiet):
    """Shows notes only, on stderr: a worker that is not the chief."""

    def note(self, line: str) -> None:
        """Show one line."""
        note_on_stderr(line)


class Lines(Notes):
    """Plain lines on stderr, one every few seconds."""

    def __init__(self) -> None:
        self.shown = time.monotonic()
        self.written: list[str] = []

    def step(self, status: Status) -> None:
        """Show where the run stands, if it is time."""
        if time.monotonic() - self.shown < LINE_SECONDS:
            return
        self.shown = time.monotonic()
        left = status.spent * (1 - status.done) / max(status.done, 1e-9)
        self.note(f"{place(status)}  {figures(status)}  {tqdm.format_interval(left)} left")

    def evaluated(self, status: Status, val_loss: float, best: bool) -> None:
        """Show the hold-out loss."""
        mark = "  best so far" if best else ""
        self.note(f"{place(status)}  hold-out {val_loss:.3f} nats  {bits(val_loss):.3f} bpc{mark}")
        for line in self.written:
            self.note(f"    {line}")

    def wrote(self, text: str, items: bool = False) -> None:
        """Keep what the model writes, to show it below its hold-out loss."""
        line = "   ".join(text.splitlines()) if items else text
        self.written = whole_lines(line, 1, whole=items)


class Bar(Lines):
    """A bar on the terminal; lines are written above it."""

    def __init__(self) -> None:
        super().__init__()
        self.bar: tqdm | None = None

    def note(self, line: str) -> None:
        """Show one line above the bar."""
        with suppress(OSError):  # the terminal may be gone
            tqdm.write(line, file=sys.stderr)

    def step(self, status: Status) -> None:
        """Move the bar."""
        with suppress(OSError):
            if self.bar is None:  # only now, because stderr is another file while Keras runs
                self.bar = tqdm(total=1.0, bar_format=BAR, file=sys.stderr, dynamic_ncols=True)
            self.bar.set_description_str(f"{place(status)} ", refresh=False)
            self.bar.set_postfix_str(figures(status), refresh=False)
            self.bar.update(status.done - self.bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self.bar is not None:
            with suppress(OSError):
                self.bar.close()
