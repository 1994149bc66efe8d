"""The values of options: types that click does not have, or has otherwise."""

import math
import os
from typing import Any

import click

from textgen.config import Setting


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
    """A whole number in a range; click's own message calls it an integer."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; a usage error for anything else."""
        try:
            int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        return int(super().convert(value, param, ctx))


class Temperatures(click.ParamType):
    """One temperature, or several separated by commas, each at least 0."""

    name = "number[,number...]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """The numbers; a usage error for anything else."""
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a number, nor several separated by commas.", param, ctx)
        if not all(number >= 0 and math.isfinite(number) for number in numbers):
            self.fail(f"{value!r} is not at least 0 and finite.", param, ctx)
        return numbers


class Length(click.ParamType):
    """A number of characters, or -1 for no end."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; a usage error for anything else."""
        number = Whole().convert(value, param, ctx)
        if number < 1 and number != -1:
            self.fail(f"{number} is neither at least 1 nor -1 (no end).", param, ctx)
        return number


def as_utf8(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Arguments as UTF-8, whatever the locale: Python decodes them by the locale."""
    if isinstance(value, tuple):
        return tuple(as_utf8(ctx, param, item) for item in value)
    try:
        return os.fsencode(value).decode()
    except UnicodeError:
        return value


class Undivided(click.Option):
    """An option that may be given several times; the environment gives one value, undivided."""

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """The variable as one value, blanks and all."""
        value = self.resolve_envvar_value(ctx)
        return None if value is None else (value,)


def only_prompt(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> str:
    """The prompt, or an empty text; a usage error for a second one."""
    if len(value) > 1:
        raise click.UsageError("-p is given twice. For many prompts: --prompts FILE, one a line.")
    return as_utf8(ctx, param, value[0]) if value else ""
