"""What a text shares with the training text: character by character, or item by item."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from textgen.corpus.chunks import whole_lines
from textgen.generation.items import items_of, known_items, write_items
from textgen.generation.mixing import Part
from textgen.generation.ngrams import NgramIndex
from textgen.generation.writing import Asked
from textgen.storage.run_folder import read_run_text
from textgen.text.vocabulary import Vocabulary

# Lengths of the n-grams whose share is measured, and training text searched at a time.
LENGTHS = (10, 20, 40)
SEGMENT = 1 << 22
# Shorter lines, such as "Exit." or the name of a speaker, are the same by chance.
SHORTEST_LINE = 20
ITEMS = 200  # items of a list that are written, and looked up in it where they have an end
WARMTH = 0.8  # the temperature of what is searched for copies where the model's own is greedy


@dataclass(frozen=True)
class Copying:
    """What a text has verbatim from a training text.

    Attributes:
        longest: length in characters of the longest run that both have.
        text_place: where that run begins in the text.
        train_place: where it begins in the training text.
        shares: for each length n, the share of the text's n-grams that the training text
            has; None where the text is shorter than n.
    """

    longest: int
    text_place: int
    train_place: int
    shares: dict[int, float | None]


def measure_copying(
    ids: np.ndarray, train_ids: np.ndarray, vocabulary_size: int, segment: int = SEGMENT
) -> Copying:
    """Measure what a text has verbatim from a training text.

    The training text is searched in segments, so memory grows with the text alone: about
    20 bytes a character.

    Args:
        ids: the text (characters,); `vocabulary_size` stands for an unknown character.
        train_ids: the training text (characters,), a memory map if need be.
        vocabulary_size: how many characters there are.
        segment: how much of the training text is searched at a time, in characters.
    """
    shares = {n: _share(ids, train_ids, n, vocabulary_size, segment) for n in LENGTHS}
    longest, absent, places = 0, len(ids) + 1, (0, 0)
    n = 1
    while absent - longest > 1:
        found = _shared_run(ids, train_ids, n, vocabulary_size, segment)
        if found is None:
            absent = n
        else:
            longest, places = n, found
        # A shared run has shared runs of all shorter lengths: double, then bisect.
        n = min(2 * longest, (longest + absent) // 2)
    return Copying(longest, *places, shares)


def count_copied_lines(
    texts: Sequence[str], train_ids: np.ndarray, vocabulary: Vocabulary
) -> tuple[int, int]:
    """Count the whole lines of texts, and those that stand in a training text as they are.

    Args:
        texts: their first and last lines may be cut, and do not count.
        train_ids: the training text (characters,), a memory map if need be.
        vocabulary: of both.

    Returns:
        How many lines count, and how many of them are copied.
    """
    lines = [line.strip() for text in texts for line in text.split("\n")[1:-1]]
    long = [line for line in lines if len(line) >= SHORTEST_LINE]
    wanted, copied = set(long), set[str]()
    segments = (part for _, part in _segments(train_ids, 1, SEGMENT))
    for piece in whole_lines(map(vocabulary.decode, segments)):
        copied |= wanted.intersection(map(str.strip, piece.split("\n")))
    return len(long), sum(line in copied for line in long)


@dataclass(frozen=True)
class CopiedItems:
    """How many items that a model of a list writes stand in that list.

    Attributes:
        written: how many whole ones were written.
        learned: how many of them are among those that it was trained on.
        held_out: how many are among the hold-out, and not among those.
    """

    written: int
    learned: int
    held_out: int

    def __str__(self) -> str:
        return (
            f"Of {self.written:,} items that it writes, {self.learned:,} are in the list that it "
            f"learned, and {self.held_out:,} in its hold-out, which it has not seen."
        )


def count_copied_items(part: Part) -> CopiedItems | None:
    """Let a model write items, and count those that are in its list.

    Returns:
        The counts; None where the model learned no list, or the list is not beside it.
    """
    text = None if items_of(part.model) is None else read_run_text(part.path, part.model)
    if text is None:
        return None
    asked = Asked(None, "", (part.model.sampling.temperatures[0] or WARMTH,))
    items = write_items(part, asked, seed=0, numbers=range(ITEMS))
    written = [str(item) for item in items if item.whole]
    learned, held = (
        known_items(written, ids, part.model.vocabulary) for ids in (text.train, text.holdout)
    )
    return CopiedItems(
        len(written),
        sum(item in learned for item in written),
        sum(item in held - learned for item in written),
    )


def line_at(train_ids: np.ndarray, place: int, vocabulary: Vocabulary) -> int | None:
    """The line of a text, counted from 1, in which a place is; None if it has no lines."""
    if "\n" not in vocabulary:
        return None
    newline = vocabulary.lookup("\n")[0]
    return int(np.count_nonzero(train_ids[:place] == newline)) + 1


def _segments(train_ids: np.ndarray, n: int, length: int) -> Iterator[tuple[int, np.ndarray]]:
    """The training text in parts that share n - 1 characters: beginnings and ids."""
    for start in range(0, max(0, len(train_ids) - n + 1), length):
        yield start, train_ids[start : start + length + n - 1]


def _share(
    ids: np.ndarray, train_ids: np.ndarray, n: int, vocabulary_size: int, length: int
) -> float | None:
    """The share of a text's n-grams that the training text has."""
    if len(ids) < n:
        return None
    found = np.zeros(len(ids) - n + 1, dtype=bool)
    for _, segment in _segments(train_ids, n, length):
        found |= NgramIndex(segment, n, vocabulary_size).contains(ids)
    return float(found.mean())


def _shared_run(
    ids: np.ndarray, train_ids: np.ndarray, n: int, vocabulary_size: int, length: int
) -> tuple[int, int] | None:
    """Where a run of n characters stands in a text and in the training text, if in both."""
    index = NgramIndex(ids, n, vocabulary_size)
    for start, segment in _segments(train_ids, n, length):
        for place in np.flatnonzero(index.contains(segment)).tolist():
            # The index can err, so the characters themselves are compared.
            text_place = _find(ids, segment[place : place + n])
            if text_place is not None:
                return text_place, start + place
    return None


def _find(ids: np.ndarray, run: np.ndarray) -> int | None:
    """Where a run of ids first stands in a text."""
    text = ids.astype("<u4").tobytes()
    pattern = run.astype("<u4").tobytes()
    place = text.find(pattern)
    while place % 4 > 0:
        place = text.find(pattern, place + 1)
    return place // 4 if place >= 0 else None
