"""Ids become batches: training batches by (seed, step), and the hold-out in fixed pieces.

Nothing overlapping is ever materialised: a batch is gathered from the ids, which may be a
memory map, when it is asked for.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

PIECE = 1024  # characters of a hold-out piece that are counted
WARMUP = 256  # characters before a piece that warm the state, uncounted
FRESH_EVERY = 8192  # characters after which a stream restarts from a zero state, on average
FEISTEL_ROUNDS = 4


def mix(*numbers: int | np.ndarray) -> np.ndarray:
    """Hash integers to uint64, elementwise: a stateless source of random bits.

    The finaliser of SplitMix64 (Steele, Lea, Flood 2014) applied number by number.
    """
    with np.errstate(over="ignore"):
        bits = np.asarray(0x9E3779B97F4A7C15, dtype=np.uint64)
        for number in numbers:
            bits = (bits ^ np.asarray(number).astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            bits = bits ^ (bits >> np.uint64(31))
    return bits


def permute(index: np.ndarray, size: int, seed: int, number: int) -> np.ndarray:
    """Where each index goes in a random permutation of range(size), without storing it.

    A Feistel network over the next even number of bits, walked along its cycles until
    it lands inside the range (Black and Rogaway 2002).

    Args:
        index: int64 (any shape), each in [0, size).
        size: how many elements the permutation has.
        seed: of the run.
        number: of the permutation; a pass over the text has its own.

    Returns:
        int64 of the same shape.
    """
    half = np.uint64(max(1, math.ceil(max(1, (size - 1).bit_length()) / 2)))
    mask = (np.uint64(1) << half) - np.uint64(1)
    values = index.astype(np.uint64)
    outside = np.ones(values.shape, dtype=bool)
    while outside.any():
        left, right = values[outside] >> half, values[outside] & mask
        for turn in range(FEISTEL_ROUNDS):
            left, right = right, left ^ (mix(seed, number, turn, right) & mask)
        values[outside] = (left << half) | right
        outside = values >= size
    return values.astype(np.int64)


@dataclass(frozen=True)
class Batch:
    """One batch of training data.

    Attributes:
        inputs: ids (rows, seq_length) int32.
        targets: ids (rows, seq_length) int32, or (rows,) for targets last.
        fresh: bool (rows,): which rows start from a zero state.
    """

    inputs: np.ndarray
    targets: np.ndarray
    fresh: np.ndarray


@dataclass(frozen=True)
class Streams:
    """Targets every: `batch_size` readers go round the text, evenly spaced.

    Reader r stands at `r / batch_size` of the text plus an offset by seed, moves on by one
    window a step and wraps around at the end, so batch k follows batch
    k - 1 in every row and the recurrent state can be carried for ever.

    Attributes:
        ids: the training ids (characters,).
        batch_size: rows of the global batch.
        seq_length: window length in characters.
        seed: of the run.
    """

    ids: np.ndarray
    batch_size: int
    seq_length: int
    seed: int

    @property
    def steps_per_pass(self) -> int:
        """Batches in which the readers together cover the text once."""
        return math.ceil(len(self.ids) / (self.batch_size * self.seq_length))

    def batch(self, step: int, first: int = 0, last: int | None = None) -> Batch:
        """Rows [first, last) of global batch `step`, a pure function of (seed, step)."""
        rows = np.arange(first, self.batch_size if last is None else last, dtype=np.int64)
        size = len(self.ids)
        offset = int(mix(self.seed) % np.uint64(size))
        starts = rows * size // self.batch_size + offset + step * self.seq_length
        window = self.ids[(starts[:, None] + np.arange(self.seq_length + 1)) % size]
        window = window.astype(np.int32)
        return Batch(window[:, :-1], window[:, 1:], self._fresh(step, rows) | (step == 0))

    def _fresh(self, step: int, rows: np.ndarray) -> np.ndarray:
        """Which rows (rows,) start again by chance."""
        chance = self.seq_length / FRESH_EVERY
        return mix(self.seed, step, rows) < np.uint64(min(chance, 0.5) * 2**64)


@dataclass(frozen=True)
class Windows:
    """Targets last: windows every `step` characters, in a new random order each pass.

    Attributes:
        ids: the training ids (characters,).
        batch_size: rows of the global batch.
        seq_length: window length in characters.
        step: the stride between the starts of neighbouring windows.
        seed: of the run.
    """

    ids: np.ndarray
    batch_size: int
    seq_length: int
    step: int
    seed: int

    @property
    def count(self) -> int:
        """How many windows the text has."""
        return (len(self.ids) - self.seq_length - 1) // self.step + 1

    @property
    def steps_per_pass(self) -> int:
        """Batches in a pass; the last one is filled up from the beginning of the pass."""
        return math.ceil(self.count / self.batch_size)

    def batch(self, step: int, first: int = 0, last: int | None = None) -> Batch:
        """Rows [first, last) of global batch `step`, a pure function of (seed, step)."""
        number, place = divmod(step, self.steps_per_pass)
        rows = np.arange(first, self.batch_size if last is None else last, dtype=np.int64)
        order = (place * self.batch_size + rows) % self.count
        starts = self._starts(permute(order, self.count, self.seed, number))
        places = starts[:, None] + np.arange(self.seq_length + 1)
        window = self._read(places, number).astype(np.int32)
        return Batch(window[:, :-1], window[:, -1], np.ones(len(rows), dtype=bool))

    def _starts(self, windows: np.ndarray) -> np.ndarray:
        """Where windows begin, by their numbers in the text."""
        return windows * self.step

    def _read(self, places: np.ndarray, number: int) -> np.ndarray:
        """The ids at places of the text, as it is in pass `number`."""
        return self.ids[places]


@dataclass(frozen=True)
class HoldoutBatch:
    """Hold-out rows: each starts from a zero state.

    Attributes:
        inputs: ids (rows, time) int32; what follows a short row is padding.
        targets: ids (rows, time) int32: the character after each input.
        counted: bool (rows, time): which targets count in the loss.
    """

    inputs: np.ndarray
    targets: np.ndarray
    counted: np.ndarray


def holdout_batches(
    ids: np.ndarray,
    seq_length: int,
    targets: str,
    batch_size: int,
    bounds: np.ndarray | None = None,
) -> Iterator[HoldoutBatch]:
    """Cut a hold-out into rows; one definition serves training and scoring.

    Targets every: pieces of 1,024 characters, each warmed on the 256 before it; the first
    piece of a text starts cold and its first character is not counted. Targets last: every
    character from the seq_length before it; the first seq_length of a text are not counted.

    Args:
        ids: the hold-out ids (characters,).
        seq_length: window length; used by targets last only.
        targets: `every` or `last`.
        batch_size: most rows a batch.
        bounds: where each of several texts begins, and the end; None for one text.

    Yields:
        Batches of rows, in order; each counted character exactly once.
    """
    bounds = np.array([0, len(ids)]) if bounds is None else bounds
    if targets == "last":
        yield from _holdout_windows(ids, bounds, seq_length, batch_size)
        return
    # (pieces, 3): where a piece's text begins, and where the piece begins and ends.
    pieces = np.array(
        [
            (low, start, min(start + PIECE, high))
            for low, high in pairwise(bounds)
            for start in range(low, high, PIECE)
        ],
        np.int64,
    ).reshape(-1, 3)
    time = min(PIECE + WARMUP, int(np.diff(bounds).max())) - 1
    for first in range(0, len(pieces), batch_size):
        low, piece, stop = pieces[first : first + batch_size].T[:, :, None]
        target = np.maximum(piece - WARMUP, low) + 1 + np.arange(time)
        counted = (target >= np.maximum(piece, low + 1)) & (target < stop)
        inside = np.minimum(target, len(ids) - 1)
        yield HoldoutBatch(ids[inside - 1].astype(np.int32), ids[inside].astype(np.int32), counted)


def _holdout_windows(
    ids: np.ndarray, bounds: np.ndarray, seq_length: int, batch_size: int
) -> Iterator[HoldoutBatch]:
    texts = [np.arange(low, high - seq_length) for low, high in pairwise(bounds)]
    starts = np.concatenate(texts).astype(np.int64)
    for first in range(0, len(starts), batch_size):
        some = starts[first : first + batch_size]
        window = ids[some[:, None] + np.arange(seq_length + 1)].astype(np.int32)
        counted = np.zeros((len(some), seq_length), dtype=bool)
        counted[:, -1] = True
        yield HoldoutBatch(window[:, :-1], window[:, 1:], counted)
