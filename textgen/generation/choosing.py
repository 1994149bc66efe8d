"""Choosing the next character from logits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from textgen.messages import bits

# Temperature 0 is greedy. Divided by this, the smallest difference that two float32 logits
# can have is astronomic, and the largest does not overflow.
_COLDEST = 1e-250
# Uniform numbers are drawn in blocks, which costs a tenth of drawing one at a time.
_BLOCK = 256
# Keeps the product of a uniform number and a sum below the sum, whatever the rounding.
_BELOW_ONE = 1 - 2.0**-52


@dataclass(frozen=True)
class Filters:
    """Which characters may be chosen at all.

    The filters look at the model's own probabilities, in this order, each at what the one
    before has left; the temperature comes last (the order and the meanings of llama.cpp;
    keras-hub's samplers have the same meanings, but divide by the temperature first).

    Attributes:
        top_k: only the k most probable characters (Fan et al. 2018); 0 is off.
        top_p: the fewest most probable characters that together reach this probability
            (Holtzman et al. 2020); 1 is off. The most probable one always stays.
        min_p: characters at least this probable relative to the most probable one
            (Nguyen et al. 2024); 0 is off.
    """

    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __bool__(self) -> bool:
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0

    def apply(self, scores: np.ndarray) -> None:
        """Set what is filtered out to minus infinity.

        Args:
            scores: (batch, vocabulary) float64 log-probabilities, the largest of each row
                being 0; changed in place.
        """
        order = np.argsort(-scores, axis=1, kind="stable")
        ranked = np.exp(np.take_along_axis(scores, order, axis=1))
        dropped = np.zeros(ranked.shape, dtype=bool)
        if self.top_k:
            dropped[:, self.top_k :] = True
            ranked[:, self.top_k :] = 0
        if self.top_p < 1:
            reached = np.cumsum(ranked, axis=1)
            dropped[:, 1:] |= reached[:, :-1] >= self.top_p * reached[:, -1:]
        dropped |= ranked < self.min_p
        np.put_along_axis(
            scores, order, np.where(dropped, -np.inf, np.take_along_axis(scores, order, 1)), 1
        )


class Chooser:
    """Draws one character for each row of logits.

    Args:
        temperatures: (batch,), each at least 0.
        vocabulary_size: how many characters there are.
        filters: which of them may be chosen.
    """

    def __init__(self, temperatures: Sequence[float], vocabulary_size: int, filters: Filters):
        shape = (len(temperatures), vocabulary_size)
        warm = np.array(temperatures, dtype=np.float64)[:, None]
        self._temperatures = np.maximum(warm, _COLDEST)
        # The smallest draw takes the first of equally good characters: greedy is certain.
        self._luck = np.where(warm > 0, _BELOW_ONE, 0.0)
        self._filters = filters
        self._scores, self._sums = np.empty(shape), np.empty(shape)
        self._top, self._draws = np.empty((shape[0], 1)), np.empty((shape[0], 1))
        self._below = np.empty(shape, dtype=bool)

    def choose(
        self, logits: np.ndarray, uniforms: np.ndarray, excluded: Sequence[np.ndarray] = ()
    ) -> np.ndarray:
        """Draw by inverting the cumulative distribution, in float64.

        Args:
            logits: (batch, vocabulary) float32, finite.
            uniforms: (batch, 1) in [0, 1).
            excluded: for each row the ids that must not be chosen; never all of them.

        Returns:
            Ids (batch,) int64.
        """
        scores, sums = self._scores, self._sums
        np.copyto(scores, logits)
        for row, ids in enumerate(excluded):
            if len(ids):
                scores[row, ids] = -np.inf
        np.maximum.reduce(scores, axis=1, keepdims=True, out=self._top)
        np.subtract(scores, self._top, out=scores)
        if self._filters:
            self._filters.apply(scores)

        np.divide(scores, self._temperatures, out=scores)
        np.exp(scores, out=scores)
        np.add.accumulate(scores, axis=1, out=sums)
        np.multiply(uniforms, self._luck, out=self._draws)
        np.multiply(self._draws, sums[:, -1:], out=self._draws)
        if len(sums) == 1:  # a binary search is quicker than comparing with every sum
            return sums[0].searchsorted(self._draws[0], side="right")
        np.less_equal(sums, self._draws, out=self._below)
        return np.add.reduce(self._below, axis=1, dtype=np.int64)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The model's own probabilities (batch, vocabulary) float64 from logits of that shape."""
    scores = logits.astype(np.float64)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def surprisals(logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """-log2 of the model's own probability of each row's id, (batch,) float64."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    chosen = scores[np.arange(len(ids)), ids]
    return bits(np.log(np.exp(scores).sum(axis=1)) - chosen)


class Uniforms:
    """Uniform random numbers; each sample has its own generator, from (seed, index).

    The generator is Philox (Salmon et al. 2011), named so that a newer NumPy's default
    does not change anybody's text.

    Args:
        keys: seed and index of each sample.
    """

    def __init__(self, keys: Sequence[tuple[int, int]]):
        self._generators = [
            np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(index,))))
            for seed, index in keys
        ]
        self._block: Iterator[np.ndarray] = iter(())

    def draw(self) -> np.ndarray:
        """One number in [0, 1) for each sample, (samples, 1)."""
        column = next(self._block, None)
        if column is None:
            rows = [generator.random(_BLOCK) for generator in self._generators]
            self._block = iter(np.stack(rows, axis=1)[:, :, None])
            column = next(self._block)
        return column
