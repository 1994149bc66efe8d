"""Items of a list: written whole, and compared with those that the model learned."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from textgen.corpus.chunks import whole_lines
from textgen.errors import TextgenError
from textgen.generation.choosing import Filters
from textgen.generation.mixing import Part
from textgen.generation.prompt import make_prompt
from textgen.generation.sampling import Sample, Settings, whole_texts
from textgen.generation.writing import MOST_SAMPLES, Asked
from textgen.messages import quoted
from textgen.storage.model_file import Model
from textgen.storage.provenance import Provenance
from textgen.storage.run_folder import model_name, read_run_text
from textgen.text.items import ItemList, hash_of
from textgen.text.vocabulary import Vocabulary

BLOCK = 1 << 22  # ids searched at a time
USUAL = 10  # items, where no number is asked for
LONGER = 2  # an item that is so many times as long as the list's longest has no end
# So many items are tried for each one that is asked for, and besides so many at most, of so many
# characters at most.
TRIES_EACH, TRIES, TRIED = 10, 1000, 200_000
AT_ONCE = 1000  # items tried at a time, and at least
FEWEST = 20

Known = Callable[[Collection[str]], set[str]]


def known_items(wanted: Collection[str], ids: np.ndarray, vocabulary: Vocabulary) -> set[str]:
    """Which items stand in a list.

    Args:
        wanted: the items.
        ids: the list (characters,), a memory map if need be.
        vocabulary: its characters.
    """
    sought, known = set(wanted), set[str]()
    for some in items_in(ids, vocabulary):
        known |= sought.intersection(some)
    return known


def items_in(ids: np.ndarray, vocabulary: Vocabulary) -> Iterator[list[str]]:
    """The items of a list, ids (characters,), in blocks; see `known_items`."""
    blocks = (ids[start : start + BLOCK] for start in range(0, len(ids), BLOCK))
    for piece in whole_lines(map(vocabulary.decode, blocks)):
        yield piece.removesuffix("\n").split("\n")


def items_of(model: Model) -> ItemList | None:
    """What a model keeps of the list that it learned; None where it learned no list."""
    return Provenance.read(model.provenance).items


def learned(part: Part) -> Known | None:
    """What tells which of some items stand in the list that a model learned, hold-out included.

    Returns:
        That function: by the text beside the model, else by the hashes in its file; None where
        there is neither.
    """
    if text := read_run_text(part.path, part.model):
        vocabulary = part.model.vocabulary
        return lambda wanted: set().union(
            *(known_items(wanted, ids, vocabulary) for ids in (text.train, text.holdout))
        )
    found = items_of(part.model)
    hashes = found.known if found else None
    if hashes is None:
        return None
    return lambda wanted: {item for item in wanted if hash_of(item) in hashes}


@dataclass
class Item:
    """An item that was written.

    Attributes:
        begin: what it was asked to begin with; may be empty.
        text: the rest of it.
        sample: how it was written.
    """

    begin: str
    text: str
    sample: Sample

    @property
    def whole(self) -> bool:
        """Whether it has an end, and is not blank."""
        return self.sample.stopped_by == "stop" and bool(str(self).strip())

    def __str__(self) -> str:
        return self.begin + self.text


class Items:
    """Items about to be written, one after the other.

    Args:
        part: the model that writes them.
        asked: how; its first temperature counts, and lengths and ends do not.
        count: how many.
        new: whether to leave out those of the list that the model learned, and repeats.

    Attributes:
        seed: makes the same items again.
        found: how many were written so far.
        known: how many were left out as items of the list.
        repeated: how many as repeats.
        endless: how many because they had no end, or were blank.

    Raises:
        TextgenError: the model learned no list, or it is not at hand, or an option cannot be used.
    """

    def __init__(self, part: Part, asked: Asked, count: int, new: bool = False):
        asked.check()
        if not 1 <= count <= MOST_SAMPLES:
            raise TextgenError(f"items must be from 1 to {MOST_SAMPLES:,}, not {count}.")
        name, kept = quoted(model_name(part.path)), items_of(part.model)
        if kept is None:
            raise TextgenError(
                f"The model {name} has learned no list. Train one with --list, or end its texts "
                "with --until line."
            )
        self._known = learned(part) if new else None
        if new and self._known is None:
            raise TextgenError(
                f"--new needs the list that {name} learned: it is too long to be kept in the "
                "model, and there is no matching text.ids beside it."
            )
        self._longest = LONGER * kept.longest
        self._part, self._asked, self._count, self._new = part, asked, count, new
        prompt = make_prompt(part.model, asked.prompt, asked.on_unknown).text
        self._begin = prompt.rpartition("\n")[2]
        self.seed = int.from_bytes(os.urandom(4), "big") if asked.seed is None else asked.seed
        self.found = self.known = self.repeated = self.endless = 0

    def __iter__(self) -> Iterator[Item]:
        """Write until all are found, or so many were tried that the rest cannot be hoped for."""
        tried, written = 0, set[str]()
        most = TRIES_EACH * self._count + min(TRIES, TRIED // self._longest)
        while self.found < self._count and tried < most:
            missing = self._count - self.found
            number = min(max(missing, FEWEST) if tried else missing, AT_ONCE, most - tried)
            found = write_items(
                self._part, self._asked, self.seed, range(tried, tried + number), self._begin
            )
            tried += number
            known = self._known([str(item) for item in found]) if self._known else set()
            for item in found:
                if self._wanted(item, known, written) and self.found < self._count:
                    self.found += 1
                    written.add(str(item))
                    yield item

    def _wanted(self, item: Item, known: set[str], written: set[str]) -> bool:
        """Whether an item is to be written; else it is counted by the reason."""
        text = str(item)
        if not item.whole:
            self.endless += 1
        elif text in known:
            self.known += 1
        elif self._new and text in written:
            self.repeated += 1
        else:
            return True
        return False


def write_items(
    part: Part, asked: Asked, seed: int, numbers: Iterable[int], begin: str = ""
) -> list[Item]:
    """Let a model write items side by side, with an end or without.

    Args:
        part: the model, which has learned a list.
        asked: how they are written; its first temperature counts.
        seed: of the random numbers.
        numbers: of the items; with the seed they decide the random numbers.
        begin: what each begins with, in characters that the model knows.
    """
    model, kept = part.model, items_of(part.model)
    assert kept is not None
    filters = Filters(asked.top_k, asked.top_p, asked.min_p)
    settings = Settings(model.vocabulary.characters, filters, asked.measure)
    length, warmth = LONGER * kept.longest, asked.temperatures[0]
    samples = [Sample(number, warmth, length, seed, stops=("\n",)) for number in numbers]
    # Each comes after the end of the training text, which ends with an item.
    prompt = model.vocabulary.encode(model.default_prompt + begin)
    texts = whole_texts(part.network, prompt, samples, settings)
    return [Item(begin, text, sample) for text, sample in zip(texts, samples, strict=True)]
