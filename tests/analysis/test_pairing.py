"""The error of a difference: from pieces, whatever the blocks, wide where neighbours are alike."""

import math

import numpy as np
import pytest

from textgen.analysis.pairing import MOST, SHORTEST, Pieces, Standing, difference, standings


def pieces(bits: np.ndarray, block: int = 1000) -> Pieces:
    made = Pieces()
    for start in range(0, len(bits), block):
        made.add(bits[start : start + block])
    return made


def noise(characters: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(2, 1, characters)


@pytest.mark.parametrize("characters", [300, SHORTEST * MOST, 10_000, 1_000_000])
def test_the_error_of_independent_differences_is_the_usual_one(characters: int) -> None:
    one, other = noise(characters, 1) + 0.5, noise(characters, 2)
    found = difference(pieces(one), pieces(other))
    assert found is not None
    mean, error = found
    assert mean == pytest.approx(np.mean(one - other))
    assert 0.5 < error / math.sqrt(2 / characters) < 1.6


def test_the_size_of_the_blocks_does_not_matter() -> None:
    one, other = noise(50_001, 1), noise(50_001, 2)
    expected = difference(pieces(one), pieces(other))
    assert expected == pytest.approx(difference(pieces(one, 7), pieces(other, 49_999)))


def test_what_both_models_find_hard_cancels_out() -> None:
    hard, easy = 5 * noise(4000, 1), 0.01 * noise(4000, 2)
    found = difference(pieces(hard + easy), pieces(hard))
    assert found is not None
    assert found[1] < 0.001


def test_neighbours_that_are_alike_make_the_error_larger() -> None:
    alone = noise(20_000, 1)
    alike = np.repeat(alone[::50], 50)
    zero = pieces(np.zeros(20_000))
    first, second = difference(pieces(alone), zero), difference(pieces(alike), zero)
    assert first is not None
    assert second is not None
    assert second[1] > 4 * first[1]


def test_characters_that_only_one_has_counted_are_left_out() -> None:
    one, other = noise(2000, 1), noise(2000, 1)
    one[:40] = np.nan
    assert difference(pieces(one), pieces(other)) == (0, 0)


def test_a_text_of_few_pieces_gives_no_error() -> None:
    one, other = noise(3 * SHORTEST, 1), noise(3 * SHORTEST, 2)
    assert difference(pieces(one), pieces(other)) is None
    assert standings([2, 1], [pieces(one), pieces(other)]) == [Standing(None, None)] * 2


def test_the_best_is_far_enough_ahead_of_all() -> None:
    texts = [noise(5000, 1), noise(5000, 2) + 0.01, noise(5000, 3) + 1]
    figures = [float(text.mean()) for text in texts]
    assert [one.best for one in standings(figures, list(map(pieces, texts)))] == [None, None, False]
    pair = standings(figures[1:], list(map(pieces, texts[1:])))
    assert [one.best for one in pair] == [True, False]
    assert pair[0].error == pair[1].error
    assert standings([None, figures[0]], [Pieces(), pieces(texts[0])])[1].best is False
