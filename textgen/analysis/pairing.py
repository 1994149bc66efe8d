"""Whether one model predicts a text better than another, or it is too close to call.

What two models pay for the same text differs from place to place. The text is cut into pieces; the
spread of the difference over the pieces says how far its mean may be off (the batch means method).
Both models read the same pieces, so what makes a piece hard for both cancels out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# The differences at neighbouring characters resemble each other, so pieces are long: 64 characters
# at first, and twice as many whenever there are more than MOST pieces.
SHORTEST = 64
MOST = 32
LEAST = 4  # fewer pieces give no error
# How many standard errors a difference must have. Passages of a book resemble themselves more than
# the book, so 2 errors, 95 % elsewhere, were reached by chance in 18 % of excerpts of 300 to 16,000
# characters (two novels, four models, their mean difference taken away); 3 were in 6 %.
SURE = 3.0


class Pieces:
    """The cost of a text piece by piece, in constant memory.

    Attributes:
        sums: bits (MOST,) of the counted characters of each piece.
        counts: how many those are (MOST,).
    """

    def __init__(self) -> None:
        self.sums, self.counts = np.zeros(MOST), np.zeros(MOST)
        self._length, self._end = SHORTEST, 0

    def add(self, bits: np.ndarray) -> None:
        """The text continues with the costs (characters,); NaN where nothing is counted."""
        while self._end + len(bits) > MOST * self._length:
            self.sums, self.counts = _halved(self.sums), _halved(self.counts)
            self._length *= 2
        places = (self._end + np.flatnonzero(~np.isnan(bits))) // self._length
        self.sums += np.bincount(places, bits[~np.isnan(bits)], MOST)
        self.counts += np.bincount(places, minlength=MOST)
        self._end += len(bits)


def _halved(pieces: np.ndarray) -> np.ndarray:
    """Twice as long pieces; half of them are left, and room for others."""
    return np.concatenate((pieces.reshape(-1, 2).sum(axis=1), np.zeros(MOST // 2)))


def difference(one: Pieces, other: Pieces) -> tuple[float, float] | None:
    """By how many bits a character `one` is dearer, and the standard error of that.

    Pieces count of which both have counted as many characters. None where they are too few.
    """
    both = (one.counts == other.counts) & (one.counts > 0)
    pieces = int(np.count_nonzero(both))
    if pieces < LEAST:
        return None
    counts = one.counts[both]
    apart = one.sums[both] - other.sums[both]
    mean = apart.sum() / counts.sum()
    spread = math.sqrt(np.square(apart - mean * counts).sum() * pieces / (pieces - 1))
    return float(mean), spread / float(counts.sum())


@dataclass(frozen=True)
class Standing:
    """Where a model stands among several.

    Attributes:
        error: the standard error of its difference from the best, in bits per character; for the
            best, from the next. None where the text is too short to tell.
        best: whether it is the best; None where that is too close to call.
    """

    error: float | None
    best: bool | None


def standings(figures: Sequence[float | None], pieces: Sequence[Pieces]) -> list[Standing]:
    """Rank models by their bits per character; None is not ranked.

    Args:
        figures: bits per character of each model.
        pieces: of each model, what makes up that figure.
    """
    ranked = [place for place in range(len(figures)) if figures[place] is not None]
    ranked.sort(key=lambda place: figures[place] or 0)
    made = [Standing(None, False) for _ in figures]
    if len(ranked) < 2:
        return made
    first, *others = ranked
    for place in others:
        found = difference(pieces[place], pieces[first])
        clear = found is not None and found[0] >= SURE * found[1] and found[0] > 0
        made[place] = Standing(found and found[1], False if clear else None)
    clear = all(made[place].best is False for place in others)
    made[first] = Standing(made[others[0]].error, True if clear else None)
    return made
