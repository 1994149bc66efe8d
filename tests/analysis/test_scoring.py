"""Scores against a slow loop over single steps, with real networks of random weights."""

import itertools
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from textgen.analysis.scoring import (
    LOGITS,
    ROWS,
    along,
    costs,
    gather,
    holdout_bits,
    score_lines,
    score_text,
    surprisal,
)
from textgen.config import ModelConfig
from textgen.generation.network import Network
from textgen.text.batches import PIECE
from textgen.text.vocabulary import UNKNOWN_BITS, Vocabulary

TEXT = (Path(__file__).parents[2] / "docs" / "design.md").read_text(encoding="utf-8")[:5000]
VOCABULARY = Vocabulary("".join(sorted(set(TEXT))))
IDS = VOCABULARY.encode(TEXT)


def random_network(config: ModelConfig) -> Network:
    """A network whose weights are large enough for the state to matter."""
    generator = np.random.default_rng(7)
    shapes = config.weight_shapes(len(VOCABULARY))
    weights = {
        name: generator.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()
    }
    return Network(config, weights)


EVERY = random_network(ModelConfig(units=(16, 12), seq_length=20))
LAST = random_network(ModelConfig(cell="gru", units=(16,), seq_length=20, targets="last"))


def slow_bits(network: Network, ids: np.ndarray, start: int, target: int) -> float:
    """The cost of one character when reading begins at `start` from a zero state."""
    state = network.zero_state(1)
    for place in range(start, target):
        logits = network.step(ids[place : place + 1], state)
    row = logits[0].astype(np.float64)
    return float((np.log(np.exp(row).sum()) - row[ids[target]]) / np.log(2))


@pytest.mark.parametrize("target", [1, 2, 900, 1023, 1024, 1025, 2047, 2048, 4999])
def test_targets_every_is_scored_in_pieces_warmed_on_256_characters(target: int) -> None:
    bits = holdout_bits(EVERY, IDS)
    start = max(0, target // 1024 * 1024 - 256)
    assert bits[target] == pytest.approx(slow_bits(EVERY, IDS, start, target), abs=1e-4)


@pytest.mark.parametrize("target", [20, 21, 1024, 4999])
def test_targets_last_is_scored_from_each_characters_own_window(target: int) -> None:
    bits = holdout_bits(LAST, IDS)
    assert bits[target] == pytest.approx(slow_bits(LAST, IDS, target - 20, target), abs=1e-4)


@pytest.mark.parametrize(("network", "uncounted"), [(EVERY, 1), (LAST, 20)])
def test_the_first_characters_are_not_counted(network: Network, uncounted: int) -> None:
    bits = holdout_bits(network, IDS)
    assert np.isnan(bits[:uncounted]).all()
    assert not np.isnan(bits[uncounted:]).any()


@pytest.mark.parametrize("network", [EVERY, LAST])
@pytest.mark.parametrize("sizes", [(1,), (1023, 2), (1, 700, 1500), (5000,)])
def test_the_cuts_between_chunks_change_nothing(network: Network, sizes: tuple[int, ...]) -> None:
    """The text in chunks of changing sizes, each measured by itself."""
    whole = holdout_bits(network, IDS)
    text = TEXT if sizes != (1,) else TEXT[:40]
    cuts = list(
        itertools.takewhile(
            lambda n: n < len(text), itertools.accumulate(itertools.cycle(sizes), initial=0)
        )
    )
    chunks = [text[a:b] for a, b in itertools.zip_longest(cuts, cuts[1:])]
    measured = list(along(chunks, network.config, VOCABULARY, partial(holdout_bits, network)))
    assert "".join(chunk for chunk, _, _ in measured) == text
    assert all(known.all() for _, known, _ in measured)
    bits = np.concatenate([bits for _, _, bits in measured])
    np.testing.assert_allclose(bits, whole[: len(text)], atol=1e-4)


def test_gather_cuts_a_text_into_equal_chunks() -> None:
    assert list(gather(["ab", "", "cdefgh", "i"], 3)) == ["abc", "def", "ghi"]
    assert list(gather(["ab", "cd"], 3)) == ["abc", "d"]
    assert list(gather([], 3)) == []


def test_an_unknown_character_costs_21_bits_and_is_passed_over() -> None:
    clean = np.concatenate([bits for _, bits in surprisal(EVERY, VOCABULARY, [TEXT[:300]])])
    dirty = TEXT[:100] + "\N{SNOWMAN}\N{SNOWMAN}" + TEXT[100:300]
    bits = np.concatenate([bits for _, bits in surprisal(EVERY, VOCABULARY, [dirty])])
    assert bits[100:102].tolist() == [UNKNOWN_BITS, UNKNOWN_BITS]
    np.testing.assert_allclose(np.delete(bits, [100, 101]), clean, atol=1e-5)
    score = score_text(EVERY, VOCABULARY, [dirty])
    assert (score.characters, score.unknown) == (301, 2)
    assert score.bits == pytest.approx(np.nansum(clean) + 2 * UNKNOWN_BITS)


def test_a_text_of_unknown_characters_only() -> None:
    score = score_text(EVERY, VOCABULARY, ["\N{SNOWMAN}" * 50])
    assert (score.bpc, score.characters, score.unknown) == (21.0, 50, 50)


@pytest.mark.parametrize("text", ["", "T"])
def test_a_text_too_short_to_count_has_no_figure(text: str) -> None:
    score = score_text(EVERY, VOCABULARY, [text])
    assert (score.bpc, score.characters) == (None, 0)


@pytest.mark.parametrize("network", [EVERY, LAST])
def test_lines_add_up_to_the_text(network: Network) -> None:
    lines = list(score_lines(network, VOCABULARY, gather([TEXT], 997)))
    assert [line for line, _ in lines] == [line[:200] for line in TEXT.splitlines()]
    together = sum((score for _, score in lines[1:]), lines[0][1])
    whole = score_text(network, VOCABULARY, [TEXT])
    assert together.characters == whole.characters
    assert together.bits == pytest.approx(whole.bits)


def test_only_a_newline_ends_a_line() -> None:
    text = "The\x0cdesign\u2028of\n\ntextgen"
    lines = [line for line, _ in score_lines(EVERY, VOCABULARY, [text])]
    assert lines == ["The\x0cdesign\u2028of", "", "textgen"]


def test_costs_hold_for_extreme_logits() -> None:
    logits = np.array([[500.0, -500.0, 0.0], [0.0, 0.0, 0.0]], dtype=np.float32)
    bits = costs(logits, np.array([1, 2]))
    np.testing.assert_allclose(bits, [1000 / np.log(2), np.log2(3)])


def test_memory_does_not_grow_with_the_text() -> None:
    peaks = []
    for copies in (4, 16):
        tracemalloc.start()
        text = itertools.repeat(TEXT, copies)
        scored = sum(len(part) for part, _ in surprisal(EVERY, VOCABULARY, text, block=4096))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert scored == copies * len(TEXT)
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("target", [1200, 30 * 1024 + 500, 60 * 1024])
def test_slices_of_time_change_nothing(target: int) -> None:
    """Of so many pieces at a time that their logits are made in several slices."""
    assert ROWS * PIECE * len(VOCABULARY) > 2 * LOGITS
    ids = np.tile(IDS, 1 + ROWS * PIECE // len(IDS))
    start = target // PIECE * PIECE - 256
    expected = slow_bits(EVERY, ids, start, target)
    assert holdout_bits(EVERY, ids)[target] == pytest.approx(expected, abs=1e-4)
