"""Models that write together: each character by a weighted mean of their probabilities.

Each model has a state and characters of its own. To one that it does not know it gives the
probability 0; where another model has written that, it continues as if it were not there.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from textgen.config import Cleaning, SampleConfig
from textgen.corpus.cleaning import clean_prompt
from textgen.errors import TextgenError
from textgen.generation import continuation
from textgen.generation.choosing import probabilities
from textgen.generation.continuation import Continuation, Start
from textgen.generation.network import Network
from textgen.generation.prompt import Prompt, make_prompt
from textgen.generation.relatives import as_known
from textgen.messages import notes_to
from textgen.storage.model_file import Model
from textgen.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Part:
    """A model that writes, alone or with others.

    Attributes:
        path: the model file.
        model: what it holds.
        network: the same, to compute with.
        weight: its share of a mixture, 0 to 1.
    """

    path: Path
    model: Model
    network: Network
    weight: float = 1.0


def shares(weights: Sequence[float]) -> list[float]:
    """Weights as shares of their sum.

    Raises:
        TextgenError: one is negative or not finite, or all are 0.
    """
    for weight in weights:
        if not 0 <= weight < math.inf:
            raise TextgenError(f"A model's weight must be at least 0 and finite, not {weight:g}.")
    largest = max(weights, default=0)
    if not largest:
        raise TextgenError("The weights of the models are all 0. Give one of them more.")
    parts = [weight / largest for weight in weights]  # a sum of the weights might overflow
    return [part / sum(parts) for part in parts]


class Mixture:
    """Two or more models that write together; in place of a single model or network.

    Args:
        parts: the models; their weights, each above 0, add up to 1.

    Attributes:
        parts: the same.
        vocabulary: the characters that any of them knows.
        places: for each model its characters' ids in that vocabulary.
    """

    def __init__(self, parts: Sequence[Part]):
        self.parts = parts
        vocabularies = [part.model.vocabulary for part in parts]
        characters = sorted({one for known in vocabularies for one in known.characters})
        self.vocabulary = Vocabulary("".join(characters), vocabularies[0].commonest)
        self.places = [self.vocabulary.lookup(known.characters) for known in vocabularies]

    @cached_property
    def own_ids(self) -> list[np.ndarray]:
        """For each model the ids that it has for all characters; its size for unknown ones."""
        return [part.model.vocabulary.lookup(self.vocabulary.characters) for part in self.parts]

    @property
    def cleaning(self) -> Cleaning:
        """How prompts are cleaned before each model does so: as all models do, else plainly."""
        found = {part.model.cleaning for part in self.parts}
        return found.pop() if len(found) == 1 else Cleaning()

    @property
    def sampling(self) -> SampleConfig:
        """The defaults of the first model."""
        return self.parts[0].model.sampling

    @property
    def default_prompt(self) -> str:
        """Where there is no prompt each model continues its own text: one that ends in a word."""
        prompts = [part.model.default_prompt for part in self.parts]
        return next((one for one in prompts if not one[-1:].isspace()), prompts[0])


@dataclass(frozen=True)
class MixedPrompt:
    """A prompt of several models.

    Attributes:
        text: the user's prompt, in characters that one of them knows; empty if there was none.
        ids: what each model reads (characters,).
    """

    text: str
    ids: tuple[np.ndarray, ...]


def prompt_for(model: Model | Mixture, text: str, on_unknown: str) -> Prompt | MixedPrompt:
    """Make a prompt ready for a model or several; see `make_prompt`.

    Raises:
        TextgenError: for `error`, names the first character that no model knows.
    """
    if isinstance(model, Model):
        return make_prompt(model, text, on_unknown)
    known = model.vocabulary
    text = as_known(clean_prompt(text, model.cleaning), known.characters)
    text = known.decode(known.encode(text, on_unknown))
    with notes_to(lambda _: None):  # what one of them reads otherwise is no news
        read = [make_prompt(part.model, text, "skip").ids for part in model.parts]
    return MixedPrompt(text, tuple(read))


class MixedTexts:
    """Texts that several models write together, side by side; see `CarriedState`.

    Args:
        mixture: the models.
        parts: the same texts as each model has read them.

    Attributes:
        batch: how many texts there are.
        logits: logarithms of probabilities (batch, vocabulary) float64, in a buffer that is reused.
    """

    def __init__(self, mixture: Mixture, parts: Sequence[Continuation]):
        self.batch = parts[0].batch
        self.logits = np.empty((self.batch, len(mixture.vocabulary)))
        self._mixture = mixture
        self._parts = parts
        self._mix()

    def step(self, ids: np.ndarray) -> None:
        """Read one character (batch,) of each text."""
        for texts, own_ids in zip(self._parts, self._mixture.own_ids, strict=True):
            _step_known(texts, own_ids[ids])
        self._mix()

    def _mix(self) -> None:
        self.logits[:] = 0
        for part, places, texts in zip(
            self._mixture.parts, self._mixture.places, self._parts, strict=True
        ):
            self.logits[:, places] += part.weight * probabilities(texts.logits)
        with np.errstate(divide="ignore"):
            np.log(self.logits, out=self.logits)


def _step_known(texts: Continuation, ids: np.ndarray) -> None:
    """Read one character (batch,) of each text; those whose model does not know it stay."""
    unknown = ids == texts.network.vocabulary_size
    if not unknown.any():
        texts.step(ids)
        return
    rows = np.flatnonzero(unknown)
    layers = [part for layer in texts.state for part in layer]
    before = [[part[row :: texts.batch].copy() for part in layers] for row in rows]
    logits = texts.logits[rows]
    texts.step(np.where(unknown, 0, ids))
    for row, kept in zip(rows, before, strict=True):
        for part, part_kept in zip(layers, kept, strict=True):
            # A step moves all windows of a `SlidingWindow` one slot further.
            part[row :: texts.batch] = np.roll(part_kept, 1, axis=0)
    texts.logits[rows] = logits


@dataclass(frozen=True)
class MixedStart:
    """Where a text of several models begins: each has read its prompt."""

    mixture: Mixture
    parts: tuple[Start, ...]


AnyStart = Start | MixedStart


def widest(network: Network | Mixture) -> int:
    """The largest batch that is worth its memory."""
    if isinstance(network, Network):
        return continuation.widest(network)
    return min(continuation.widest(part.network) for part in network.parts)


def read_prompts(
    network: Network | Mixture, prompts: Iterable[np.ndarray | tuple[np.ndarray, ...]]
) -> Sequence[AnyStart]:
    """Read prompts: (characters,), or one such for each model of a mixture.

    Returns:
        The start of each, in their order.
    """
    if isinstance(network, Network):
        alone = [ids for ids in prompts if isinstance(ids, np.ndarray)]
        return continuation.read_prompts(network, alone)
    columns = zip(*prompts, strict=True)
    read = [
        continuation.read_prompts(part.network, column)
        for part, column in zip(network.parts, columns, strict=False)
    ]
    return [MixedStart(network, starts) for starts in zip(*read, strict=True)]


def side_by_side(starts: Sequence[AnyStart]) -> Continuation | MixedTexts:
    """A batch of texts that continue these starts, which stay as they are."""
    if alone := [start for start in starts if isinstance(start, Start)]:
        return continuation.side_by_side(alone)
    mixed = [start for start in starts if isinstance(start, MixedStart)]
    columns = zip(*(start.parts for start in mixed), strict=True)
    parts = [continuation.side_by_side(column) for column in columns]
    return MixedTexts(mixed[0].mixture, parts)
