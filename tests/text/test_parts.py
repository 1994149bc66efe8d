"""Several texts: each has a hold-out of its own, and no window crosses from one to another."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from textgen.text.batches import Batch
from textgen.text.encoding import Part
from textgen.text.parts import (
    BLOCK,
    Holdout,
    PartStreams,
    PartWindows,
    bounds_of,
    divided,
    move_holdouts,
)

# Texts of all lengths from one that holds a single window.
LENGTHS = [11, 12, 500, 21, 20, 1000, 31]
BOUNDS = bounds_of(LENGTHS, 11)
WINDOW = 10
IDS = np.arange(sum(LENGTHS), dtype=np.uint16)  # each character is its place


def text_of(places: np.ndarray) -> np.ndarray:
    """The number of the text in which a character stands."""
    return np.searchsorted(BOUNDS, places, side="right") - 1


def streams(seed: int = 1) -> PartStreams:
    return PartStreams(IDS, batch_size=4, seq_length=WINDOW, seed=seed, bounds=BOUNDS)


def windows(step: int = 3) -> PartWindows:
    return PartWindows(IDS, batch_size=7, seq_length=WINDOW, step=step, seed=1, bounds=BOUNDS)


def test_what_is_held_out_is_shared_in_proportion() -> None:
    assert divided([1000, 3000], 400) == (Part(1000, 100), Part(3000, 300))
    assert divided([50], 5) == (Part(50, 5),)
    tiny = divided([3] * 100, 30)
    assert sum(part.holdout for part in tiny) == 30
    assert {part.holdout for part in tiny} == {0, 1}


@pytest.mark.parametrize("lengths", [[7, 5, 1, 30], [BLOCK + 7, 3 * BLOCK + 5, 12, BLOCK - 1]])
def test_hold_outs_move_to_the_end_and_nothing_is_lost(tmp_path: Path, lengths: list[int]) -> None:
    ids = np.random.default_rng(1).integers(0, 60_000, sum(lengths), dtype=np.uint16)
    path = tmp_path / "text.ids"
    path.write_bytes(ids.tobytes())
    parts = divided(lengths, sum(lengths) // 4)
    move_holdouts(path, ids.dtype, parts)

    texts = np.split(ids, np.cumsum(lengths)[:-1])
    cuts = [part.characters - part.holdout for part in parts]
    learned = [text[:cut] for text, cut in zip(texts, cuts, strict=True)]
    held = [text[cut:] for text, cut in zip(texts, cuts, strict=True)]
    moved = np.fromfile(path, ids.dtype)
    np.testing.assert_array_equal(moved, np.concatenate(learned + held))


def test_texts_shorter_than_a_window_are_read_with_a_neighbour() -> None:
    assert bounds_of([30, 4, 5, 40, 3], 10).tolist() == [0, 30, 82]
    assert bounds_of([30, 4, 7, 40], 10).tolist() == [0, 30, 41, 81]
    assert bounds_of([3, 4], 10).tolist() == [0, 7]
    assert bounds_of([0, 50, 0], 10).tolist() == [0, 50]


@pytest.mark.parametrize("batches", [streams(), windows()])
def test_no_window_crosses_a_cut(batches: PartStreams | PartWindows) -> None:
    for step in range(4 * batches.steps_per_pass):
        batch = batches.batch(step)
        last = batch.targets[:, -1] if batch.targets.ndim == 2 else batch.targets
        assert np.array_equal(text_of(batch.inputs[:, 0]), text_of(last))
        assert np.array_equal(batch.inputs[:, 0] + WINDOW, last)


def test_a_reader_continues_within_a_text_and_begins_the_next_one_fresh() -> None:
    batches = streams()
    begun = 0
    for before, after in pairwise(batches.batch(step) for step in range(300)):
        follows = before.targets[:, -1] == after.inputs[:, 0]
        assert (follows | after.fresh).all()
        assert after.fresh[text_of(before.inputs[:, 0]) != text_of(after.inputs[:, 0])].all()
        begun += int(after.fresh.sum())
    assert begun < 300  # most windows go on


def test_all_characters_of_all_texts_are_read_in_some_passes() -> None:
    def read(passes: int) -> set[int]:
        steps = range(passes * streams().steps_per_pass)
        return set(np.unique([streams().batch(step).inputs for step in steps]).tolist())

    assert {*text_of(np.array([*read(1)]))} == set(range(len(LENGTHS)))
    assert len(read(1)) > 0.9 * len(IDS)
    ends = {bound - 1 for bound in BOUNDS[1:].tolist()}  # are targets only
    assert read(100) >= set(range(len(IDS))) - ends


def test_windows_of_all_texts_come_once_in_a_pass_and_in_another_order() -> None:
    def starts(number: int) -> list[int]:
        steps = range(number * windows().steps_per_pass, (number + 1) * windows().steps_per_pass)
        found = np.concatenate([windows().batch(step).inputs[:, 0] for step in steps])
        return found[: windows().count].tolist()

    expected = [s for low, high in pairwise(BOUNDS) for s in range(low, high - WINDOW, 3)]
    assert sorted(starts(0)) == sorted(starts(1)) == expected
    assert starts(0) != starts(1)


@pytest.mark.parametrize("batches", [streams(), windows()])
def test_rows_are_those_of_the_global_batch(batches: PartStreams | PartWindows) -> None:
    def same(one: Batch, other: Batch, rows: slice) -> bool:
        return all(
            np.array_equal(getattr(one, name)[rows], getattr(other, name))
            for name in ("inputs", "targets", "fresh")
        )

    for step in (0, 5, 10**9):
        whole = batches.batch(step)
        assert same(whole, batches.batch(step, 0, 2), slice(0, 2))
        assert same(whole, batches.batch(step, 2, batches.batch_size), slice(2, None))


def test_streams_differ_by_seed() -> None:
    assert not np.array_equal(streams(1).batch(3).inputs, streams(2).batch(3).inputs)


@pytest.mark.parametrize("targets", ["every", "last"])
def test_a_hold_out_counts_each_character_and_is_not_warmed_by_another_text(targets: str) -> None:
    lengths = [1500, 41, 1024, 3000, 700]
    bounds = bounds_of(lengths, 41)
    holdout = Holdout(np.arange(sum(lengths), dtype=np.uint16), bounds)
    counted: list[int] = []
    for batch in holdout.batches(40, targets, 3):
        counted += batch.targets[batch.counted].tolist()
        for inputs, these in zip(batch.inputs, batch.counted, strict=True):
            last = inputs[np.flatnonzero(these)[-1]]
            read = inputs[: np.flatnonzero(these)[-1] + 1]
            text = np.searchsorted(bounds, last, side="right")
            assert (np.searchsorted(bounds, read, side="right") == text).all()
    first = 1 if targets == "every" else 40
    expected = [c for low, high in pairwise(bounds.tolist()) for c in range(low + first, high)]
    assert sorted(counted) == expected
    assert holdout.pieces == 2 + 1 + 1 + 3 + 1


def test_unknown_characters_of_a_hold_out_cost_21_bits() -> None:
    holdout = Holdout(np.arange(5), np.array([0, 5]), unknown=4)
    assert holdout.mean(8.0, 4) == pytest.approx((8 + 4 * 21 * np.log(2)) / 8)
