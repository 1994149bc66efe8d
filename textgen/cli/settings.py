"""Options made from the settings of the configuration classes."""

import math
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

import click

from textgen.config import Cleaning, ModelConfig, Setting, TrainConfig

KINDS = (ModelConfig, TrainConfig, Cleaning)
FIELDS = {field.name: field for kind in KINDS for field in fields(kind)}

# What switches a setting off, where it is not called no-NAME.
OFF = {"drop-stopwords": "keep-stopwords"}


class Units(click.ParamType):
    """Layer widths, one number a layer: `256,256,128`."""

    name = "N,N,..."

    def __init__(self, rule: Setting):
        self.rule = rule

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """`256,128` to (256, 128)."""
        rule = self.rule
        try:
            units = tuple(int(part) for part in value.split(","))
        except ValueError:
            units = ()
        if not 1 <= len(units) <= rule.most or not all(
            rule.low <= width <= rule.high for width in units
        ):
            self.fail(
                f"{value!r} is not 1 to {rule.most} numbers from {rule.low} to {rule.high}, "
                "one a layer.",
                param,
                ctx,
            )
        return units


class Finite(click.FloatRange):
    """A number in a range; click's own lets `nan` pass."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number; a usage error for anything else."""
        try:
            float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number.", param, ctx)
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Whole(click.IntRange):
    """A whole number in a range; click's own message speaks of an integer range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; a usage error for anything else."""
        try:
            int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        return int(super().convert(value, param, ctx))


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
