"""What commands that measure do before they print."""

import io
import os
import sys

import click

from textgen.cli.pipe import writing_to_stdout
from textgen.messages import printable


def one_blas_thread() -> None:
    """Let NumPy, not yet imported, multiply on one thread, unless the user chose otherwise.

    The products here are small: a second thread gains a little on an idle machine and costs
    a factor of ten on a busy one, where the threads wait for each other.
    """
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def utf8_stdout() -> None:
    """Write UTF-8 whatever the locale."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def say(text: str, newline: bool = True, color: bool | None = None) -> None:
    """Write to stdout at once; end quietly, with status 141, when the reader has gone.

    Raises:
        TextgenError: the disk behind stdout is full.
    """
    with writing_to_stdout():
        click.echo(text, nl=newline, color=color)


def note_on_stderr(line: str) -> None:
    """A line on stderr, as it is."""
    click.echo(line, err=True)


def warn(message: str) -> None:
    """A note of one line on stderr."""
    click.echo(printable(message), err=True)
