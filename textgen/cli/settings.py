"""Options made from the settings of the configuration classes."""

from collections.abc import Callable
from dataclasses import Field, fields

import click

from textgen.cli.values import Finite, Units, Whole
from textgen.config import Cleaning, ModelConfig, TrainConfig

KINDS = (ModelConfig, TrainConfig, Cleaning)
FIELDS = {field.name: field for kind in KINDS for field in fields(kind)}

# What switches a setting off, where it is not called no-NAME.
OFF = {"drop-stopwords": "keep-stopwords"}


def setting_options(*names: str, shown: tuple[str, ...] = ()) -> Callable[[Callable], Callable]:
    """Options for these settings; the defaults of those in `shown` are part of their help."""

    def decorate(command: Callable) -> Callable:
        for name in reversed(names):
            field = FIELDS[name]
            default = f"  [default: {field.default}]" if name in shown else ""
            text = field.metadata["setting"].help + default
            command = click.option(_flag(field), type=_type(field), default=None, help=text)(
                command
            )
        return command

    return decorate


def _flag(field: Field) -> str:
    name = field.name.replace("_", "-")
    return f"--{name}/--{OFF.get(name, f'no-{name}')}" if field.type is bool else f"--{name}"


def _type(field: Field) -> click.ParamType:
    rule = field.metadata["setting"]
    if field.type is bool:
        return click.BOOL
    if rule.choices:
        return click.Choice(rule.choices)
    if field.name == "units":
        return Units(rule)
    if field.type in (int, int | None):
        return Whole(rule.low, rule.high)
    return Finite(rule.low, rule.high, min_open=rule.above, max_open=rule.below)
