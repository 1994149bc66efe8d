"""Messages: notes, text and paths that cannot break a line, and units."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np

# A number, or a NumPy array of any shape.
Cost = TypeVar("Cost", float, "np.ndarray")


def bits(nats: Cost) -> Cost:
    """Nats in bits: of base 2 where nats are of base e."""
    return nats / math.log(2)


def nats(bits: Cost) -> Cost:
    """Bits in nats; see `bits`."""
    return bits * math.log(2)


# Who gets the notes instead of the logger; the innermost of `notes_to`.
_readers: list[Callable[[str], object]] = []


@contextmanager
def notes_to(read: Callable[[str], object]) -> Iterator[None]:
    """While entered, `read` gets each note, and the logger none."""
    _readers.append(read)
    try:
        yield
    finally:
        _readers.remove(read)


def note(line: str) -> None:
    """One line for the user: log it, at level INFO of the logger `textgen`.

    A program sees it if it configures logging; the commands print it on stderr.
    """
    if _readers:
        _readers[-1](line)
        return
    import logging  # takes 5 ms, and most texts need no note

    logging.getLogger("textgen").info(line)


def visible(character: str) -> str:
    """One character, so that a person can see it: ␣, ↵, a control as its escape."""
    if character in " \n":
        return "␣" if character == " " else "↵"
    return character if character.isprintable() else ascii(character)[1:-1]


def shown(path: str | Path) -> str:
    """A path as it stands in a one-line message: escaped where it would break the line."""
    text = os.fspath(path)
    return text if text.isprintable() else ascii(text)


def quoted(name: str) -> str:
    """A name as it can be typed in a shell, bash or zsh where it holds what cannot be seen."""
    if name.isprintable():
        from shlex import quote  # rarely needed

        return quote(name)
    return "$'" + "".join(map(_in_dollar_quotes, name)) + "'"


def _in_dollar_quotes(character: str) -> str:
    """A character as it stands between $' and ' in a shell."""
    if character.isprintable() and character not in "'\\":
        return character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def printable(text: str) -> str:
    """Text that cannot move the cursor or break a line: what is not printable becomes `·`."""
    return "".join(character if character.isprintable() else "·" for character in text)
