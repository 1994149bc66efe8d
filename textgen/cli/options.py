"""Options that several commands share."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click
from click.shell_completion import CompletionItem

from textgen.cli.settings import setting_options
from textgen.config import Cleaning

Command = Callable[..., Any]

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
    from textgen.corpus.sources import list_sources

    names = [name for name, _ in list_sources() if incomplete and name.startswith(incomplete)]
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


def complete_run(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of runs that have a model, newest first; where none fits, files."""
    from textgen.storage.run_folder import runs

    names = [run.name for run in runs() if run.name.startswith(incomplete)]
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


def cleaning_options(command: Command) -> Command:
    """Add the options that say how sources are read and cleaned.

    The command receives `encoding` and `keep_boilerplate`; and the settings of `Cleaning`, None
    unless given.
    """
    names = [field.name for field in fields(Cleaning)]
    return setting_options(*names, shown=("normalize",))(reading_options(command))


def reading_options(command: Command) -> Command:
    """Add the options that say how files are read: `encoding` and `keep_boilerplate`."""
    for option in reversed(_READING_OPTIONS):
        command = option(command)
    return command
