"""Choosing characters against exact probabilities, and generating with known models."""

import math
import threading
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from textgen.config import ModelConfig
from textgen.cores import available_cores
from textgen.generation.continuation import Continuation, read_prompt
from textgen.generation.network import Network
from textgen.generation.ngrams import NgramIndex
from textgen.generation.sampling import (
    Chooser,
    Filters,
    Sample,
    Settings,
    Uniforms,
    generate,
    surprisals,
)
from textgen.text.vocabulary import Vocabulary

LOGITS = [2.0, 1.5, 1.5, 0.25, -1.0, -3.0, -30.0]
RHYME = """A rope and a ladder, a lamp and a pin,
a map of the attic to find our way in,
a map of the cellar to find our way out,
and nobody said what the map was about.
"""
RHYME_VOCABULARY = Vocabulary("".join(sorted(set(RHYME))))


def exact(
    logits: list[float], temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> list[float]:
    """The probabilities, by the definitions and in plain Python."""
    best = max(logits)
    weights = {k: math.exp(logit - best) for k, logit in enumerate(logits)}
    ranked = sorted(weights, key=lambda k: -weights[k])
    if top_k:
        ranked = ranked[:top_k]
    total, reached, nucleus = sum(weights[k] for k in ranked), 0.0, []
    for k in ranked:
        if not nucleus or reached < top_p * total:
            nucleus.append(k)
            reached += weights[k]
    kept = [k for k in nucleus if weights[k] >= min_p]
    tempered = {k: math.exp((logits[k] - best) / temperature) for k in kept}
    return [tempered.get(k, 0.0) / sum(tempered.values()) for k in range(len(logits))]


def draw(
    logits: list[float], temperature: float, filters: Filters, count: int = 20_000
) -> np.ndarray:
    """How often each id is drawn."""
    rows = np.tile(np.float32(logits), (count, 1))
    chooser = Chooser([temperature] * count, len(logits), filters)
    uniforms = np.random.default_rng(5).random((count, 1))
    return np.bincount(chooser.choose(rows, uniforms), minlength=len(logits))


def assert_fits(counts: np.ndarray, probabilities: list[float]) -> None:
    """Pearson's chi-square test, five standard deviations wide; never what is impossible."""
    expected = np.array(probabilities) * counts.sum()
    assert not counts[expected == 0].any()
    common = expected > 5
    chi_square = ((counts - expected)[common] ** 2 / expected[common]).sum()
    freedom = max(1, common.sum() - 1)
    assert chi_square < freedom + 5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("temperature", [0.2, 0.8, 1.0, 1.7, 50.0])
def test_draws_follow_the_tempered_distribution(temperature: float) -> None:
    assert_fits(draw(LOGITS, temperature, Filters()), exact(LOGITS, temperature))


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
@pytest.mark.parametrize(
    "filters",
    [
        Filters(top_k=1),
        Filters(top_k=2),
        Filters(top_k=4),
        Filters(top_p=0.3),
        Filters(top_p=0.8),
        Filters(top_p=0.0),
        Filters(min_p=0.5),
        Filters(min_p=0.05),
        Filters(min_p=1.0),
        Filters(top_k=5, top_p=0.9, min_p=0.1),
        Filters(top_k=3, top_p=0.95),
    ],
)
def test_filters_leave_what_their_definitions_say(filters: Filters, temperature: float) -> None:
    expected = exact(LOGITS, temperature, filters.top_k, filters.top_p, filters.min_p)
    assert_fits(draw(LOGITS, temperature, filters), expected)


def test_the_test_itself_can_fail() -> None:
    with pytest.raises(AssertionError):
        assert_fits(draw(LOGITS, 0.9, Filters()), exact(LOGITS, 1.0))
    with pytest.raises(AssertionError):
        assert_fits(draw(LOGITS, 1.0, Filters()), exact(LOGITS, 1.0, top_k=5))


@pytest.mark.parametrize("temperature", [0.0, 5e-324, 1e-300, 1e-30, 1e300])
@pytest.mark.parametrize("scale", [1.0, 1e30])
def test_no_temperature_overflows(temperature: float, scale: float) -> None:
    logits = [scale * logit for logit in (-1.0, 3.0, 2.0, 3.0)]
    with np.errstate(all="raise", under="ignore"):
        counts = draw(logits, temperature, Filters(top_p=0.9999), 500)
    if temperature == 0:
        assert counts.tolist() == [0, 500, 0, 0]
    elif temperature < 1 or scale > 1:
        assert counts[[0, 2]].tolist() == [0, 0]
    else:
        assert counts.all()


def test_greedy_takes_the_first_of_equals_whatever_the_draw() -> None:
    chooser = Chooser([0.0, 0.0], 3, Filters())
    logits = np.float32([[1, 2, 2], [5, 4, 5]])
    for uniform in (0.0, 0.5, 1 - 2.0**-53):
        assert chooser.choose(logits, np.full((2, 1), uniform)).tolist() == [1, 0]


@pytest.mark.parametrize("uniform", [0.0, 1 - 2.0**-53])
def test_the_ends_of_the_unit_interval_draw_possible_characters(uniform: float) -> None:
    chooser = Chooser([1.0], 5, Filters())
    logits = np.float32([[-1e30, 0, 1, 0.5, -1e30]])
    assert chooser.choose(logits, np.array([[uniform]])).tolist() == [1 if uniform == 0 else 3]


def test_excluded_characters_are_never_drawn_and_the_rest_is_rescaled() -> None:
    count = 20_000
    rows = np.tile(np.float32(LOGITS), (count, 1))
    excluded = [np.array([0, 3], dtype=np.uint64)] * count
    uniforms = np.random.default_rng(5).random((count, 1))

    ids = Chooser([0.7] * count, len(LOGITS), Filters()).choose(rows, uniforms, excluded)

    left = [-math.inf if k in (0, 3) else logit for k, logit in enumerate(LOGITS)]
    assert_fits(np.bincount(ids, minlength=len(LOGITS)), exact(left, 0.7))


def test_each_row_has_its_own_temperature() -> None:
    half = 10_000
    rows = np.tile(np.float32(LOGITS), (2 * half, 1))
    chooser = Chooser([0.4] * half + [1.5] * half, len(LOGITS), Filters())
    ids = chooser.choose(rows, np.random.default_rng(8).random((2 * half, 1)))

    for part, temperature in ((ids[:half], 0.4), (ids[half:], 1.5)):
        assert_fits(np.bincount(part, minlength=len(LOGITS)), exact(LOGITS, temperature))


def test_surprisals_are_untempered_bits() -> None:
    probabilities = exact(LOGITS, 1.0)
    rows = np.tile(np.float32(LOGITS), (3, 1))
    bits = surprisals(rows, np.array([0, 4, 6]))
    np.testing.assert_allclose(bits, [-math.log2(probabilities[k]) for k in (0, 4, 6)], rtol=1e-6)


def test_uniforms_depend_on_seed_and_index_alone() -> None:
    together, alone = Uniforms(7, [0, 1, 2]), Uniforms(7, [1])
    columns = [(together.draw()[1, 0], alone.draw()[0, 0]) for _ in range(600)]

    assert all(a == b for a, b in columns)
    assert len({a for a, _ in columns}) == 600
    assert Uniforms(8, [1]).draw() != Uniforms(7, [1]).draw()


# Generating


def bigram_model(text: str, vocabulary: Vocabulary) -> Continuation:
    """A network that has learned which character follows which in a text, and no more."""
    size = len(vocabulary)
    ids = vocabulary.encode(text)
    counts = np.full((size, size), 1e-3)
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    config = ModelConfig(cell="rnn", units=(size,))
    weights = {
        "layer_0/kernel": 20 * np.eye(size),
        "layer_0/recurrent_kernel": np.zeros((size, size)),
        "layer_0/bias": np.zeros(size),
        "logits/kernel": np.log(counts),
        "logits/bias": np.zeros(size),
    }
    return read_prompt(Network(config, weights), ids[:10])


def settings(length: int, **others: object) -> Settings:
    return Settings(RHYME_VOCABULARY.characters, length, seed=3, **others)  # type: ignore[arg-type]


def texts(samples: list[Sample], made: Settings) -> list[str]:
    for _ in generate(bigram_model(RHYME, RHYME_VOCABULARY), samples, made):
        pass
    return [sample.take() for sample in samples]


def test_a_known_chain_is_sampled_with_its_own_probabilities() -> None:
    samples = [Sample(k, 1.0) for k in range(40)]
    pairs = Counter(pair for text in texts(samples, settings(500)) for pair in pairwise(text))

    model = Counter(pairwise(RHYME))
    for first in " ant":
        following = {b: count for (a, b), count in model.items() if a == first}
        counts = np.array([pairs[first, b] for b in following])
        share = [count / sum(following.values()) for count in following.values()]
        assert_fits(counts, share)


def test_a_sample_does_not_depend_on_its_company() -> None:
    company = texts([Sample(k, 0.9) for k in range(20)], settings(200))
    for k in (0, 7, 19):
        assert texts([Sample(k, 0.9)], settings(200)) == [company[k]]
    assert len(set(company)) == 20
    assert texts([Sample(0, 0.9), Sample(0, 0.0)], settings(200))[0] == company[0]


def test_many_samples_keep_their_order_and_length() -> None:
    samples = [Sample(k, 1.0) for k in range(70 * available_cores())]
    made = texts(samples, settings(5))
    assert {len(text) for text in made} == {5}
    assert {sample.stopped_by for sample in samples} == {"length"}
    assert made[-1] == texts([Sample(len(samples) - 1, 1.0)], settings(5))[0]


def test_a_length_of_zero_writes_nothing() -> None:
    sample = Sample(0, 1.0)
    assert texts([sample], settings(0)) == [""]
    assert (sample.stopped_by, sample.characters) == ("length", 0)


def test_an_endless_sample_goes_on_until_it_is_left() -> None:
    steps = generate(bigram_model(RHYME, RHYME_VOCABULARY), [Sample(0, 1.0)], settings(-1))
    for _ in range(2000):
        assert next(steps, "end") is None
    steps.close()


def test_leaving_early_ends_the_other_threads() -> None:
    before = threading.active_count()
    samples = [Sample(k, 1.0) for k in range(64)]
    steps = generate(bigram_model(RHYME, RHYME_VOCABULARY), samples, settings(10**9))
    next(steps)
    assert available_cores() == 1 or threading.active_count() > before
    steps.close()
    assert threading.active_count() == before


def test_measured_bits_are_those_of_the_text() -> None:
    sample = Sample(0, 0.7)
    text = texts([sample], settings(300, measure=True))[0]

    ids = RHYME_VOCABULARY.encode(RHYME[9] + text)
    model = bigram_model(RHYME, RHYME_VOCABULARY)
    expected = 0.0
    for before, after in pairwise(ids):
        model.step(np.array([before]))
        expected += surprisals(model.logits, np.array([after]))[0]
    assert sample.characters == 300
    assert sample.bits == pytest.approx(expected, rel=1e-6)


# Stop texts


def feed(text: str, *stops: str) -> tuple[list[str], Sample]:
    """What each character of `text` sets free, until a stop text ends it."""
    sample, freed = Sample(0, 1.0, stops), []
    for character in text:
        sample.add(character, 1.0)
        freed.append(sample.take())
        if sample.stopped_by:
            break
    return freed, sample


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("one two", ("two",), "one "),
        ("aab", ("ab",), "a"),
        ("ababac", ("abac",), "ab"),
        ("x END y", ("stop", " END"), "x"),
        ("abcd", ("bcd", "c"), "ab"),
        ("a\n\nb", ("\n\n",), "a"),
        ("aaa", ("b",), "aaa"),
    ],
)
def test_stop_texts_are_found_and_not_written(
    text: str, stops: tuple[str, ...], expected: str
) -> None:
    freed, sample = feed(text, *stops)
    if sample.stopped_by is None:
        sample.finish("length")
        freed.append(sample.take())
    assert "".join(freed) == expected
    assert sample.characters == sample.bits == len(expected)
    assert sample.stopped_by == ("length" if expected == text else "stop")


def test_only_a_possible_beginning_is_held_back() -> None:
    freed, _ = feed("to be not", "bee", "noun")
    assert freed == ["t", "o", " ", "", "", "be ", "", "", "not"]


def test_what_is_held_is_written_when_the_length_is_reached() -> None:
    sample = Sample(0, 1.0, ("abc",))
    for character in "xab":
        sample.add(character)
    assert sample.take() == "x"
    sample.finish("length")
    assert sample.take() == "ab"


def test_each_sample_stops_for_itself() -> None:
    free = texts([Sample(k, 1.0) for k in range(6)], settings(400))
    samples = [Sample(k, 1.0, ("map", "\n")) for k in range(6)]
    stopped = texts(samples, settings(400))

    for whole, text, sample in zip(free, stopped, samples, strict=True):
        ends = [place for stop in sample.stops if (place := whole.find(stop)) >= 0]
        assert text == (whole[: min(ends)] if ends else whole)
        assert sample.stopped_by == ("stop" if ends else "length")
    assert len({len(text) for text in stopped}) > 1


# Copying


def shares_a_run(text: str, length: int) -> bool:
    return any(text[k : k + length] in RHYME for k in range(len(text) - length + 1))


@pytest.mark.parametrize("limit", [2, 4, 9])
@pytest.mark.parametrize("temperature", [0.3, 0.8])
def test_no_run_longer_than_the_limit_is_copied(limit: int, temperature: float) -> None:
    index = NgramIndex(RHYME_VOCABULARY.encode(RHYME), limit, len(RHYME_VOCABULARY))
    free = texts([Sample(k, temperature) for k in range(3)], settings(1500))
    kept = texts([Sample(k, temperature) for k in range(3)], settings(1500, copied=index))

    assert any(shares_a_run(text, limit + 1) for text in free) or limit == 9
    assert not any(shares_a_run(text, limit + 1) for text in kept)
    assert all(shares_a_run(text, limit) for text in kept) or limit == 9
    assert {len(text) for text in kept} == {1500}


def test_a_sample_with_no_way_on_ends() -> None:
    vocabulary = Vocabulary("ab")
    index = NgramIndex(vocabulary.encode("aababba"), 2, 2)
    sample = Sample(0, 1.0)
    made = Settings("ab", 50, seed=1, copied=index)
    for _ in generate(bigram_model("aababbaab", vocabulary), [sample, Sample(1, 1.0)], made):
        pass
    text = sample.take()
    assert sample.stopped_by == "max-copy"
    assert 2 <= len(text) < 50
    assert all(text[k : k + 3] not in "aababba" for k in range(len(text) - 2))
