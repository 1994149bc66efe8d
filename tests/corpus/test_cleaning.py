"""The cleaning options, on texts and on prompts."""

# ruff: noqa: RUF001 (letters that look like others are what is tested)

import unicodedata
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.config import NORMALIZATIONS, Cleaning
from textgen.corpus.cleaning import clean_prompt, cleaner

CLEANINGS = st.builds(
    Cleaning,
    lowercase=st.booleans(),
    normalize=st.sampled_from(NORMALIZATIONS),
    ascii=st.booleans(),
)
PIECES = st.lists(st.text("aEİΣσ \n\u0301\u0323é漢ﬁ“—ß.'\u1100\u1161", max_size=8), max_size=10)


def cleaned(text: str, **options: Any) -> str:
    return "".join(cleaner(Cleaning(**options))([text]))


@given(PIECES, CLEANINGS)
def test_cleaning_does_not_depend_on_where_the_stream_is_cut(
    pieces: list[str], cleaning: Cleaning
) -> None:
    clean = cleaner(cleaning)
    assert "".join(clean(pieces)) == "".join(clean(["".join(pieces)]))


@given(st.text(), CLEANINGS)
def test_cleaning_makes_good_its_promise(text: str, cleaning: Cleaning) -> None:
    result = "".join(cleaner(cleaning)([text]))
    if cleaning.ascii:
        assert result.isascii()
    elif cleaning.normalize != "none":
        assert unicodedata.is_normalized("NFC" if cleaning.normalize == "nfc" else "NFKC", result)
    elif not cleaning.lowercase:
        assert result == text
    if cleaning.lowercase and cleaning.ascii:
        assert result == result.lower()


@given(PIECES)
def test_normalisation_equals_that_of_the_whole_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert "".join(cleaner(Cleaning())(pieces)) == unicodedata.normalize("NFC", text)
    both = Cleaning(lowercase=True, normalize="none")
    assert "".join(cleaner(both)(pieces)) == text.lower()


def test_lower_case_knows_the_end_of_a_word() -> None:
    assert cleaned("ΟΔΥΣΣΕΥΣ ΟΔΟΣ", lowercase=True) == "οδυσσευς οδος"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("“Don’t—please…”", '"Don\'t--please..."'),
        ("Brunetière, naïve façade", "Brunetiere, naive facade"),
        ("Straße, Æsir, Łódź, œuvre, smørrebrød", "Strasse, AEsir, Lodz, oeuvre, smorrebrod"),
        ("½ ﬁne\u00a0Ａ №", "1/2 fine A No"),
        ("漢字 kanji\u200b", " kanji"),
        ("e\u0301\u0323", "e"),
        ("a\u2028b", "a\nb"),
    ],
)
def test_ascii_writes_as_a_typewriter_would(text: str, plain: str) -> None:
    assert cleaned(text, ascii=True) == plain


def test_nfkc_folds_compatibility_characters_and_nfc_does_not() -> None:
    assert cleaned("ﬁn Ａ e\u0301", normalize="nfkc") == "fin A é"
    assert cleaned("ﬁn Ａ e\u0301") == "ﬁn Ａ é"
    assert cleaned("e\u0301", normalize="none") == "e\u0301"


def test_tokens_are_joined_by_one_blank_and_quotes_stay_plain() -> None:
    text = '"I can\'t," said the crow. "We\'ll see..."\n\nThe gate (shut!) gave   way.\n'
    assert cleaned(text, tokenize=True) == (
        '" I ca n\'t , " said the crow . " We \'ll see ... " The gate ( shut ! ) gave way .'
    )


@given(st.lists(st.text("abs n't.,:;'\"`-()[]{}<>?!$ \n1”’“*", max_size=8)))
def test_tokens_do_not_depend_on_where_the_stream_is_cut(pieces: list[str]) -> None:
    clean = cleaner(Cleaning(tokenize=True))
    assert "".join(clean(pieces)) == "".join(clean(["".join(pieces)]))


def test_a_prompt_is_cleaned_as_a_text() -> None:
    assert clean_prompt("  The Cafe\u0301\r\n ", Cleaning(lowercase=True)) == "  the café\n "
    assert clean_prompt("Don't stop. ", Cleaning(tokenize=True)) == "Do n't stop ."
    assert clean_prompt("\udcff", Cleaning()) == "\udcff"


@given(st.text(), CLEANINGS)
def test_a_clean_prompt_stays_as_it_is(text: str, cleaning: Cleaning) -> None:
    cleaning = replace(cleaning, lowercase=False)
    once = clean_prompt(text, cleaning)
    assert clean_prompt(once, cleaning) == once
