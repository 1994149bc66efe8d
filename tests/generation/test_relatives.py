"""Prompts as people type them, in characters that the model knows."""

import pytest

from textgen.generation.relatives import as_known
from textgen.messages import notes_to

ASCII = "".join(map(chr, range(32, 127))) + "\n"
CURLY = "abcdefghijklmnopqrstuvwxyz ‘’“”—…é\n"  # noqa: RUF001
PLAIN = "abcdefghijklmnopqrstuvwxyz .,"


def read(text: str, characters: str) -> tuple[str, list[str]]:
    """The text as it is read, and the notes."""
    notes: list[str] = []
    with notes_to(notes.append):
        return as_known(text, characters), notes


@pytest.mark.parametrize(
    ("text", "characters", "expected"),
    [
        ("“Don’t,” he said – well…", ASCII, '"Don\'t," he said - well...'),  # noqa: RUF001
        ("a—b", ASCII, "a--b"),
        ("café Zoë Ångström ﬁn", ASCII, "cafe Zoe Angstrom fin"),
        ("œuvre straße", ASCII, "oeuvre strasse"),
        ("10\u00a0km\u2009away\tand", ASCII, "10 km away and"),
        ("q\u0303", ASCII, "q"),
        ("\"don't\" ('so')", CURLY + "()", "“don’t” (‘so’)"),  # noqa: RUF001
        ("a-b", CURLY, "a—b"),
        ("«a»", CURLY, "“a”"),
        ("ÉCOLE È", PLAIN, "ecole e"),
        ("Ünder", "UNDER", "UNDER"),
        ("a\nb", PLAIN, "a b"),
        ("’", "ab'", "'"),  # noqa: RUF001
    ],
)
def test_what_the_model_does_not_know_becomes_what_it_knows(
    text: str, characters: str, expected: str
) -> None:
    found, notes = read(text, characters)
    assert found == expected
    assert len(notes) == 1


@pytest.mark.parametrize("text", ["雨", "☃ and 🦊", "\0", "1"])
def test_what_has_no_relative_stays(text: str) -> None:
    assert read(text, PLAIN) == (text, [])


def test_what_is_known_stays_as_it_is() -> None:
    assert read('“so” – "so"', 'so “”–"') == ('“so” – "so"', [])  # noqa: RUF001


def test_the_note_names_both() -> None:
    _, notes = read("“E\u00a0é” — q\u0303", PLAIN + '"-')
    assert notes == [
        'The model does not know E \\xa0 é \u0303 — “ ”: read as e ␣ e nothing -- " ".'
    ]
