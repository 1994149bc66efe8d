"""Plain files: what is read from a run, which anybody may have made.

A link could lead out of the run, and a pipe or a device keep its reader for ever.
"""

import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from textgen.messages import note, shown
from textgen.storage.schema import Refused

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def open_plain(path: Path, most: int = sys.maxsize, follow: bool = False) -> tuple[BinaryIO, int]:
    """Open a regular file for reading, without waiting on a pipe or device; and its size.

    Args:
        path: the file.
        most: bytes that it may have.
        follow: whether it may be a link.

    Raises:
        Refused: it is not a regular file, or larger than `most` bytes.
        OSError: it cannot be opened.
    """
    if not follow and os.path.islink(path):  # noqa: PTH114 - false for names that no system allows
        raise Refused("it is a link")
    descriptor = os.open(path, _FLAGS | (0 if follow else _NO_LINK))
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size <= most:
        return os.fdopen(descriptor, "rb"), status.st_size
    os.close(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise Refused("it is not a regular file")
    raise Refused(f"it is larger than {most:,} bytes")


def open_or_note(path: Path, most: int = sys.maxsize) -> tuple[BinaryIO, int] | None:
    """As `open_plain`; None where there is no file that can be used, and a note says why."""
    try:
        return open_plain(path, most)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Refused as refused:
        reason = str(refused)
    except OSError as error:
        reason = error.strerror or str(error)
    note(f"{shown(path)} is left out: {reason}.")
    return None


def read_plain(path: Path, most: int) -> bytes | None:
    """The first `most` bytes of a file in a run; see `open_or_note`."""
    opened = open_or_note(path)
    if opened is None:
        return None
    with opened[0] as file:
        return file.read(most)
