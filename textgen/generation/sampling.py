"""Choosing the next character from logits, and generating text with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from threading import Event

import numpy as np

from textgen.cores import available_cores
from textgen.generation.continuation import Continuation
from textgen.generation.ngrams import CopyGuard, NgramIndex

# Temperature 0 is greedy. Divided by this, the smallest difference that two float32 logits
# can have is astronomic, and the largest does not overflow.
_COLDEST = 1e-250
# Uniform numbers are drawn in blocks, which costs a tenth of drawing one at a time.
_BLOCK = 256
# Keeps the product of a uniform number and a sum below the sum, whatever the rounding.
_BELOW_ONE = 1 - 2.0**-52
# Fewer samples than this are not worth another thread.
_MIN_PER_THREAD = 8
# Pieces of a text before they are joined.
_MOST_PIECES = 4096
# How often a thread that waits for others looks up, in seconds.
_PATIENCE = 0.02


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


def surprisals(logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """-log2 of the model's own probability of each row's id, (batch,) float64."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    chosen = scores[np.arange(len(ids)), ids]
    return (np.log(np.exp(scores).sum(axis=1)) - chosen) / np.log(2)


class Uniforms:
    """Uniform random numbers; each sample has its own generator, from (seed, index).

    The generator is Philox (Salmon et al. 2011), named so that a newer NumPy's default
    does not change anybody's text.
    """

    def __init__(self, seed: int, indices: Sequence[int]):
        self._generators = [
            np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(index,))))
            for index in indices
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


@dataclass(eq=False)
class Sample:
    """One text in the making.

    Attributes:
        index: its number; with the seed it decides the random numbers.
        temperature: how bold the choice of characters is.
        stops: texts that end the sample and are not part of it; none is empty.
        stopped_by: `length`, `stop` or `max-copy`; None while it grows.
        characters: how many it has so far.
        bits: what they cost under the model, if that is measured.
    """

    index: int
    temperature: float
    stops: tuple[str, ...] = ()
    stopped_by: str | None = None
    characters: int = 0
    bits: float = 0.0
    _pieces: list[str] = field(default_factory=list)
    # What may be the beginning of a stop text, and what each of its characters cost.
    _held: str = ""
    _held_bits: list[float] = field(default_factory=list)

    def add(self, character: str, bits: float = 0.0) -> None:
        """The text grows by one character; ends it if that completes a stop text."""
        if not self.stops:
            self._keep(character, bits)
            return
        self._held += character
        self._held_bits.append(bits)
        for stop in self.stops:
            if self._held.endswith(stop):
                self._release(len(self._held) - len(stop))
                self.stopped_by = "stop"
                return
        self._release(len(self._held) - self._overlap())

    def finish(self, reason: str) -> None:
        """End the text as it is."""
        self._release(len(self._held))
        self.stopped_by = reason

    def take(self) -> str:
        """What was added since the last call, but for what may be part of a stop text."""
        text = "".join(self._pieces)
        self._pieces.clear()
        return text

    def _release(self, length: int) -> None:
        self._keep(self._held[:length], sum(self._held_bits[:length]))
        self._held = self._held[length:]
        del self._held_bits[:length]

    def _keep(self, text: str, bits: float) -> None:
        self._pieces.append(text)
        self.characters += len(text)
        self.bits += bits
        # A text that waits for its turn is kept as one string, not as single characters.
        if len(self._pieces) > _MOST_PIECES:
            self._pieces = ["".join(self._pieces)]

    def _overlap(self) -> int:
        """Length of the longest end of the held text with which a stop text begins."""
        for start in range(len(self._held)):
            if any(stop.startswith(self._held[start:]) for stop in self.stops):
                return len(self._held) - start
        return 0


@dataclass(frozen=True)
class Settings:
    """How samples are generated.

    Attributes:
        characters: the vocabulary's, by id.
        length: characters of a sample; below 0: no end.
        seed: of all random numbers.
        filters: which characters may be chosen.
        measure: whether to sum up what the text costs under the model.
        copied: n-grams of the training text of which no sample may have a longer run.
    """

    characters: str
    length: int
    seed: int
    filters: Filters = Filters()
    measure: bool = False
    copied: NgramIndex | None = None


def generate(start: Continuation, samples: Sequence[Sample], settings: Settings) -> Iterator[None]:
    """Generate any number of samples, side by side in batches, in their order.

    A batch is shared among the processor's cores: each thread takes some of the samples and
    one core. (Two threads of the BLAS library for one batch wait for each other so often
    that a busy machine makes them slower than one.) Samples without an end follow each
    other instead, in constant memory.

    Args:
        start: has read the prompt; it is not changed.
        samples: they grow until each has ended.
        settings: what they have in common.

    Yields:
        After each character of the earliest samples that are still growing.
    """
    samples = list(samples)
    while samples:
        size = 1 if settings.length < 0 else start.widest * available_cores()
        batches = _shared(samples[:size])
        if len(batches) == 1:
            yield from _generate_batch(start, batches[0], settings)
        else:
            yield from _generate_threaded(start, batches, settings)
        del samples[:size]


def _shared(samples: list[Sample]) -> list[list[Sample]]:
    """The samples in order, in about equal parts, one for each core that is worth it."""
    parts = max(1, min(available_cores(), len(samples) // _MIN_PER_THREAD))
    bounds = [len(samples) * k // parts for k in range(parts + 1)]
    return [samples[low:high] for low, high in pairwise(bounds)]


def _generate_threaded(
    start: Continuation, batches: list[list[Sample]], settings: Settings
) -> Iterator[None]:
    """The first batch here, so that its text streams; each of the others in a thread."""
    from concurrent.futures import ThreadPoolExecutor, wait

    stop = Event()

    def work(batch: list[Sample]) -> None:
        for _ in _generate_batch(start, batch, settings):
            if stop.is_set():
                return

    with ThreadPoolExecutor(len(batches) - 1) as pool:
        others = [pool.submit(work, batch) for batch in batches[1:]]
        try:
            yield from _generate_batch(start, batches[0], settings)
            while wait(others, _PATIENCE).not_done:
                yield
            for other in others:
                other.result()
        finally:
            stop.set()


def _generate_batch(
    start: Continuation, samples: list[Sample], settings: Settings
) -> Iterator[None]:
    """Generate samples as one batch; yields after each character of all."""
    stream = start.fork(len(samples))
    size = len(settings.characters)
    chooser = Chooser([sample.temperature for sample in samples], size, settings.filters)
    uniforms = Uniforms(settings.seed, [sample.index for sample in samples])
    guard = CopyGuard(settings.copied, len(samples)) if settings.copied is not None else None

    for length in count():
        excluded = guard.excluded() if guard else []
        if length == settings.length:
            _finish(samples, "length")
        _finish_cornered(samples, excluded, size)
        growing = [(row, sample) for row, sample in enumerate(samples) if not sample.stopped_by]
        if not growing:
            return
        ids = chooser.choose(stream.logits, uniforms.draw(), excluded)
        costs = surprisals(stream.logits, ids) if settings.measure else np.zeros(len(ids))
        for row, sample in growing:
            sample.add(settings.characters[ids[row]], costs[row])
        yield
        if guard:
            guard.push(ids)
        stream.step(ids)


def _finish(samples: list[Sample], reason: str) -> None:
    for sample in samples:
        if not sample.stopped_by:
            sample.finish(reason)


def _finish_cornered(samples: list[Sample], excluded: list[np.ndarray], size: int) -> None:
    """End the samples for which no character is left; then none is excluded for them."""
    for row, ids in enumerate(excluded):
        if len(ids) == size:
            _finish([samples[row]], "max-copy")
            excluded[row] = ids[:0]
