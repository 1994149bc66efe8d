"""Whether a text is a list, an item a line, by how its lines look."""

import unicodedata
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import pairwise
from typing import TypeVar

import numpy as np

from textgen.text.items import bounds, newline_of
from textgen.text.vocabulary import Vocabulary

Thing = TypeVar("Thing")

# What is looked at: so many blocks of so many characters, all of a short text.
BLOCKS, BLOCK = 16, 1 << 15
LEAST = 30  # lines; fewer say nothing
# Characters of the median line, and of the longest.
MEDIAN, LONGEST = 30, 80
SORTED = 0.97  # of neighbouring lines are in order
INITIALS = 3  # with which the lines begin: else a word, such as import, begins them all
FEW_WORDS = 3
# In lines of code, tables, chat logs and plays.
SIGNS = frozenset('\t|;:,=<>{}[]"“”«»/\\_#*@')
ENDS = frozenset(".,;:!?…-–—)")  # noqa: RUF001 - of lines of verse and prose


class Look(Enum):
    """What a text looks like."""

    LIST = "short lines in sorted order"
    PERHAPS = "short lines of few words"
    OTHER = "no list"


def look_of(ids: np.ndarray, vocabulary: Vocabulary) -> Look:
    """Judge a text by a sample of its lines.

    Args:
        ids: the text (characters,), a memory map if need be.
        vocabulary: its characters.
    """
    if "\n" not in vocabulary:
        return Look.OTHER
    found = judged(sampled(ids, vocabulary))
    if found is Look.LIST:
        lengths = np.diff(bounds(ids, newline_of(vocabulary)))
        return Look.LIST if lengths.max() <= LONGEST + 1 else Look.OTHER
    return found


def sampled(ids: np.ndarray, vocabulary: Vocabulary) -> list[list[str]]:
    """Lines from all over a text, in blocks of neighbours; cut ones are left out."""
    if len(ids) <= BLOCKS * BLOCK:
        return [vocabulary.decode(ids).split("\n")]
    starts = np.linspace(0, len(ids) - BLOCK, BLOCKS).astype(int)
    return [vocabulary.decode(ids[s : s + BLOCK]).split("\n")[1:-1] for s in starts]


def judged(blocks: Sequence[Sequence[str]]) -> Look:
    """Judge a text by blocks of neighbouring lines."""
    kept = [[line.rstrip() for line in block if line.strip()] for block in blocks]
    lines = [line for block in kept for line in block]
    if len(lines) < LEAST or not _short(lines) or not _plain(lines):
        return Look.OTHER
    blank = 1 - len(lines) / sum(map(len, blocks))
    distinct = len(set(lines)) / len(lines)
    if len({line[0].casefold() for line in lines}) < INITIALS:
        return Look.OTHER
    if blank <= 0.1 and distinct >= 0.5 and _sorted(kept):
        return Look.LIST
    if blank <= 0.02 and distinct >= 0.8 and _of_few_words(lines):
        return Look.PERHAPS
    return Look.OTHER


def _short(lines: Sequence[str]) -> bool:
    lengths = [len(line) for line in lines]
    return max(lengths) <= LONGEST and float(np.median(lengths)) <= MEDIAN


def _plain(lines: Sequence[str]) -> bool:
    """Whether lines are mostly words and nothing else: no table, log, script, verse or prose."""
    return (
        _share(lines, lambda line: line[0].isalpha()) >= 0.95
        and _share(lines, lambda line: not SIGNS.isdisjoint(line)) <= 0.05
        and _share(lines, lambda line: any(map(str.isdecimal, line))) <= 0.1
        and _share(lines, lambda line: line[-1] in ENDS) <= 0.05
    )


def _sorted(blocks: Sequence[Sequence[str]]) -> bool:
    """Whether neighbours are in alphabetical order, by all they hold or by letters alone."""
    return any(
        _share(
            [pair for block in blocks for pair in pairwise(map(key, block))],
            lambda pair: pair[0] <= pair[1],
        )
        >= SORTED
        for key in (_folded, lambda line: "".join(filter(str.isalnum, _folded(line))))
    )


def _folded(line: str) -> str:
    """A line without case and accents."""
    parts = unicodedata.normalize("NFKD", line.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def _of_few_words(lines: Sequence[str]) -> bool:
    """Whether lines are of a word or few, and all begin with a capital or none does."""
    capitals = _share(lines, lambda line: line[0].isupper())
    few = _share(lines, lambda line: len(line.split()) <= FEW_WORDS)
    return few >= 0.9 and not 0.1 < capitals < 0.9


def _share(things: Sequence[Thing], has: Callable[[Thing], bool]) -> float:
    return sum(map(has, things)) / max(1, len(things))
