"""What a person may watch of a run in training: an interface that the commands implement."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """Where a run stands.

    Attributes:
        done: share of the run, 0 to 1.
        passes: passes over the text done, with their fraction.
        epochs: how many passes there will be, or None.
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


class Reporter:
    """Shows nothing."""

    def opened(self, name: str) -> None:
        """The run has its name: from now on it can be continued."""

    def step(self, status: Status) -> None:
        """A step is done."""

    def evaluated(self, status: Status, val_loss: float, best: bool) -> None:
        """The hold-out loss (nats a character) is known."""

    def wrote(self, text: str, items: bool = False) -> None:
        """What the model writes now, after the same prompt each time; its loss follows.

        Args:
            text: a text, which may begin and end within a word, or items, one a line.
            items: whether it is items of a list.
        """

    def close(self) -> None:
        """The run is over."""
