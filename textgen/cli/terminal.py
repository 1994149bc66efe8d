"""What commands that measure do before they print."""

import io
import os
import re
import sys
from json import dumps
from pathlib import Path

import click

from textgen.cli.pipe import check_stdout, forget, writing_to_stdout
from textgen.messages import printable, shown

# Controls that JSON leaves as they are, what ends a line elsewhere, and halves of pairs.
_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def one_blas_thread() -> None:
    """Let NumPy, not yet imported, multiply on one thread, unless the user chose otherwise.

    The products here are small: a second thread gains a little on an idle machine and costs
    a factor of ten on a busy one, where the threads wait for each other.
    """
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def utf8_stdout() -> None:
    """Write UTF-8 whatever the locale, and paths byte for byte.

    Raises:
        TextgenError: stdout is closed.
    """
    check_stdout()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def say(text: str, newline: bool = True, color: bool | None = None) -> None:
    """Write to stdout at once; end quietly, with status 141, when the reader has gone.

    Raises:
        TextgenError: the disk behind stdout is full.
    """
    with writing_to_stdout():
        click.echo(text, nl=newline, color=color)


def say_path(path: Path) -> None:
    """A path on stdout: exact for a program, harmless for a terminal."""
    say(shown(path) if sys.stdout.isatty() else str(path))


def json_line(value: object) -> str:
    """JSON in one line that does nothing to a terminal; paths need not be UTF-8."""
    text = dumps(value, ensure_ascii=False)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def note_on_stderr(line: str) -> None:
    """A line on stderr, as it is; or nowhere if it cannot be written: work continues."""
    try:
        click.echo(line, err=True)
    except OSError:
        forget(sys.stderr)


def warn(message: str) -> None:
    """A note of one line on stderr."""
    note_on_stderr(printable(message))
