"""What a user may have meant: commands, and variables of the environment."""

import os
from collections.abc import Iterable

import click
from click.core import ParameterSource

from textgen.cli.terminal import note_on_stderr

PREFIX = "TEXTGEN_"
OTHERS = ("TEXTGEN_CAT_URL",)  # variables that are no option


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question with the nearest known name, after a blank; or nothing."""
    from difflib import get_close_matches  # not needed where nothing is wrong

    names = list(known)
    near = [one for one in names if one.startswith(name)] or get_close_matches(name, names, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def variable_of(command: click.Command, option: click.Parameter) -> str:
    """The variable of the environment that gives an option its default."""
    return str(option.envvar or f"{PREFIX}{command.name}_{option.name}".upper())


def note_unknown_variables(command: click.Command, commands: Iterable[str]) -> None:
    """Note each variable that looks like one of textgen's, but gives this command nothing.

    Args:
        command: the one that is called.
        commands: the names of all; the options of the others are not looked at.
    """
    options = [option for option in command.params if isinstance(option, click.Option)]
    known = [variable_of(command, option) for option in options]
    others = tuple(f"{PREFIX}{name}_".upper() for name in commands if name != command.name)
    for name in sorted(os.environ.keys() - {*known, *OTHERS}):
        if name.startswith(PREFIX) and not name.startswith(others):
            note_on_stderr(f"textgen has no variable {name}.{did_you_mean(name, known)}")


def blame_variable(error: click.BadParameter) -> None:
    """Let a message name the variable that a wrong value comes from, instead of the option."""
    option, context = error.param, error.ctx
    if option is None or context is None or option.name is None:
        return
    if context.get_parameter_source(option.name) is ParameterSource.ENVIRONMENT:
        error.param_hint = variable_of(context.command, option)
