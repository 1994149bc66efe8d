"""Words for people: text and paths that cannot break a line, and units."""

import math
import os
from pathlib import Path


def bits(nats: float) -> float:
    """Nats in bits."""
    return nats / math.log(2)


def note(line: str) -> None:
    """Log what a user should know, at level INFO of the logger `textgen`.

    A program sees it if it configures logging; the commands print it on stderr.
    """
    import logging  # takes 2 ms, and most texts need no note

    logging.getLogger("textgen").info(line)


def shown(path: str | Path) -> str:
    """A path as it stands in a one-line message: escaped where it would break the line."""
    text = os.fspath(path)
    return text if text.isprintable() else ascii(text)


def printable(text: str) -> str:
    """Text that cannot move the cursor or break a line: what is not printable becomes `·`."""
    return "".join(character if character.isprintable() else "·" for character in text)
