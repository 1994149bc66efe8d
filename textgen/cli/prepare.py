"""`textgen prepare`: corpus sources in, clean UTF-8 text out."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import click

from textgen.cli.options import cleaning_of, cleaning_options, source_arguments
from textgen.errors import TextgenError

PIPE_CLOSED = 141  # what a shell reports of a filter that SIGPIPE ended


@click.command()
@source_arguments(required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of stdout; it appears only when it is whole.",
)
@click.option("--list", "listing", is_flag=True, help="Show what is there and what can be fetched.")
@cleaning_options
@click.pass_context
def prepare(
    ctx: click.Context,
    sources: tuple[str, ...],
    output: Path | None,
    listing: bool,
    encoding: str,
    keep_boilerplate: bool,
    **_: Any,
) -> None:
    """Turn corpus sources into clean UTF-8 text.

    A SOURCE is a path, - (stdin), builtin:NAME, gutenberg:FILEID (also a pattern, as in
    'gutenberg:shakespeare-*'), or cat-in-the-hat. Each begins on a line of its own.

    A byte order mark and a marked Project Gutenberg licence are removed, and line ends
    become newlines. Memory stays small, however large the text.
    """
    from textgen.corpus import list_sources, open_sources

    if listing:
        chunks: Iterable[str] = (f"{name:<32}{where}\n" for name, where in list_sources())
    elif sources:
        chunks = open_sources(sources, cleaning_of(ctx), encoding, keep_boilerplate)
    else:
        raise click.UsageError("Missing argument 'SOURCE...'. What there is: --list.")

    if output is None:
        _write_stdout(chunks)
    else:
        from textgen.atomic import atomic_write

        atomic_write(output, lambda file: _write(chunks, file))


def _write(chunks: Iterable[str], file: BinaryIO) -> None:
    """Write text as UTF-8, whatever the locale."""
    for chunk in chunks:
        file.write(chunk.encode())


def _write_stdout(chunks: Iterable[str]) -> None:
    """Write text to stdout; end quietly when the reader has had enough.

    Raises:
        TextgenError: stdout is closed, or its disk is full.
    """
    if sys.stdout is None:
        raise TextgenError("stdout is closed. Name a file with -o.")
    try:
        _write(chunks, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _forget_stdout()
        sys.exit(PIPE_CLOSED)
    except OSError as error:
        _forget_stdout()
        raise TextgenError(f"Could not write to stdout: {error.strerror}.") from error


def _forget_stdout() -> None:
    """Let the interpreter's last flush go nowhere: it would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
