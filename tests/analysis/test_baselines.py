"""Baselines against a slow oracle, on real English text."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from textgen.analysis.baselines import (
    WittenBell,
    baselines,
    overfitting,
    sample_note,
    verdict,
    xz_bits,
)
from textgen.text.vocabulary import Vocabulary

TEXT = (Path(__file__).parents[2] / "docs" / "design.md").read_text(encoding="utf-8")[:6000]
SPLIT = 5000


def encode(text: str) -> tuple[np.ndarray, int]:
    """Ids of a text, and the size of its vocabulary."""
    vocabulary = Vocabulary("".join(sorted(set(text))))
    return vocabulary.encode(text), len(vocabulary)


def slow_probability(train: str, history: str, character: str, vocabulary_size: int) -> float:
    """Witten-Bell's formula, read off the text itself."""
    p = 1 / vocabulary_size
    for length in range(len(history) + 1):
        suffix = history[len(history) - length :]
        followers: dict[str, int] = defaultdict(int)
        for start in range(len(train) - length):
            if train.startswith(suffix, start):
                followers[train[start + length]] += 1
        total, new = sum(followers.values()), len(followers)
        if total:
            p = (followers[character] + new * p) / (total + new)
    return p


@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_probabilities_are_the_formula(order: int) -> None:
    ids, size = encode(TEXT)
    model = WittenBell(ids[:SPLIT].astype(np.int64), size, order)
    *_, p = model.probabilities(ids[SPLIT - 6 :].astype(np.int64))
    for place in range(SPLIT, SPLIT + 60):
        history = TEXT[place - order + 1 : place]
        expected = slow_probability(TEXT[:SPLIT], history, TEXT[place], size)
        assert p[place - SPLIT + 6] == pytest.approx(expected, rel=1e-12), (place, history)


def test_probabilities_sum_to_one_after_any_context() -> None:
    ids, size = encode(TEXT)
    model = WittenBell(ids[:SPLIT].astype(np.int64), size)
    for place in (SPLIT, SPLIT + 17, SPLIT + 400):
        context = ids[place - 5 : place].astype(np.int64)
        total = np.zeros(6)
        for character in range(size):
            text = np.append(context, character)
            total += [p[-1] for p in model.probabilities(text)]
        np.testing.assert_allclose(total, 1, rtol=1e-12)


def test_blocks_do_not_change_the_result() -> None:
    ids, size = encode(TEXT)
    train, holdout = ids[:SPLIT].astype(np.int64), ids[SPLIT:]
    model = WittenBell(train, size)
    whole = model.bits_per_character(holdout, context=train)
    assert model.bits_per_character(holdout, train, block=97) == pytest.approx(whole)


def test_the_best_order_is_reported_beside_uniform_and_unigram() -> None:
    ids, size = encode(TEXT)
    result = baselines(ids[:SPLIT], ids[SPLIT:], size)
    assert result.ngram == min(result.ngrams) < result.unigram < result.uniform == np.log2(size)
    assert list(result.as_dict()) == ["uniform", "unigram", f"{result.order}-gram"]


def test_a_large_corpus_is_sampled() -> None:
    ids = np.random.default_rng(1).integers(0, 7, 3_200_000).astype(np.uint8)
    result = baselines(ids[:2_100_000], ids[2_100_000:], 7, max_order=2)
    sample = baselines(ids[100_000:2_100_000], ids[2_100_000:3_100_000], 7, max_order=2)
    assert result == sample


def test_a_sample_is_mentioned() -> None:
    assert "last 2,000,000 characters" in sample_note(5_000_000, 2_000_000)
    assert "first 1,000,000" in sample_note(5_000_000, 2_000_000)
    assert "first" not in sample_note(5_000_000, 1_000_000)
    assert sample_note(2_000_000, 1_000_000) == ""


def test_a_vocabulary_of_20_000_characters() -> None:
    ids = np.random.default_rng(1).permutation(20_000).astype(np.uint16)
    train = np.concatenate((ids, ids))
    result = baselines(train, ids[:1000], 20_000)
    assert result.ngram < 3 < result.unigram


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_training_text_shorter_than_the_longest_order(length: int) -> None:
    ids, size = encode(TEXT)
    result = baselines(ids[:length], ids[:3], size)
    assert len(result.ngrams) == length
    assert all(np.isfinite(result.ngrams))


def test_xz_copies_from_the_training_text() -> None:
    fresh = xz_bits(TEXT[:SPLIT], TEXT[SPLIT:])
    repeated = xz_bits(TEXT[:SPLIT], TEXT[1000:2000])
    assert repeated < 0.5
    assert 1.5 < fresh < 6


def test_the_verdict_is_one_honest_sentence() -> None:
    figures = {"uniform": 6.0, "unigram": 4.8, "5-gram": 2.408}
    assert verdict(2.1, figures).startswith("The model is better than a 5-gram")
    assert verdict(2.9, figures).startswith("The model is no better than a 5-gram")
    assert verdict(2.407, figures).startswith("The model is no better")
    assert verdict(2.1, {}) == ""


def test_overfitting_is_told_only_where_it_is() -> None:
    assert overfitting(train_loss=1.5, val_loss=1.6) == ""
    assert overfitting(train_loss=1.7, val_loss=1.6) == ""
    assert "0.72 bits" in overfitting(train_loss=1.0, val_loss=1.5)
