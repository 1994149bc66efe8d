"""Characters and their ids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.errors import TextgenError
from textgen.text.vocabulary import Vocabulary, describe, id_dtype


def vocabulary_of(text: str) -> Vocabulary:
    return Vocabulary("".join(sorted(set(text))))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_decode_undoes_encode(text: str) -> None:
    vocabulary = vocabulary_of(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text


@pytest.mark.parametrize(
    ("size", "dtype"), [(1, "u1"), (256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4")]
)
def test_ids_take_the_smallest_dtype(size: int, dtype: str) -> None:
    assert id_dtype(size) == np.dtype(dtype)


def test_unknown_character_is_named_with_its_code_point() -> None:
    with pytest.raises(TextgenError, match=r"'é' \(U\+00E9, LATIN SMALL LETTER E WITH ACUTE\)"):
        vocabulary_of("abc").encode("abé")


def test_unknown_beyond_the_known_code_points() -> None:
    assert vocabulary_of("abc").lookup("a\U0010ffff").tolist() == [0, 3]


def test_unknown_can_be_skipped() -> None:
    vocabulary = vocabulary_of("abc")
    assert vocabulary.decode(vocabulary.encode("aXbYc", "skip")) == "abc"


def test_unknown_is_replaced_by_a_blank_if_that_is_known() -> None:
    vocabulary = vocabulary_of("ab ")
    assert vocabulary.decode(vocabulary.encode("aXb", "replace")) == "a b"


def test_unknown_is_replaced_by_the_commonest_character_otherwise() -> None:
    vocabulary = Vocabulary("abc", commonest="b")
    assert vocabulary.decode(vocabulary.encode("aXc", "replace")) == "abc"


def test_describe_a_character_without_a_name() -> None:
    assert describe("\x07") == "'\\x07' (U+0007, no name)"
