"""Text on stdout as it is made: the contract with a terminal and with a pipe."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import BinaryIO, TextIO

from textgen.errors import TextgenError

CLOSED = 141  # what a shell reports of a filter that SIGPIPE ended
# No character waits longer than this for others, in seconds; with a step that takes at most
# as long as _SLOW that is well below the 50 ms that are promised.
_PATIENCE = 0.02
_SLOW = 0.01
# What a text could tell a terminal to do; lines and tabs are harmless.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class TextPipe:
    """Writes UTF-8, whatever the locale: at once on a terminal, else in small blocks.

    A terminal gets no control characters, everything else every byte.

    Ends the process quietly, with exit status 141, when the reader has gone.

    Raises:
        TextgenError: stdout is closed, or (from `write` and `flush`) its disk is full.
    """

    def __init__(self) -> None:
        check_stdout()
        self.terminal = sys.stdout.isatty()
        self._out: BinaryIO = sys.stdout.buffer
        self._waiting: list[str] = []
        self._oldest = self._last = perf_counter()
        self._at_line_start = True

    def write(self, text: str) -> None:
        """Write text, or none; is called after every step, as it also watches the time."""
        now = perf_counter()
        if text:
            if not self._waiting:
                self._oldest = now
            self._waiting.append(text)
        slow = now - self._last > _SLOW
        self._last = now
        if self.terminal or slow or now - self._oldest > _PATIENCE:
            self.flush()

    def flush(self) -> None:
        """Hand over what waits."""
        text = "".join(self._waiting)
        if not text:
            return
        self._waiting.clear()
        self._at_line_start = text.endswith("\n")
        if self.terminal:
            text = _CONTROLS.sub("·", text)
        with writing_to_stdout():
            self._out.write(text.encode("utf-8", "replace"))
            self._out.flush()

    def end_line(self) -> None:
        """Hand over what waits; on a terminal what follows begins on a line of its own."""
        self.flush()
        if self.terminal and not self._at_line_start:
            self._waiting.append("\n")
            self.flush()


# What a stream answers that cannot be written: full, too long, broken, closed.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


@contextmanager
def writing_to_stdout() -> Iterator[None]:
    """End quietly, with status 141, when the reader has gone.

    Raises:
        TextgenError: the disk behind stdout is full.
    """
    try:
        yield
    except BrokenPipeError:
        forget(sys.stdout)
        sys.exit(CLOSED)
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        forget(sys.stdout)
        raise TextgenError(f"Could not write to stdout: {error.strerror}.") from error


def check_stdout() -> None:
    """Refuse to go on without a stdout.

    Raises:
        TextgenError: it is closed.
    """
    if sys.stdout is None:
        raise TextgenError("stdout is closed. Redirect it to a file.")


def forget(stream: TextIO) -> None:
    """Let what is written to a stream from now on go nowhere: the interpreter's last flush too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
