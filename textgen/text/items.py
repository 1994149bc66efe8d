"""Lists: texts of items, one a line, that have no order of their own."""

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from zlib import crc32

import numpy as np

from textgen.errors import TextgenError
from textgen.text.batches import Batch, Streams, Windows, mix, permute
from textgen.text.encoding import open_ids
from textgen.text.vocabulary import Vocabulary

BLOCK = 1 << 22  # ids and items worked on at a time
LONGEST = 10_000  # characters of an item
MOST_HASHED = 50_000  # items of which hashes are kept
SHUFFLE = -1  # the number of the permutation that cuts off the hold-out; passes count from 0


@dataclass(frozen=True)
class ItemList:
    """What a run and a model keep of a list.

    Attributes:
        items: how many it has.
        longest: characters of the longest.
        hashes: CRC-32 of each item in UTF-8: uint32, sorted, little-endian, in base64; empty
            where there are more than `MOST_HASHED`.
    """

    items: int
    longest: int
    hashes: str = field(repr=False)

    @cached_property
    def known(self) -> frozenset[int] | None:
        """The hashes as numbers; None where there are none."""
        if not self.hashes:
            return None
        return frozenset(np.frombuffer(base64.b64decode(self.hashes), "<u4").tolist())


def hash_of(item: str) -> int:
    """What stands for an item among the hashes of a list."""
    return crc32(item.encode())


@dataclass(frozen=True)
class Arranged:
    """A list in its file, shuffled, so that the end of the file is a random sample.

    Attributes:
        characters: length of the file, each item with its newline.
        holdout: characters of the items that are held out: the end of the file.
        holdout_items: how many they are.
        sha256: of the file's text in UTF-8.
        items: what is to be kept of the list.
    """

    characters: int
    holdout: int
    holdout_items: int
    sha256: str
    items: ItemList


def arrange(path: Path, vocabulary: Vocabulary, split: float, most: int, seed: int) -> Arranged:
    """Drop blank lines from a list and shuffle its items.

    Memory grows with the number of items, by about 40 bytes each, not with their length.

    Args:
        path: the file of its ids; it is replaced.
        vocabulary: which they are in.
        split: share of the items that is held out.
        most: characters that are held out.
        seed: of the order.

    Raises:
        TextgenError: it has fewer than two items, or a line that is too long for one.
        OSError: the file cannot be written.
    """
    newline = newline_of(vocabulary)
    with path.open("rb+") as file:
        ids = open_ids(path, len(vocabulary))
        if ids[-1] != newline:
            file.seek(0, os.SEEK_END)
            file.write(np.array([newline], ids.dtype).tobytes())
    ids = open_ids(path, len(vocabulary))
    starts, lengths = _items(ids, bounds(ids, newline), vocabulary)
    if len(starts) < 2:
        raise TextgenError("A list must have two items or more, one a line. Use --no-list.")
    order = permutation(len(starts), seed, SHUFFLE)
    starts, lengths = starts[order], lengths[order]
    held = held_out(lengths, split, most)
    shuffled, digest = path.with_name(path.name + ".shuffled"), hashlib.sha256()
    hashes = set[int]()
    with shuffled.open("wb") as file:
        for block in _gathered(ids, starts, lengths):
            file.write(block.tobytes())
            text = vocabulary.decode(block)
            digest.update(text.encode())
            if len(starts) <= MOST_HASHED:
                hashes.update(map(hash_of, text.split("\n")[:-1]))
    shuffled.replace(path)
    return Arranged(
        characters=int(lengths.sum()),
        holdout=int(lengths[len(lengths) - held :].sum()),
        holdout_items=held,
        sha256=digest.hexdigest(),
        items=ItemList(len(starts), int(lengths.max()) - 1, _packed(hashes)),
    )


def newline_of(vocabulary: Vocabulary) -> int:
    """The id of the newline.

    Raises:
        TextgenError: there is none.
    """
    if "\n" not in vocabulary:
        raise TextgenError("The text has no line breaks, so it is no list. Use --no-list.")
    return int(vocabulary.lookup("\n")[0])


def bounds(ids: np.ndarray, newline: int) -> np.ndarray:
    """Where the lines of a text begin, (lines + 1,) int64: the last number is its length.

    Args:
        ids: the text (characters,), which ends with a newline; a memory map will do.
        newline: the id that ends a line.
    """
    blocks = range(0, len(ids), BLOCK)
    lines = sum(int((ids[start : start + BLOCK] == newline).sum()) for start in blocks)
    found, place = np.zeros(lines + 1, np.int64), 1
    for start in blocks:
        ends = np.flatnonzero(ids[start : start + BLOCK] == newline)
        found[place : place + len(ends)] = ends + (start + 1)
        place += len(ends)
    return found


def permutation(size: int, seed: int, number: int) -> np.ndarray:
    """A random order (size,) of so many items; see `permute`."""
    order = np.empty(size, np.int32 if size <= np.iinfo(np.int32).max else np.int64)
    for start in range(0, size, BLOCK):
        part = np.arange(start, min(start + BLOCK, size))
        order[start : start + BLOCK] = permute(part, size, seed, number)
    return order


def held_out(lengths: np.ndarray, split: float, most: int) -> int:
    """How many items at the end are held out: a share, of at most so many characters, and one.

    Args:
        lengths: of all items, at least two.
        split: the share.
        most: characters.
    """
    count = min(max(int(len(lengths) * split), 1), len(lengths) - 1)
    from_the_end = np.cumsum(lengths[len(lengths) - count :][::-1])
    return max(1, int(np.searchsorted(from_the_end, most, side="right")))


def _items(
    ids: np.ndarray, lines: np.ndarray, vocabulary: Vocabulary
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of the lines that are not blank, the newline included.

    Raises:
        TextgenError: a line is too long for an item.
    """
    lengths = np.diff(lines).astype(np.int64)
    if lengths.max() > LONGEST + 1:
        raise TextgenError(
            f"Line {int(lengths.argmax()) + 1:,} has {int(lengths.max()) - 1:,} characters, and an "
            f"item of a list at most {LONGEST:,}. Use --no-list."
        )
    blank = np.array([character.isspace() for character in vocabulary.characters])
    kept = np.empty(len(lengths), bool)
    for first, last in _blocks(lines):
        visible = ~blank[ids[lines[first] : lines[last]]]
        kept[first:last] = np.logical_or.reduceat(visible, lines[first:last] - lines[first])
    return lines[:-1][kept], lengths[kept]


def _blocks(bounds: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut lines (lines + 1,) into blocks of about `BLOCK` characters: first line, and the next."""
    first = 0
    while first < len(bounds) - 1:
        last = int(np.searchsorted(bounds, bounds[first] + BLOCK, side="right")) - 1
        last = max(last, first + 1)
        yield first, last
        first = last


def _gathered(ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
    """The ids of items, one after the other, in blocks."""
    ends = np.concatenate(([0], np.cumsum(lengths)))
    for first, last in _blocks(ends):
        shift = np.repeat(starts[first:last] - ends[first:last], lengths[first:last])
        yield ids[shift + np.arange(ends[first], ends[last])]


def _packed(hashes: Iterable[int]) -> str:
    return base64.b64encode(np.array(sorted(hashes), "<u4").tobytes()).decode()


class Items:
    """The items of a list, which come in another order in each pass.

    It keeps 20 bytes for each item, and 36 for a moment when a pass begins.

    Args:
        ids: the training text (characters,), which ends with a newline; a memory map will do.
        newline: the id that ends an item.
        seed: of the run.
    """

    def __init__(self, ids: np.ndarray, newline: int, seed: int):
        if ids[-1] != newline:
            raise TextgenError("text.ids is no list of items. Train it again with --overwrite.")
        self._ids, self._seed = ids, int(mix(seed, SHUFFLE) >> np.uint64(1))
        self._bounds = bounds(ids, newline)
        self._pass: tuple[int, np.ndarray, np.ndarray] | None = None

    def read(self, places: np.ndarray, number: int) -> np.ndarray:
        """The ids at places (any shape) of pass `number`, counted in its order."""
        order, begins = self._order(number)
        turns = np.searchsorted(begins, places, side="right") - 1
        return self._ids[self._bounds[order[turns]] + places - begins[turns]]

    def begins(self, places: np.ndarray, number: int) -> np.ndarray:
        """Where in pass `number` the items begin that stand at places (any shape)."""
        _, begins = self._order(number)
        return begins[np.searchsorted(begins, places, side="right") - 1]

    def _order(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The items (items,) in the order of a pass, and where each begins in it (items,)."""
        if self._pass is None or self._pass[0] != number:
            self._pass = None
            order = permutation(len(self._bounds) - 1, self._seed, number)
            begins = np.zeros(len(order), np.int64)
            np.cumsum(np.diff(self._bounds)[order[:-1]], out=begins[1:])
            self._pass = number, order, begins
        return self._pass[1:]


@dataclass(frozen=True)
class ItemStreams(Streams):
    """Targets every: in each pass `batch_size` readers share the items in a new order.

    A reader begins with the newline before an item and from a zero state.

    Attributes:
        items: of the list.
    """

    items: Items

    def batch(self, step: int, first: int = 0, last: int | None = None) -> Batch:
        """Rows [first, last) of global batch `step`, a pure function of (seed, step)."""
        number, place = divmod(step, self.steps_per_pass)
        rows = np.arange(first, self.batch_size if last is None else last, dtype=np.int64)
        starts = self.items.begins(rows * len(self.ids) // self.batch_size, number) - 1
        places = (starts + place * self.seq_length)[:, None] + np.arange(self.seq_length + 1)
        window = self.items.read(places % len(self.ids), number).astype(np.int32)
        return Batch(window[:, :-1], window[:, 1:], self._fresh(step, rows) | (place == 0))


@dataclass(frozen=True)
class ItemWindows(Windows):
    """Targets last: windows of the items, which stand in a new order in each pass.

    Attributes:
        items: of the list.
    """

    items: Items

    def _read(self, places: np.ndarray, number: int) -> np.ndarray:
        return self.items.read(places, number)
