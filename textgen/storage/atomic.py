"""Writing a file so that it is the old one or the new one, and nothing in between."""

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from textgen.errors import TextgenError
from textgen.messages import shown

TEMPORARIES = ".textgen-*.tmp"

_FIXES = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space",
    errno.EFBIG: "Allow larger files",
    errno.EACCES: "Make the folder writable, or choose another one",
    errno.EPERM: "Make the folder writable, or choose another one",
    errno.EROFS: "Choose a folder on a writable disk",
    errno.ENAMETOOLONG: "Choose a shorter name",
    errno.ENOENT: "The folder is gone: create it, or choose another one",
}


def atomic_write(
    path: str | Path, data: bytes | Callable[[BinaryIO], object], keep: Path | None = None
) -> None:
    """Write a whole file, surviving a kill or a power cut at any moment.

    The bytes go to a temporary name in the same folder, are flushed and fsynced, and
    only then renamed. A device or a pipe is written to directly: renaming would
    replace it. Folders are not created.

    Args:
        path: the file to write; a symbolic link is followed.
        data: the contents, or a function that writes them to the open file it is given.
        keep: where the file that stands at `path` is moved to, if there is one.

    Raises:
        TextgenError: the system refused; no temporary is left and the old file stands.
    """
    try:
        # Not by its real path: that of /dev/stdout names no file when stdout is a pipe.
        if Path(path).exists() and not Path(path).is_file():
            with Path(path).open("wb") as file:
                _fill(file, data)
        else:
            _replace(Path(os.path.realpath(path)), data, keep)
    except OSError as error:
        raise not_written(path, error) from error


def not_written(path: str | Path, error: OSError) -> TextgenError:
    """The error to raise when the system refused to write a file."""
    fix = _FIXES.get(error.errno or 0, "Check the disk and the folder")
    kept = "" if error.errno == errno.ENOENT else "; what was saved before is unharmed"
    return TextgenError(f"Could not write {shown(path)}: {error.strerror or error}. {fix}{kept}.")


def _replace(target: Path, data: bytes | Callable[[BinaryIO], object], keep: Path | None) -> None:
    """Fill a temporary beside `target` and rename it."""
    temporary = target.with_name(f".textgen-{os.getpid()}-{time.monotonic_ns():x}.tmp")
    try:
        with temporary.open("xb") as file:
            _fill(file, data)
            os.fsync(file.fileno())
        if keep is not None:
            with suppress(FileNotFoundError):
                target.replace(keep)
        temporary.replace(target)
    except BaseException:  # a signal must not leave a temporary either
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _fill(file: BinaryIO, data: bytes | Callable[[BinaryIO], object]) -> None:
    """Write `data` and hand it to the system."""
    if callable(data):
        data(file)
    else:
        file.write(data)
    file.flush()


def _sync_folder(folder: Path) -> None:
    """Make a rename last; systems that cannot open or sync a folder are left alone."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Remove what killed writers left. Only for who holds the folder's lock."""
    for temporary in folder.glob(TEMPORARIES):
        with suppress(OSError):
            temporary.unlink()
