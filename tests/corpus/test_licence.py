"""Project Gutenberg's licence is taken out where it is marked, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.corpus.licence import HEADER, without_licence

BOOK = "THE LANTERN\n\nA lantern hung above the door,\nand nobody lit it any more.\n"
NEW_START = (
    "The Project Gutenberg EBook of The Lantern\n\nThis eBook is for the use of anyone.\n\n"
    "*** START OF THIS PROJECT GUTENBERG EBOOK THE LANTERN ***\n\n\n"
)
WRAPPED_START = "*** START OF THE PROJECT GUTENBERG EBOOK THE LANTERN, OR,\nWHO HAS THE KEY ***\n\n"
OLD_START = (
    "The Project Gutenberg Etext of The Lantern\n***START**THE SMALL PRINT!**FOR PUBLIC\n"
    "Money is not asked.\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n"
)
END = (
    "*** END OF THE PROJECT GUTENBERG EBOOK THE LANTERN ***\n\nUpdated editions replace this.\n"
    "*END THE SMALL PRINT! FOR PUBLIC DOMAIN EBOOKS*Ver.02/11/02*END*\n"
)
END_LINE = "End of Project Gutenberg's The Lantern, by Nobody\n\n"


def stripped(text: str, size: int = 1 << 20) -> str:
    return "".join(without_licence(text[at : at + size] for at in range(0, len(text), size)))


@pytest.mark.parametrize("size", [1, 7, 80, 1 << 20])
@pytest.mark.parametrize("start", ["", NEW_START, WRAPPED_START, OLD_START, OLD_START + NEW_START])
@pytest.mark.parametrize("end", ["", END, END_LINE + END, END_LINE])
def test_marked_licences_go(start: str, end: str, size: int) -> None:
    assert stripped(start + BOOK + end, size) == BOOK


def test_several_books_in_one_stream_are_all_kept() -> None:
    marked = NEW_START + BOOK + END_LINE + END
    assert stripped(marked * 3).count(BOOK) == 3
    assert "GUTENBERG" not in stripped(marked * 3).upper()


@pytest.mark.parametrize(
    "line",
    [
        "He had read Project Gutenberg's whole shelf.\n",
        "Say *** END OF THE PROJECT GUTENBERG EBOOK *** aloud.\n",
        "*** END OF THE PROJECT ***\n",
        "The End of Project Gutenberg was near.\n",
        "*** * *** \n",
    ],
)
def test_text_that_only_speaks_of_it_stays(line: str) -> None:
    text = BOOK + line + BOOK
    assert stripped(text) == stripped(text, 5) == text


def test_a_start_mark_far_into_the_text_is_text() -> None:
    text = "fog and rain\n" * (HEADER // 12) + NEW_START + BOOK
    assert stripped(text, 1000) == text


def test_a_mark_within_a_line_too_long_to_hold_is_text() -> None:
    text = "fog " * 50_000 + NEW_START.splitlines()[-3] + " and rain\n" + BOOK
    assert stripped(text, 4096) == text


@given(
    st.lists(st.sampled_from([BOOK, NEW_START, OLD_START, END, END_LINE, "fog", "\n", "*** "])),
    st.integers(1, 200),
)
def test_where_the_stream_is_cut_does_not_matter(parts: list[str], size: int) -> None:
    text = "".join(parts)
    assert stripped(text, size) == stripped(text)
