"""The built-in story: its length, its characters, its form, and that nothing in it repeats."""

from collections import Counter
from importlib.resources import files

import pytest

# The calling rhyme may come back; these lines are left out where repetition is counted.
REFRAIN = (
    '"Hello to the hills, and hello to the sea!',
    "Is there anyone there? Will you call back to me?",
    "I've a crumb in my pocket, a song in my shoe,",
    'And the very last word I am leaving for you!"',
)
SPAN = 60
PRINTABLE_ASCII = {chr(code) for code in range(0x20, 0x7F)}


@pytest.fixture(scope="module")
def story() -> str:
    """The text exactly as it is stored, newlines untranslated."""
    return files("textgen.corpora").joinpath("runaway-echo.txt").read_bytes().decode("utf-8")


@pytest.fixture(scope="module")
def lines_outside_refrain(story: str) -> list[str]:
    """All lines that are neither empty nor one of the refrain's."""
    return [line for line in story.split("\n") if line and line not in REFRAIN]


def is_heading(stanza: str) -> bool:
    """Whether a stanza is the title or the heading of a part: one line without lower case."""
    return "\n" not in stanza and stanza == stanza.upper()


def test_length(story: str) -> None:
    assert 28_000 <= len(story) <= 36_000


def test_only_plain_ascii(story: str) -> None:
    assert set(story) <= PRINTABLE_ASCII | {"\n"}


def test_ends_with_exactly_one_newline(story: str) -> None:
    assert story.endswith("\n")
    assert not story.endswith("\n\n")


def test_no_stray_blanks(story: str) -> None:
    assert "\n\n\n" not in story
    assert "  " not in story
    assert all(line == line.strip() for line in story.split("\n"))


def test_refrain_comes_whole_and_seldom(story: str) -> None:
    assert story.count("\n".join(REFRAIN)) == 4


def test_no_line_twice_outside_refrain(lines_outside_refrain: list[str]) -> None:
    repeated = {line: n for line, n in Counter(lines_outside_refrain).items() if n > 1}
    assert not repeated


def test_no_long_span_twice_outside_refrain(lines_outside_refrain: list[str]) -> None:
    text = "\n".join(lines_outside_refrain)
    spans = Counter(text[start : start + SPAN] for start in range(len(text) - SPAN + 1))
    assert not {span: n for span, n in spans.items() if n > 1}


def test_couplets(story: str) -> None:
    """Every stanza that is not a heading has an even number of lines."""
    stanzas = [s for s in story.rstrip("\n").split("\n\n") if not is_heading(s)]
    odd = [s for s in stanzas if len(s.split("\n")) % 2]
    assert len(stanzas) > 100
    assert not odd


def test_nine_parts(story: str) -> None:
    headings = [s for s in story.split("\n\n") if is_heading(s)]
    assert headings[0] == "THE RUNAWAY ECHO"
    assert len(headings) == 10
    assert all(heading.startswith("PART ") for heading in headings[1:])
