"""Generating texts side by side, character by character."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from operator import itemgetter
from threading import Event, Lock

import numpy as np

from textgen.cores import available_cores
from textgen.generation.choosing import Chooser, Filters, Uniforms, surprisals
from textgen.generation.mixing import AnyStart, Mixture, read_prompts, side_by_side, widest
from textgen.generation.network import Network
from textgen.generation.ngrams import CopyGuard, NgramIndex
from textgen.generation.units import MOST, ends

# Fewer samples than this are not worth another thread.
_MIN_PER_THREAD = 8
# Characters of a text that are looked at for the end of a unit.
_TAIL = max(MOST.values())
# Pieces of a text before they are joined.
_MOST_PIECES = 4096
# How often a thread that waits for others looks up, in seconds.
_PATIENCE = 0.02

Ids = np.ndarray | tuple[np.ndarray, ...]


@dataclass(eq=False)
class Sample:
    """One text in the making; one thread may take what another adds.

    Attributes:
        index: its number; with the seed it decides the random numbers.
        temperature: how bold the choice of characters is.
        length: how many characters it has at most; None: no end.
        seed: of its random numbers.
        stops: texts that end the sample and are not part of it; none is empty.
        until: the unit at whose end it ends: `sentence`, `line` or `paragraph`; None for none.
        words_after: None, or what stands before a sample that begins and ends at a word: what
            comes before its first word is dropped, and the last one may exceed the length.
        prompt: the number of the prompt that it continues.
        stopped_by: `length`, `stop`, `until` or `max-copy`; None while it grows.
        characters: how many it has so far.
        bits: what they cost under the model, if that is measured.
    """

    index: int
    temperature: float
    length: int | None
    seed: int
    stops: tuple[str, ...] = ()
    until: str | None = None
    words_after: str | None = None
    prompt: int = 0
    stopped_by: str | None = None
    characters: int = 0
    bits: float = 0.0
    _pieces: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)
    # What may be the beginning of a stop text, and what each of its characters cost.
    _held: str = ""
    _held_bits: list[float] = field(default_factory=list)
    _tail: str = ""
    # How many characters came before the first word; None once that has begun.
    _dropped: int | None = 0

    def add(self, character: str, bits: float = 0.0) -> None:
        """The text grows by one character, or ends: before it, or with a stop text."""
        if self.words_after is not None and self._between_words(character):
            return
        if self.until is not None:
            if ends(self.until, self._tail, character):
                self.finish("until")
                return
            self._tail = (self._tail + character)[-_TAIL:]
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

    def finish_if_full(self) -> None:
        """End the text if it has its length, and its last word where that counts."""
        spare = 0 if self.words_after is None else MOST["word"]
        if self._reaches(spare):
            self.finish("length")

    def finish(self, reason: str) -> None:
        """End the text as it is."""
        self._release(len(self._held))
        self.stopped_by = reason

    def take(self) -> str:
        """What was added since the last call, except what may be part of a stop text."""
        with self._lock:
            text = "".join(self._pieces)
            self._pieces.clear()
        return text

    def _reaches(self, spare: int) -> bool:
        """Whether the text exceeds its length by `spare` characters, or more."""
        grown = self.characters + len(self._held)
        return self.length is not None and grown >= self.length + spare

    def _between_words(self, character: str) -> bool:
        """Whether a character is not written: it comes before the first word or after the last."""
        if self._dropped is not None:
            before, self.words_after = self.words_after or " ", character
            self._dropped += 1
            if self._dropped <= MOST["word"] and (not before.isspace() or character.isspace()):
                return True
            self._dropped = None
        elif character.isspace() and self._reaches(0):
            self.finish("length")
            return True
        return False

    def _release(self, length: int) -> None:
        self._keep(self._held[:length], sum(self._held_bits[:length]))
        self._held = self._held[length:]
        del self._held_bits[:length]

    def _keep(self, text: str, bits: float) -> None:
        self.characters += len(text)
        self.bits += bits
        with self._lock:
            self._pieces.append(text)
            # A text that waits for its turn is kept as one string, not as single characters.
            if len(self._pieces) > _MOST_PIECES:
                self._pieces[:] = ["".join(self._pieces)]

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
        filters: which characters may be chosen.
        measure: whether to sum up what the text costs under the model.
        copied: n-grams of the training text of which no sample may have a longer run.
    """

    characters: str
    filters: Filters = field(default_factory=Filters)
    measure: bool = False
    copied: NgramIndex | None = None


def generate(
    network: Network | Mixture,
    prompts: Sequence[Ids],
    samples: Sequence[Sample],
    settings: Settings,
) -> Generator[tuple[Sample, str]]:
    """Generate any number of samples, side by side in batches, and hand over their texts in turn.

    A batch is shared among the processor's cores: each thread takes some of the samples and
    one core. (Two threads of the BLAS library for one batch wait for each other so often
    that a busy machine makes them slower than one.) Samples without an end follow each
    other instead, in constant memory.

    Args:
        network: the model, or several.
        prompts: ids (characters,), at least one, that samples continue by their number; for
            several models a tuple of such.
        samples: they grow until each has ended.
        settings: what they have in common.

    Yields:
        A sample and the text by which it has grown: the first one after each character until
        it has ended, then the second one, and so on. Each begins with what it has when its
        turn comes; the first one so before its prompt is read. A text may be empty, as while a
        character may be the beginning of a stop text.
    """
    with closing(_steps(network, prompts, samples, settings)) as steps:
        for sample in samples:
            yield sample, sample.take()
            while sample.stopped_by is None:
                next(steps, None)
                yield sample, sample.take()
            yield sample, sample.take()  # a thread may have added it meanwhile


def whole_texts(
    network: Network, prompt: np.ndarray, samples: Sequence[Sample], settings: Settings
) -> list[str]:
    """The texts of samples that continue one prompt, each brought to its end by `generate`."""
    pieces = generate(network, [prompt], samples, settings)
    return ["".join(text for _, text in group) for _, group in groupby(pieces, itemgetter(0))]


def _steps(
    network: Network | Mixture,
    prompts: Sequence[Ids],
    samples: Sequence[Sample],
    settings: Settings,
) -> Generator[None]:
    """Let all samples grow; yields after each character of the earliest that still grow."""
    endless = any(sample.length is None for sample in samples)
    size = 1 if endless else widest(network) * available_cores()
    starts: dict[int, AnyStart] = {}
    for first in range(0, len(samples), size):
        some = samples[first : first + size]
        wanted = {sample.prompt for sample in some}
        starts = {number: starts[number] for number in wanted & starts.keys()}
        unread = sorted(wanted - starts.keys())
        read = read_prompts(network, [prompts[number] for number in unread])
        starts |= dict(zip(unread, read, strict=True))
        batches = _shared(some)
        if len(batches) == 1:
            yield from _generate_batch(starts, batches[0], settings)
        else:
            yield from _generate_threaded(starts, batches, settings)


def _shared(samples: Sequence[Sample]) -> list[Sequence[Sample]]:
    """The samples in order, in about equal parts, one for each core that is worth it."""
    parts = max(1, min(available_cores(), len(samples) // _MIN_PER_THREAD))
    bounds = [len(samples) * k // parts for k in range(parts + 1)]
    return [samples[low:high] for low, high in pairwise(bounds)]


def _generate_threaded(
    starts: Mapping[int, AnyStart],
    batches: Sequence[Sequence[Sample]],
    settings: Settings,
) -> Iterator[None]:
    """The first batch here, so that its text streams; each of the others in a thread."""
    from concurrent.futures import ThreadPoolExecutor, wait

    stop = Event()

    def work(batch: Sequence[Sample]) -> None:
        for _ in _generate_batch(starts, batch, settings):
            if stop.is_set():
                return

    with ThreadPoolExecutor(len(batches) - 1) as pool:
        others = [pool.submit(work, batch) for batch in batches[1:]]
        try:
            yield from _generate_batch(starts, batches[0], settings)
            while wait(others, _PATIENCE).not_done:
                yield
            for other in others:
                other.result()
        finally:
            stop.set()


def _generate_batch(
    starts: Mapping[int, AnyStart], samples: Sequence[Sample], settings: Settings
) -> Iterator[None]:
    """Generate samples as one batch; yields after each character of all."""
    stream = side_by_side([starts[sample.prompt] for sample in samples])
    size = len(settings.characters)
    chooser = Chooser([sample.temperature for sample in samples], size, settings.filters)
    uniforms = Uniforms([(sample.seed, sample.index) for sample in samples])
    guard = CopyGuard(settings.copied, len(samples)) if settings.copied is not None else None

    while True:
        excluded = guard.excluded() if guard else []
        for sample in samples:
            if not sample.stopped_by:
                sample.finish_if_full()
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


def _finish_cornered(samples: Sequence[Sample], excluded: list[np.ndarray], size: int) -> None:
    """End the samples for which no character is left; then none is excluded for them."""
    for row, ids in enumerate(excluded):
        if len(ids) == size:
            if not samples[row].stopped_by:
                samples[row].finish("max-copy")
            excluded[row] = ids[:0]
