"""What a text shares with a training text, against Python's own string search."""

from difflib import SequenceMatcher

import numpy as np
import pytest
from support.small_run import STORY

from textgen.analysis.copying import (
    SEGMENT,
    Copying,
    count_copied_lines,
    line_at,
    measure_copying,
)
from textgen.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary("".join(sorted(set(STORY))))
TRAIN = STORY[:20_000]


def measure(text: str, segment: int = SEGMENT) -> Copying:
    """Measure a text against the head of the story."""
    ids, train_ids = VOCABULARY.lookup(text), VOCABULARY.encode(TRAIN)
    return measure_copying(ids, train_ids, len(VOCABULARY), segment)


def test_the_longest_run_is_the_longest_and_stands_where_it_is_said() -> None:
    text = STORY[21_000:22_000]
    found = measure(text)
    expected = SequenceMatcher(None, TRAIN, text, autojunk=False).find_longest_match()
    assert found.longest == expected.size
    run = text[found.text_place : found.text_place + found.longest]
    assert TRAIN[found.train_place : found.train_place + found.longest] == run


@pytest.mark.parametrize("length", [1, 2, 3, 57, 64, 500])
def test_a_planted_run_is_found(length: int) -> None:
    planted = TRAIN[7000 : 7000 + length]
    found = measure("\N{SNOWMAN}" * 9 + planted + "\N{SNOWMAN}" * 30)
    assert (found.longest, found.text_place) == (length, 9)
    assert TRAIN[found.train_place :].startswith(planted)


def test_shares_are_those_of_string_search() -> None:
    text = STORY[19_500:20_700]
    for n, share in measure(text).shares.items():
        grams = [text[k : k + n] for k in range(len(text) - n + 1)]
        assert share == pytest.approx(np.mean([gram in TRAIN for gram in grams]))


def test_nothing_shared() -> None:
    found = measure("\N{SNOWMAN}" * 50)
    assert (found.longest, found.shares) == (0, {10: 0.0, 20: 0.0, 40: 0.0})


@pytest.mark.parametrize("text", ["", "T"])
def test_a_text_shorter_than_the_n_grams(text: str) -> None:
    found = measure(text)
    assert (found.longest, found.shares) == (len(text), {10: None, 20: None, 40: None})


def test_the_whole_training_text() -> None:
    found = measure(TRAIN)
    assert (found.longest, found.train_place) == (len(TRAIN), 0)
    assert found.shares == {10: 1.0, 20: 1.0, 40: 1.0}


def test_segments_change_nothing() -> None:
    text = STORY[19_500:20_700]
    assert measure(text, segment=777) == measure(text)


def test_a_place_is_named_by_its_line() -> None:
    ids = VOCABULARY.encode(TRAIN)
    place = TRAIN.index("\n", 5000) + 3
    assert line_at(ids, place, VOCABULARY) == TRAIN[:place].count("\n") + 1
    assert line_at(ids, 0, VOCABULARY) == 1
    assert line_at(np.zeros(9, np.uint8), 5, Vocabulary("ab")) is None


def test_whole_lines_are_counted_but_for_short_and_cut_ones() -> None:
    lines = [line for line in TRAIN.split("\n")[:-1] if len(line.strip()) >= 20][:3]
    own = "a line that nobody has ever written before"
    texts = [
        "\n".join(["cut " + lines[0], lines[0], own, "Oh!", "", "  " + lines[1], lines[2]]),
        "\n".join(["", lines[1], lines[1] + " and more", ""]),
    ]
    train = VOCABULARY.encode(TRAIN)
    assert count_copied_lines(texts, train, VOCABULARY) == (5, 3)
    assert count_copied_lines(["", "one line"], train, VOCABULARY) == (0, 0)
