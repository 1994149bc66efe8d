"""Where sentences, lines and paragraphs end."""

import pytest

from textgen.generation.units import ends


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("He ran.", " "),
        ("He ran.", "\n"),
        ("He ran!”", " "),
        ('"Why?"', " "),
        ("Well...", " "),
        ("Well…", " "),
        ("It was I.", " "),
        ("I don't.", " "),
        ("in 1850.", " "),
        ("彼は笑った。", "そ"),
        ("「彼は笑った。」", "そ"),
        ("ख़त्म।", " "),
    ],
)
def test_a_sentence_ends(text: str, following: str) -> None:
    assert ends("sentence", text, following)


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("", " "),
        (".", " "),
        ('..."', " "),
        ("He ran", " "),
        ("Version 3.", "1"),
        ("He ran.", '"'),
        ("said Mr.", " "),
        ("(see Dr.", " "),
        ("said J.", " "),
        ("by J. S.", " "),
        ("i.e.", " "),
        ("in the U.S.", " "),
        ("彼は笑った。", "」"),
        ("彼は笑った！", "？"),  # noqa: RUF001
    ],
)
def test_a_sentence_goes_on(text: str, following: str) -> None:
    assert not ends("sentence", text, following)


@pytest.mark.parametrize(
    ("unit", "text", "complete"),
    [
        ("line", "a\n", True),
        ("line", "\n", False),
        ("line", "a", False),
        ("paragraph", "a\n", False),
        ("paragraph", "a\n\n", True),
        ("paragraph", "a\n \n", True),
        ("paragraph", "a\n\nb\n", False),
        ("paragraph", "\n\n", False),
    ],
)
def test_lines_and_paragraphs(unit: str, text: str, complete: bool) -> None:
    assert ends(unit, text, "x") is complete
