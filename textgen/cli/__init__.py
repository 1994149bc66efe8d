"""The command line: the group `main`, one module a command, loaded when it is called."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from textgen.cli.mistakes import blame_variable, did_you_mean, note_unknown_variables
from textgen.cli.pipe import writing_to_stdout
from textgen.cli.terminal import note_on_stderr
from textgen.errors import TextgenError
from textgen.messages import notes_to

# Command and the line that help shows for it, so that help loads no command.
COMMANDS = {
    "prepare": "Turn corpus sources into clean UTF-8 text.",
    "train": "Train a model on a text.",
    "sample": "Generate text with a trained model.",
    "score": "Measure how well models predict a text, in bits per character.",
    "inspect": "Show what a model finds surprising in a text.",
    "info": "Describe a model, or list the runs.",
    "report": "Write a page about a run.",
    "page": "Write a web page that generates text, with the model inside.",
}


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All command names, in the order in which a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command `cmd_name`, or None."""
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(f"textgen.cli.{cmd_name}"), cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; a usage error with the nearest one for an unknown name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command: {name}.{did_you_mean(name, COMMANDS)}", ctx)
        found = super().resolve_command(ctx, args)
        if found[1] is not None and not ctx.resilient_parsing:
            note_unknown_variables(found[1], COMMANDS)
        return found

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run; nothing that is opened later takes the place of a closed standard stream."""
        for descriptor in range(3):
            try:
                os.fstat(descriptor)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
        if sys.stderr is None:
            sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
        return super().main(*args, **extra)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line; writes help where that is asked for."""
        with errors_in_a_line():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with errors_in_a_line(), notes_to(note_on_stderr):
            return super().invoke(ctx)


@contextmanager
def errors_in_a_line() -> Iterator[None]:
    """A `TextgenError` becomes one line on stderr and exit 1."""
    try:
        with writing_to_stdout():
            yield
    except click.BadParameter as error:
        blame_variable(error)
        raise
    except TextgenError as error:
        note_on_stderr(f"Error: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)  # as shells report it; click would exit 1


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "TEXTGEN"},
)
@click.version_option(package_name="textgen")
def main() -> None:
    """Train a character-level LSTM on any text and generate text with it."""
