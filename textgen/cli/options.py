"""Options that several commands share."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import click
from click.shell_completion import CompletionItem

from textgen.config import NORMALIZATIONS, Cleaning

Command = Callable[..., Any]

_DEFAULT = Cleaning()

# No default, so that a preset or a resumed run can distinguish what was asked for.
_CLEANING_OPTIONS = (
    click.option("--lowercase/--no-lowercase", default=None, help="Convert to lower case."),
    click.option(
        "--normalize",
        type=click.Choice(NORMALIZATIONS),
        help=f"Unicode normalisation form.  [default: {_DEFAULT.normalize}]",
    ),
    click.option(
        "--ascii/--no-ascii",
        default=None,
        help="Replace quotes, dashes and accents by ASCII; drop all other characters.",
    ),
    click.option(
        "--tokenize/--no-tokenize",
        default=None,
        help="Split into NLTK's word tokens, separated by one space; line breaks are lost.",
    ),
    click.option(
        "--drop-stopwords/--keep-stopwords",
        default=None,
        help="Drop NLTK's English stop words (the, of, ...); implies --tokenize.",
    ),
)

_READING_OPTIONS = (
    click.option(
        "--encoding",
        default="utf-8",
        show_default=True,
        help="Encoding of files and stdin. UTF-16 is recognised by its byte order mark.",
    ),
    click.option(
        "--keep-boilerplate",
        is_flag=True,
        help="Keep the Project Gutenberg licence if there is one.",
    ),
)


def source_arguments(required: bool) -> Callable[[Command], Command]:
    """Add the argument SOURCE..., which the command receives as `sources`, a tuple."""
    metavar = "SOURCE..." if required else "[SOURCE]..."
    return click.argument(
        "sources", metavar=metavar, nargs=-1, required=required, shell_complete=complete_source
    )


def complete_source(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of known corpora; where none fits, files."""
    from textgen.corpus import list_sources

    names = [name for name, _ in list_sources() if incomplete and name.startswith(incomplete)]
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


def cleaning_options(command: Command) -> Command:
    """Add the options that say how sources are read and cleaned.

    The command receives `encoding` and `keep_boilerplate`; and `lowercase`, `normalize`,
    `ascii`, `tokenize` and `drop_stopwords`, None unless given, for `cleaning_of`.
    """
    for option in reversed(_CLEANING_OPTIONS + _READING_OPTIONS):
        command = option(command)
    return command


def reading_options(command: Command) -> Command:
    """Add the options that say how files are read: `encoding` and `keep_boilerplate`."""
    for option in reversed(_READING_OPTIONS):
        command = option(command)
    return command


def cleaning_of(ctx: click.Context, base: Cleaning = _DEFAULT) -> Cleaning:
    """`base`, with what the command line says about cleaning in its place."""
    asked = {field.name: ctx.params[field.name] for field in fields(Cleaning)}
    cleaning = replace(base, **{name: value for name, value in asked.items() if value is not None})
    return replace(cleaning, tokenize=cleaning.tokenize or cleaning.drop_stopwords)
