"""Keeping TensorFlow's own log lines off the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_stderr_muted() -> Iterator[None]:
    """Send what C++ code writes to file descriptor 2 nowhere; Python's stderr still works.

    TensorFlow 2.21 writes lines before it reads TF_CPP_MIN_LOG_LEVEL, and XLA writes more
    when it compiles. A crash of the interpreter still shows in the exit status.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    before, stderr = os.dup(2), sys.stderr
    try:
        if _writes_to_2(stderr):
            sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        sys.stderr = stderr


def _writes_to_2(stream: object) -> bool:
    try:
        return stream.fileno() == 2  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
