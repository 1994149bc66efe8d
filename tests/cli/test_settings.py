"""Options and files take the same values, because both are made from the configuration."""

from dataclasses import asdict
from typing import Any

import click
import pytest

from textgen.cli.settings import setting_options
from textgen.config import Cleaning, ModelConfig, TrainConfig
from textgen.storage import schema


def by_option(name: str, text: str) -> Any:
    """What the option of a setting makes of a text."""

    @click.command()
    @setting_options(name)
    def command(**given: Any) -> None:
        """Take the option."""

    option = "--" + name.replace("_", "-")
    return command.make_context("test", [option, text]).params[name]


def by_file(name: str, value: Any) -> Any:
    """What a file's reader makes of a value."""
    kinds = (ModelConfig, TrainConfig, Cleaning)
    kind: type = next(kind for kind in kinds if name in kind.__dataclass_fields__)
    plain = asdict(kind())
    values = {key: list(item) if isinstance(item, tuple) else item for key, item in plain.items()}
    return getattr(schema.settings(values | {name: value}, kind, "test"), name)


@pytest.mark.parametrize(
    ("name", "text", "value", "taken"),
    [
        ("cell", "gru", "gru", "gru"),
        ("normalize", "none", "none", "none"),
        ("units", "8192,1", [8192, 1], (8192, 1)),
        ("dropout", "0", 0, 0.0),
        ("epochs", "1", 1, 1),
        ("learning_rate", "0.5", 0.5, 0.5),
        ("seed", "9007199254740992", 2**53, 2**53),
    ],
)
def test_both_take_a_value(name: str, text: str, value: Any, taken: Any) -> None:
    assert by_option(name, text) == by_file(name, value) == taken


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("cell", "Lambda", "Lambda"),
        ("normalize", "nfd", "nfd"),
        ("units", "8193", [8193]),
        ("units", ",".join("1" * 17), [1] * 17),
        ("dropout", "1", 1),
        ("epochs", "0", 0),
        ("minutes", "0", 0),
        ("learning_rate", "0", 0),
        ("learning_rate", "nan", float("nan")),
        ("validation_split", "1", 1),
        ("seed", "-1", -1),
    ],
)
def test_both_refuse_a_value(name: str, text: str, value: Any) -> None:
    with pytest.raises(click.BadParameter):
        by_option(name, text)
    with pytest.raises(schema.Refused):
        by_file(name, value)


def test_only_settings_without_need_may_be_null() -> None:
    assert by_file("patience", None) is None
    with pytest.raises(schema.Refused):
        by_file("batch_size", None)
