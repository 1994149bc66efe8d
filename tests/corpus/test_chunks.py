"""Cutting streams of text: pieces cleaned one by one equal the whole text cleaned."""

# ruff: noqa: RUF001 (letters that look like others are what is tested)

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.corpus.chunks import LONGEST, Form, independent, is_fresh, whole_lines

# Letters that marks join, marks of several classes, Hangul in parts and whole, a composition
# exclusion, compatibility characters, the sigma, and blanks.
ALPHABET = "aeEoσΣİ \n\u0301\u0323\u0308\u1100\u1161\u11a8\uac00\u0958\u0344ﬁ½Ａ\u212b漢🙂"


@st.composite
def cut_texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A text, and the same text as a list of pieces."""
    pieces = draw(st.lists(st.text(ALPHABET, max_size=6), max_size=12))
    return "".join(pieces), pieces


@given(cut_texts())
def test_pieces_join_to_the_text(cut: tuple[str, list[str]]) -> None:
    text, pieces = cut
    assert "".join(independent(pieces, "NFC")) == text
    assert "".join(whole_lines(pieces)) == text


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@given(cut=cut_texts())
def test_normalising_pieces_equals_normalising_the_text(
    form: Form, cut: tuple[str, list[str]]
) -> None:
    text, pieces = cut
    normalised = [unicodedata.normalize(form, piece) for piece in independent(pieces, form)]
    assert "".join(normalised) == unicodedata.normalize(form, text)


@given(cut_texts())
def test_lowering_pieces_equals_lowering_the_text(cut: tuple[str, list[str]]) -> None:
    text, pieces = cut
    assert "".join(piece.lower() for piece in independent(pieces, "NFC")) == text.lower()


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@given(clusters=st.lists(st.tuples(st.sampled_from("aeo1"), st.text("\u0301\u0323", max_size=3))))
def test_text_without_blanks_is_cut_before_a_fresh_character(
    form: Form, clusters: list[tuple[str, str]]
) -> None:
    text = "".join(base + marks for base, marks in clusters)
    pieces = list(independent(text, form, longest=16))
    assert all(len(piece) <= 32 for piece in pieces)
    normalised = "".join(unicodedata.normalize(form, piece) for piece in pieces)
    assert normalised == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_no_fresh_character_is_ever_joined_to_one_before_it(form: Form) -> None:
    characters = list(map(chr, range(sys.maxunicode + 1)))
    pairs = [unicodedata.decomposition(character).split() for character in characters]
    seconds = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and pair[0][0] != "<"}
    seconds |= set(map(chr, range(0x1160, 0x1200)))  # Hangul vowels and finals join by rule
    fresh = [character for character in characters if is_fresh(character, form)]
    assert not seconds.intersection(fresh)
    assert not any(unicodedata.combining(character) for character in fresh)
    assert set("aZ0 .,\n。“") <= set(fresh)


def test_memory_is_bounded_in_a_line_and_in_a_word_without_end() -> None:
    for stream in (whole_lines, lambda pieces: independent(pieces, "NFC")):
        for endless in ("x", "é", "\u0301"):
            pieces = list(stream(endless * 1000 for _ in range(300)))
            assert max(map(len, pieces)) <= 2 * LONGEST
            assert sum(map(len, pieces)) == 300_000


def test_pieces_end_at_line_ends() -> None:
    pieces = list(whole_lines(["one\ntw", "o\n", "thr", "ee\nfour"]))
    assert pieces == ["one\n", "two\n", "three\n", "four"]


def test_a_long_line_is_cut_behind_a_blank() -> None:
    pieces = list(whole_lines(["word " * 20_000]))
    assert len(pieces) == 1
    pieces = list(whole_lines(["word " * 20_000 + "end", " of line\n"]))
    assert pieces == ["word " * 20_000, "end of line\n"]
