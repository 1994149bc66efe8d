"""The n-gram index against plain string search."""

import random

import numpy as np
import pytest

from textgen.generation.ngrams import CopyGuard, NgramIndex
from textgen.text.vocabulary import Vocabulary

BOOK = """How now, said the kettle, the lid and the spoon,
how now, said the cat, is it morning or noon?
It is morning, said Tom, and the milk is not in,
so the cat and the kettle sat down to begin.
"""
VOCABULARY = Vocabulary("".join(sorted(set(BOOK))))


def book_index(n: int) -> NgramIndex:
    return NgramIndex(VOCABULARY.encode(BOOK), n, len(VOCABULARY))


def babble(seed: int, length: int) -> str:
    """Scraps of the book of 1 to 30 characters."""
    rng, text = random.Random(seed), ""
    while len(text) < length:
        start = rng.randrange(len(BOOK))
        text += BOOK[start : start + rng.randint(1, 30)]
    return text[:length]


@pytest.mark.parametrize("n", [1, 2, 5, 17, 60])
def test_contains_agrees_with_string_search(n: int) -> None:
    text = babble(1, 400)

    found = book_index(n).contains(VOCABULARY.encode(text))

    expected = [text[k : k + n] in BOOK for k in range(len(text) - n + 1)]
    assert found.tolist() == expected
    assert n > 10 or any(expected)


@pytest.mark.parametrize("n", [1, 4, len(BOOK)])
def test_all_of_the_book_is_in_the_book(n: int) -> None:
    assert book_index(n).contains(VOCABULARY.encode(BOOK)).all()


def test_a_text_longer_than_one_chunk() -> None:
    ids = np.random.default_rng(0).integers(0, 90, 600_000).astype(np.uint8)
    index = NgramIndex(ids, 8, 90)

    assert index.contains(ids).all()
    assert not index.contains(np.random.default_rng(1).integers(0, 90, 600_000)).any()


def test_texts_shorter_than_n_have_no_ngrams() -> None:
    assert book_index(10).contains(VOCABULARY.encode("How now")).tolist() == []
    assert not book_index(len(BOOK) + 1).contains(VOCABULARY.encode(BOOK * 2)).any()


def test_an_unknown_character_is_in_no_ngram_of_the_book() -> None:
    ids = VOCABULARY.lookup("said the #at")
    assert book_index(3).contains(ids).tolist() == [True] * 7 + [False] * 3


@pytest.mark.parametrize("n", [1, 3, 12])
def test_the_guard_names_exactly_the_characters_that_would_copy(n: int) -> None:
    texts = [babble(seed, 120) for seed in range(3)]
    guard = CopyGuard(book_index(n), len(texts))

    for place, column in enumerate(np.stack([VOCABULARY.encode(text) for text in texts]).T):
        for text, excluded in zip(texts, guard.excluded() or [np.array([])] * 3, strict=True):
            run = text[max(0, place - n) : place]
            copying = {c for c in VOCABULARY.characters if len(run) == n and run + c in BOOK}
            assert {VOCABULARY.characters[k] for k in excluded} == copying
        guard.push(column)


def test_unknown_characters_of_the_book_are_never_excluded() -> None:
    few = Vocabulary("abc")
    guard = CopyGuard(NgramIndex(few.lookup("abXab"), 2, len(few)), 1)
    for character in "ab":
        guard.push(few.encode(character))
    assert [excluded.tolist() for excluded in guard.excluded()] == [[]]


def test_the_index_takes_at_most_eight_bytes_a_character() -> None:
    ids = np.random.default_rng(0).integers(0, 60, 100_000).astype(np.uint8)
    assert NgramIndex(ids, 20, 60).nbytes <= 8 * len(ids)
    assert NgramIndex(ids, 1, 60).nbytes <= 8 * 60 * 61
