"""Characters that may stand for one another."""

# ruff: noqa: RUF001

import pytest

from textgen.text.relatives import relatives


@pytest.mark.parametrize(
    ("character", "nearest"),
    [
        *(("Q", "q"), ("é", "É"), ("ñ", "Ñ"), ("“", '"'), ("’", "'"), ("—", "-")),
        *(("\u00a0", " "), ("ﬁ", "f"), ("½", "1"), ("ａ", "Ａ")),
    ],
)
def test_the_nearest(character: str, nearest: str) -> None:
    assert next(iter(relatives(character))) == nearest


def test_the_letter_without_its_accent_comes_in_both_cases() -> None:
    assert list(relatives("É")) == ["é", "E", "e"]


def test_quotes_stand_for_all_their_kind() -> None:
    assert {'"', "”", "„", "»"} <= set(relatives("“"))
    assert "'" not in relatives("“")


@pytest.mark.parametrize("character", ["中", "🙂", "7", "\n"])
def test_some_have_none(character: str) -> None:
    assert list(relatives(character)) == []
