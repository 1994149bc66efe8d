"""`textgen prepare`: corpus sources in, clean UTF-8 text out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from textgen.cli.options import cleaning_options, source_arguments
from textgen.cli.pipe import TextPipe


@click.command()
@source_arguments(required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of stdout; it appears only when it is complete.",
)
@click.option(
    "--list",
    "listing",
    is_flag=True,
    envvar="TEXTGEN_PREPARE_LIST",
    help="List the sources on disk and those that can be fetched.",
)
@cleaning_options
def prepare(
    sources: tuple[str, ...],
    output: Path | None,
    listing: bool,
    encoding: str,
    keep_boilerplate: bool,
    **cleaning: Any,
) -> None:
    """Turn corpus sources into clean UTF-8 text.

    A SOURCE is a path, - (stdin), builtin:NAME, gutenberg:FILEID (also a pattern, as in
    'gutenberg:shakespeare-*'), or cat-in-the-hat. Each begins on a line of its own.

    A byte order mark and a marked Project Gutenberg licence are removed, and line ends
    become newlines. Memory stays small, however large the text.
    """
    import textgen
    from textgen.corpus.sources import list_sources

    if listing:
        chunks: Iterable[str] = (f"{name:<32}{where}\n" for name, where in list_sources())
    elif sources:
        given = {name: value for name, value in cleaning.items() if value is not None}
        chunks = textgen.prepare(
            *sources, **given, encoding=encoding, keep_boilerplate=keep_boilerplate
        )
    else:
        raise click.UsageError("Missing argument 'SOURCE...'. List the sources with --list.")

    if output is None:
        pipe = TextPipe()
        for chunk in chunks:
            pipe.write(chunk)
            pipe.flush()
        pipe.end_line()
    else:
        from textgen.storage.atomic import atomic_write

        atomic_write(output, lambda file: file.writelines(map(str.encode, chunks)))
