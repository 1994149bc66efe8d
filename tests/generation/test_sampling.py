"""Generating texts with models whose probabilities are known."""

import sys
import threading
from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pytest
from support.chance import assert_fits

from textgen.config import ModelConfig
from textgen.cores import available_cores
from textgen.generation.choosing import surprisals
from textgen.generation.continuation import read_prompt
from textgen.generation.network import Network
from textgen.generation.ngrams import NgramIndex
from textgen.generation.sampling import Sample, Settings, generate, whole_texts
from textgen.text.vocabulary import Vocabulary

RHYME = """A rope and a ladder, a lamp and a pin,
a map of the attic to find our way in,
a map of the cellar to find our way out,
and nobody said what the map was about.
"""
RHYME_VOCABULARY = Vocabulary("".join(sorted(set(RHYME))))


START = RHYME_VOCABULARY.encode(RHYME[:10])


def bigram_model(text: str, vocabulary: Vocabulary) -> Network:
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
    return Network(config, weights)


SETTINGS = Settings(RHYME_VOCABULARY.characters)


def samples_of(
    count: int, temperature: float, length: int | None, *stops: str, first: int = 0
) -> list[Sample]:
    """Samples with the numbers from `first`."""
    return [Sample(k, temperature, length, 3, stops) for k in range(first, first + count)]


def texts(samples: list[Sample], made: Settings = SETTINGS) -> list[str]:
    return whole_texts(bigram_model(RHYME, RHYME_VOCABULARY), START, samples, made)


def test_a_known_chain_is_sampled_with_its_own_probabilities() -> None:
    made = texts(samples_of(40, 1.0, 500))
    pairs = Counter(pair for text in made for pair in pairwise(text))

    model = Counter(pairwise(RHYME))
    for first in " ant":
        following = {b: count for (a, b), count in model.items() if a == first}
        counts = np.array([pairs[first, b] for b in following])
        share = [count / sum(following.values()) for count in following.values()]
        assert_fits(counts, share)


def test_a_sample_does_not_depend_on_its_company() -> None:
    company = texts(samples_of(20, 0.9, 200))
    for k in (0, 7, 19):
        assert texts(samples_of(1, 0.9, 200, first=k)) == [company[k]]
    assert len(set(company)) == 20
    others = [*samples_of(1, 0.0, 50), *samples_of(1, 0.9, 300, first=2)]
    assert texts([*samples_of(1, 0.9, 200), *others])[0] == company[0]


def test_many_samples_keep_their_order_and_length() -> None:
    samples = samples_of(70 * available_cores(), 1.0, 5)
    made = texts(samples)
    assert {len(text) for text in made} == {5}
    assert {sample.stopped_by for sample in samples} == {"length"}
    assert made[-1:] == texts(samples_of(1, 1.0, 5, first=len(samples) - 1))


def test_a_length_of_zero_writes_nothing() -> None:
    (sample,) = samples_of(1, 1.0, 0)
    assert texts([sample]) == [""]
    assert (sample.stopped_by, sample.characters) == ("length", 0)


def test_an_endless_sample_goes_on_until_it_is_left() -> None:
    model, sample = bigram_model(RHYME, RHYME_VOCABULARY), Sample(0, 1.0, None, 3)
    pieces = generate(model, [START], [sample], SETTINGS)
    assert next(pieces) == (sample, "")
    for _ in range(2000):
        grown, text = next(pieces)
        assert (grown, len(text)) == (sample, 1)
    pieces.close()


def test_texts_come_in_turn_and_the_first_as_it_grows() -> None:
    samples = samples_of(20, 0.9, 50)
    model = bigram_model(RHYME, RHYME_VOCABULARY)
    pieces = list(generate(model, [START], samples, SETTINGS))
    turns = [sample for sample, _ in groupby(sample for sample, _ in pieces)]
    assert turns == samples
    assert [len(text) for sample, text in pieces if sample is samples[0]] == [0, *[1] * 50, 0, 0]


def test_no_character_is_lost_between_threads() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    sample, taken = Sample(0, 1.0, None, 3), 0

    def add() -> None:
        for _ in range(300_000):
            sample.add("x")

    adding = threading.Thread(target=add)
    try:
        adding.start()
        while adding.is_alive():
            taken += len(sample.take())
    finally:
        adding.join()
        sys.setswitchinterval(interval)
    assert taken + len(sample.take()) == 300_000


def test_leaving_early_ends_the_other_threads() -> None:
    before = threading.active_count()
    samples = samples_of(64, 1.0, 10**9)
    steps = generate(bigram_model(RHYME, RHYME_VOCABULARY), [START], samples, SETTINGS)
    next(steps), next(steps)
    assert available_cores() == 1 or threading.active_count() > before
    steps.close()
    assert threading.active_count() == before


def test_measured_bits_are_those_of_the_text() -> None:
    (sample,) = samples_of(1, 0.7, 300)
    text = texts([sample], replace(SETTINGS, measure=True))[0]

    ids = RHYME_VOCABULARY.encode(RHYME[9] + text)
    model = read_prompt(bigram_model(RHYME, RHYME_VOCABULARY), START)
    expected = 0.0
    for before, after in pairwise(ids):
        model.step(np.array([before]))
        expected += surprisals(model.logits, np.array([after]))[0]
    assert sample.characters == 300
    assert sample.bits == pytest.approx(expected, rel=1e-6)


# Stop texts


def feed(text: str, *stops: str) -> tuple[list[str], Sample]:
    """What each character of `text` sets free, until a stop text ends it."""
    sample, freed = Sample(0, 1.0, None, 3, stops), []
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
    (sample,) = samples_of(1, 1.0, None, "abc")
    for character in "xab":
        sample.add(character)
    assert sample.take() == "x"
    sample.finish("length")
    assert sample.take() == "ab"


def test_each_sample_stops_for_itself() -> None:
    free = texts(samples_of(6, 1.0, 400))
    samples = samples_of(6, 1.0, 400, "map", "\n")
    stopped = texts(samples)

    for whole, text, sample in zip(free, stopped, samples, strict=True):
        ends = [place for stop in sample.stops if (place := whole.find(stop)) >= 0]
        assert text == (whole[: min(ends)] if ends else whole)
        assert sample.stopped_by == ("stop" if ends else "length")
    assert len({len(text) for text in stopped}) > 1


# Units and whole words


@pytest.mark.parametrize(
    ("until", "text", "expected"),
    [
        ("sentence", " he met Mr. J. S. Low. He", " he met Mr. J. S. Low."),
        ("sentence", '. "Why?" he', '. "Why?"'),
        ("line", "\na b\nc", "\na b\n"),
        ("paragraph", "\n\na\nb\n\nc", "\n\na\nb\n\n"),
    ],
)
@pytest.mark.parametrize("stops", [(), ("@",), (" or",)])
def test_a_sample_ends_with_its_unit(
    until: str, text: str, expected: str, stops: tuple[str, ...]
) -> None:
    sample = Sample(0, 1.0, None, 3, stops, until)
    for character in text:
        if not sample.stopped_by:
            sample.add(character, 1.0)
    assert (sample.take(), sample.stopped_by) == (expected, "until")
    assert sample.characters == sample.bits == len(expected)


@pytest.mark.parametrize(
    ("before", "text", "expected"),
    [
        ("t", "he goat ran home", "goat ran"),
        (" ", "the goat", "the goat"),
        ("n", ', and \n"So it', 'and \n"So'),
        ("", "a bell rang", "a bell"),
        ("x", "y" * 29 + " one two thr", "one two"),
        ("x", "y" * 80, "y" * (6 + 30)),
    ],
)
def test_a_sample_of_whole_words(before: str, text: str, expected: str) -> None:
    sample = Sample(0, 1.0, 6, 3, words_after=before)
    for character in text + " ":
        sample.finish_if_full()
        if not sample.stopped_by:
            sample.add(character)
    assert (sample.take(), sample.stopped_by) == (expected, "length")


def test_samples_continue_prompts_of_their_own() -> None:
    model = bigram_model(RHYME, RHYME_VOCABULARY)
    prompts = [RHYME_VOCABULARY.encode(prompt) for prompt in ("A rope", "p", "nobody said w")]
    samples = [
        Sample(0, 0.9, 10 + 40 * k, seed=k, prompt=number)
        for k, number in enumerate((2, 0, 1, 1, 0, 2, 2) * 30)
    ]
    pieces = generate(model, prompts, samples, SETTINGS)
    made = ["".join(text for _, text in group) for _, group in groupby(pieces, lambda p: p[0])]
    for k in (0, 1, 6, 100, 209):
        alone = Sample(0, 0.9, samples[k].length, seed=k)
        assert whole_texts(model, prompts[samples[k].prompt], [alone], SETTINGS) == [made[k]]


# Copying


def shares_a_run(text: str, length: int) -> bool:
    return any(text[k : k + length] in RHYME for k in range(len(text) - length + 1))


@pytest.mark.parametrize("limit", [2, 4, 9])
@pytest.mark.parametrize("temperature", [0.3, 0.8])
def test_no_run_longer_than_the_limit_is_copied(limit: int, temperature: float) -> None:
    index = NgramIndex(RHYME_VOCABULARY.encode(RHYME), limit, len(RHYME_VOCABULARY))
    free = texts(samples_of(3, temperature, 1500))
    kept = texts(samples_of(3, temperature, 1500), replace(SETTINGS, copied=index))

    assert any(shares_a_run(text, limit + 1) for text in free) or limit == 9
    assert not any(shares_a_run(text, limit + 1) for text in kept)
    assert all(shares_a_run(text, limit) for text in kept) or limit == 9
    assert {len(text) for text in kept} == {1500}


def test_a_sample_with_no_way_on_ends() -> None:
    vocabulary = Vocabulary("ab")
    index = NgramIndex(vocabulary.encode("aababba"), 2, 2)
    sample, other = Sample(0, 1.0, 50, 1), Sample(1, 1.0, 50, 1)
    made = Settings("ab", copied=index)
    model, start = bigram_model("aababbaab", vocabulary), vocabulary.encode("aababbaab")
    text, _ = whole_texts(model, start, [sample, other], made)
    assert sample.stopped_by == "max-copy"
    assert 2 <= len(text) < 50
    assert all(text[k : k + 3] not in "aababba" for k in range(len(text) - 2))
