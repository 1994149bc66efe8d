"""Texts of several parts, each with a hold-out of its own; no window crosses a cut."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from textgen.messages import nats
from textgen.text.batches import PIECE, Batch, HoldoutBatch, Streams, Windows, holdout_batches, mix
from textgen.text.encoding import Part
from textgen.text.vocabulary import UNKNOWN_BITS

BLOCK = 1 << 22  # ids that are moved at a time


def divided(lengths: Sequence[int], holdout: int) -> tuple[Part, ...]:
    """Texts of these lengths, with so many characters held out, from the end of each its share."""
    ends = list(accumulate(lengths))
    shares = [0, *(end * holdout // ends[-1] for end in ends)]
    held = (after - before for before, after in pairwise(shares))
    return tuple(Part(length, share) for length, share in zip(lengths, held, strict=True))


def move_holdouts(path: Path, dtype: np.dtype, parts: Sequence[Part]) -> None:
    """Move the hold-outs of all parts to the end of a text, in place; they must fit in memory.

    Args:
        path: the ids of the parts, one after the other.
        dtype: of the ids.
        parts: as long as the text together.
    """
    ids = np.memmap(path, dtype=dtype, mode="r+")
    held, start, free = [], 0, 0
    for part in parts:
        cut, end = start + part.characters - part.holdout, start + part.characters
        held.append(np.array(ids[cut:end]))
        for place in range(start, cut, BLOCK):
            block = np.array(ids[place : min(place + BLOCK, cut)])
            ids[free : free + len(block)] = block
            free += len(block)
        start = end
    ids[free:] = np.concatenate(held)
    ids.flush()


def bounds_of(lengths: Sequence[int], least: int) -> np.ndarray:
    """Where texts that stand one after the other begin, and the end, (texts + 1,) int64.

    One that is shorter than `least` has no bound to the next, so that it can be read at all.
    """
    bounds, size = [0], 0
    for length in lengths:
        size += length
        if size >= least:
            bounds.append(bounds[-1] + size)
            size = 0
    if len(bounds) == 1:
        bounds.append(0)
    bounds[-1] += size
    return np.array(bounds, np.int64)


@dataclass(frozen=True)
class Holdout:
    """What is held out of one text or several.

    Attributes:
        ids: (characters,), one text after the other.
        bounds: where each text begins, and the end.
        unknown: how many more characters there were that the model cannot know.
    """

    ids: np.ndarray
    bounds: np.ndarray
    unknown: int = 0

    @property
    def pieces(self) -> int:
        """How many pieces `holdout_batches` makes of it for targets every."""
        return int((-(-np.diff(self.bounds) // PIECE)).sum())

    def batches(self, seq_length: int, targets: str, rows: int) -> Iterator[HoldoutBatch]:
        """See `holdout_batches`."""
        return holdout_batches(self.ids, seq_length, targets, rows, self.bounds)

    def mean(self, total: float, counted: int) -> float:
        """The mean loss in nats, from the sum over the counted characters; unknown ones count."""
        return (total + self.unknown * nats(UNKNOWN_BITS)) / (counted + self.unknown)


@dataclass(frozen=True)
class PartStreams(Streams):
    """Targets every: the readers go through all windows of all texts, in their order.

    Each time that a reader comes to a text, it begins at a random one of the places from which as
    many windows fit, so that what is left over at both ends differs; and from a zero state.

    Attributes:
        bounds: where each text begins, and the end; each is longer than a window.
    """

    bounds: np.ndarray

    @cached_property
    def _ends(self) -> np.ndarray:
        """How many windows there are up to the end of each text (texts,)."""
        return np.cumsum((np.diff(self.bounds) - 1) // self.seq_length)

    @property
    def steps_per_pass(self) -> int:
        """Batches in which the readers together read all windows once."""
        return math.ceil(int(self._ends[-1]) / self.batch_size)

    def batch(self, step: int, first: int = 0, last: int | None = None) -> Batch:
        """Rows [first, last) of global batch `step`, a pure function of (seed, step)."""
        rows = np.arange(first, self.batch_size if last is None else last, dtype=np.int64)
        windows = int(self._ends[-1])
        offset = int(mix(self.seed) % np.uint64(windows))
        number, window = np.divmod(rows * windows // self.batch_size + offset + step, windows)
        text = np.searchsorted(self._ends, window, side="right")
        place = window - np.concatenate(([0], self._ends))[text]
        spare = (np.diff(self.bounds)[text] - 1) % self.seq_length
        begin = mix(self.seed, number, rows, text) % (spare + 1).astype(np.uint64)
        starts = self.bounds[text] + begin.astype(np.int64) + place * self.seq_length
        ids = self.ids[starts[:, None] + np.arange(self.seq_length + 1)].astype(np.int32)
        fresh = self._fresh(step, rows) | (place == 0) | (step == 0)
        return Batch(ids[:, :-1], ids[:, 1:], fresh)


@dataclass(frozen=True)
class PartWindows(Windows):
    """Targets last: the windows of all texts, in a new random order each pass.

    Attributes:
        bounds: where each text begins, and the end; each is longer than a window.
    """

    bounds: np.ndarray

    @cached_property
    def _ends(self) -> np.ndarray:
        """How many windows there are up to the end of each text (texts,)."""
        return np.cumsum((np.diff(self.bounds) - self.seq_length - 1) // self.step + 1)

    @property
    def count(self) -> int:
        """How many windows the texts have."""
        return int(self._ends[-1])

    def _starts(self, windows: np.ndarray) -> np.ndarray:
        text = np.searchsorted(self._ends, windows, side="right")
        before = np.concatenate(([0], self._ends))[text]
        return self.bounds[text] + (windows - before) * self.step
