"""Reading JSON that somebody else may have written: bounded, closed, plainly typed."""

import json
import math
from collections.abc import Collection
from dataclasses import Field, fields
from typing import Any, TypeVar, get_origin

# Every value costs Python about a hundred bytes, whatever it costs in the file.
MAX_VALUES = 100_000
# Enough for the 128-bit integers of random generators.
MAX_DIGITS = 40
MAX_DEPTH = 8

Config = TypeVar("Config")


class Refused(ValueError):
    """Why untrusted data is not used; the caller adds which file it was."""


def brief(value: object) -> str:
    """A value from an untrusted file, safe to print: escaped and cut."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def parse_json(data: bytes, max_values: int = MAX_VALUES) -> Any:
    """Parse UTF-8 JSON of at most `max_values` values, without duplicate keys, NaN or Infinity.

    Raises:
        Refused: for anything else, nesting that exhausts the stack included.
    """
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > max_values:
        raise Refused("its JSON holds too many values")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_short,
        )
    except Refused:
        raise
    except ValueError as error:
        raise Refused(f"its JSON cannot be read ({brief(str(error))})") from None
    except RecursionError:
        raise Refused("its JSON is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Refused("its JSON repeats a key")
    return value


def _no_constant(token: str) -> float:
    raise Refused(f"its JSON holds {token}")


def _finite(token: str) -> float:
    value = float(token)
    if not math.isfinite(value):
        raise Refused(f"its JSON holds the number {brief(token)}")
    return value


def _short(token: str) -> int:
    if len(token.lstrip("-")) > MAX_DIGITS:
        raise Refused(f"its JSON holds the number {brief(token)}")
    return int(token)


def closed(value: Any, keys: Collection[str], where: str) -> dict[str, Any]:
    """An object with exactly these keys."""
    if not isinstance(value, dict):
        raise Refused(f"{where} is not an object")
    if missing := sorted(set(keys) - set(value)):
        raise Refused(f"{where} lacks {brief(missing[0])}")
    if unknown := sorted(set(value) - set(keys)):
        raise Refused(f"{where} has an unknown key {brief(unknown[0])}")
    return value


def items(value: Any, most: int, where: str) -> list[Any]:
    """A list of 1 to `most` items."""
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise Refused(f"{where} is not a list of 1 to {most} items")
    return value


def integer(value: Any, low: int, high: int, where: str) -> int:
    """An integer from `low` to `high`."""
    if type(value) is not int or not low <= value <= high:
        raise Refused(f"{where} is {brief(value)}, not an integer from {low} to {high}")
    return value


def number(value: Any, low: float, high: float, where: str) -> float:
    """A number from `low` to `high`."""
    if type(value) not in (int, float) or not low <= value <= high:
        raise Refused(f"{where} is {brief(value)}, not a number from {low} to {high}")
    return float(value)


def settings(value: Any, kind: type[Config], where: str) -> Config:
    """A configuration, of a class whose fields are made by `textgen.config.setting`."""
    found = fields(kind)  # type: ignore[arg-type]
    value = closed(value, [field.name for field in found], where)
    return kind(**{field.name: _setting(value[field.name], field) for field in found})


def _setting(value: Any, field: Field) -> Any:
    name, rule = field.name, field.metadata["setting"]
    if value is None and field.type in (int | None, float | None):
        return None
    if field.type is bool:
        return boolean(value, name)
    if rule.choices:
        return choice(value, rule.choices, name)
    of_kind = integer if field.type in (int, int | None, tuple[int, ...]) else number
    if get_origin(field.type) is tuple:
        values = items(value, rule.most, name)
        return tuple(of_kind(item, rule.low, rule.high, name) for item in values)
    found = of_kind(value, rule.low, rule.high, name)
    if (rule.above and found == rule.low) or (rule.below and found == rule.high):
        raise Refused(f"{name} is {brief(value)}, not between {rule.low} and {rule.high}")
    return found


def boolean(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Refused(f"{where} is {brief(value)}, not true or false")
    return value


def choice(value: Any, choices: Collection[str], where: str) -> str:
    """One of a few strings."""
    if not isinstance(value, str) or value not in choices:
        raise Refused(f"{where} is {brief(value)}, not one of {', '.join(choices)}")
    return value


def text(value: Any, most: int, where: str) -> str:
    """A string of 1 to `most` characters, none of them half of a surrogate pair."""
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        raise Refused(f"{where} is not a string of 1 to {most:,} characters")
    return _no_surrogates(value, where)


def string(value: Any, most: int, where: str) -> str:
    """A string of at most `most` characters, which may be empty."""
    if not isinstance(value, str) or len(value) > most:
        raise Refused(f"{where} is not a string of at most {most:,} characters")
    return _no_surrogates(value, where)


def _no_surrogates(value: str, where: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Refused(f"{where} holds half of a surrogate pair") from None
    return value


def free_object(value: Any, where: str) -> dict[str, Any]:
    """An object of any plain JSON values, nested at most `MAX_DEPTH` deep."""
    if not isinstance(value, dict):
        raise Refused(f"{where} is not an object")
    _check_free(value, where, MAX_DEPTH)
    return value


def _check_free(value: Any, where: str, depth: int) -> None:
    if depth < 0:
        raise Refused(f"{where} is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        for key, item in value.items():
            _no_surrogates(key, where)
            _check_free(item, where, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check_free(item, where, depth - 1)
    elif isinstance(value, str):
        _no_surrogates(value, where)
