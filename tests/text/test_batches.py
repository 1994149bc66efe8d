"""Ids become batches, by (seed, step) and nothing else."""

from pathlib import Path

import numpy as np
import pytest

from textgen.text.batches import PIECE, WARMUP, Streams, Windows, holdout_batches, permute

IDS = np.random.default_rng(1).integers(0, 60, 5000, dtype=np.uint8)


@pytest.mark.parametrize("size", [1, 2, 3, 17, 256, 1000, 4097])
def test_permute_is_a_permutation(size: int) -> None:
    assert sorted(permute(np.arange(size), size, seed=3, number=5)) == list(range(size))


def test_permute_differs_by_seed_and_epoch() -> None:
    index = np.arange(1000)
    orders = [permute(index, 1000, seed, number) for seed, number in [(1, 0), (1, 1), (2, 0)]]
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        assert (orders[one] == orders[other]).mean() < 0.02


def test_permute_looks_random() -> None:
    order = permute(np.arange(10_000), 10_000, seed=0, number=0)
    assert abs(np.corrcoef(np.arange(10_000), order)[0, 1]) < 0.03


def test_streams_predict_the_next_character() -> None:
    batch = Streams(IDS, batch_size=4, seq_length=10, seed=1).batch(7)
    assert batch.inputs.shape == batch.targets.shape == (4, 10)
    assert np.array_equal(batch.inputs[:, 1:], batch.targets[:, :-1])


def test_each_stream_goes_on_where_it_was() -> None:
    streams = Streams(IDS, batch_size=4, seq_length=10, seed=1)
    for step in range(600):  # more than once round the text
        assert np.array_equal(
            streams.batch(step).targets[:, -1], streams.batch(step + 1).inputs[:, 0]
        )


def test_streams_cover_the_text_in_an_epoch() -> None:
    ids = np.arange(5000, dtype=np.uint16)
    streams = Streams(ids, batch_size=4, seq_length=10, seed=1)
    seen = [streams.batch(step).inputs for step in range(streams.steps_per_pass)]
    assert set(np.unique(seen)) == set(range(5000))


def test_the_first_step_starts_fresh_and_few_others() -> None:
    streams = Streams(IDS, batch_size=64, seq_length=64, seed=1)
    assert streams.batch(0).fresh.all()
    later = np.mean([streams.batch(step).fresh.mean() for step in range(1, 500)])
    assert 0.004 < later < 0.012  # 64 / 8192 is 0.0078


def test_windows_cover_every_start_once_in_an_epoch() -> None:
    ids = np.arange(2000, dtype=np.uint16)
    windows = Windows(ids, batch_size=7, seq_length=40, step=3, seed=1)
    batches = [windows.batch(step) for step in range(windows.steps_per_pass)]
    starts = np.concatenate([batch.inputs[:, 0] for batch in batches])[: windows.count]
    assert sorted(starts) == list(range(0, 2000 - 40, 3))
    for batch in batches:
        assert np.array_equal(batch.targets, batch.inputs[:, -1] + 1)


def test_windows_come_in_another_order_each_epoch() -> None:
    windows = Windows(IDS, batch_size=32, seq_length=40, step=3, seed=1)
    first, second = windows.batch(0), windows.batch(windows.steps_per_pass)
    assert not np.array_equal(first.inputs, second.inputs)


@pytest.mark.parametrize("kind", [Streams, Windows])
def test_a_batch_is_a_pure_function_of_seed_and_step(kind: type) -> None:
    options = {"step": 3} if kind is Windows else {}

    def batch(seed: int, step: int) -> np.ndarray:
        return kind(ids=IDS, batch_size=8, seq_length=20, seed=seed, **options).batch(step).inputs

    assert np.array_equal(batch(1, 123), batch(1, 123))
    assert not np.array_equal(batch(1, 123), batch(2, 123))


@pytest.mark.parametrize("kind", [Streams, Windows])
def test_rows_are_those_of_the_global_batch(kind: type) -> None:
    options = {"step": 3} if kind is Windows else {}
    batches = kind(ids=IDS, batch_size=8, seq_length=20, seed=1, **options)
    whole, upper = batches.batch(5), batches.batch(5, 4, 8)
    assert np.array_equal(whole.inputs[4:], upper.inputs)
    assert np.array_equal(whole.fresh[4:], upper.fresh)


@pytest.mark.parametrize("kind", [Streams, Windows])
def test_a_sparse_file_of_100_gb_can_be_indexed(tmp_path: Path, kind: type) -> None:
    size = 100_000_000_000
    path = tmp_path / "text.ids"
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size - 1000)
        file.write(bytes(range(200)) * 5)
    if path.stat().st_blocks * 512 > 1_000_000:
        pytest.skip("this file system has no sparse files")
    ids = np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray)
    options = {"step": 3} if kind is Windows else {}
    batches = kind(ids=ids, batch_size=4, seq_length=64, seed=1, **options)
    assert batches.batch(batches.steps_per_pass - 1).inputs.shape == (4, 64)
    assert batches.batch(10**9).inputs.shape == (4, 64)
    if kind is Windows:
        last = permute(np.arange(5), batches.count, 1, 0)
        assert last.max() < batches.count and last.max() > 2**32


@pytest.mark.parametrize("length", [2, 3, 255, 1023, 1024, 1025, 1280, 1281, 5000])
@pytest.mark.parametrize("targets", ["every", "last"])
def test_holdout_counts_each_character_once(length: int, targets: str) -> None:
    ids = np.arange(length, dtype=np.uint16)
    counted = []
    for batch in holdout_batches(ids, 40, targets, batch_size=3):
        assert np.array_equal(batch.targets[batch.counted], batch.inputs[batch.counted] + 1)
        counted += batch.targets[batch.counted].tolist()
    first = 1 if targets == "every" else 40
    assert sorted(counted) == list(range(first, length))


def test_holdout_pieces_are_warmed_on_the_characters_before() -> None:
    ids = np.arange(5000, dtype=np.uint16)
    (batch,) = holdout_batches(ids, 40, "every", batch_size=8)
    for piece in range(1, 4):
        assert batch.inputs[piece, 0] == piece * PIECE - WARMUP
        assert batch.targets[piece][batch.counted[piece]][0] == piece * PIECE
