"""What a run starts from: nothing, or a model that is worth it on this text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from textgen.analysis.baselines import MAX_ORDER, TRAIN_LIMIT, WittenBell
from textgen.analysis.scoring import costs
from textgen.config import PRESETS, ModelConfig
from textgen.errors import TextgenError
from textgen.generation.network import Network
from textgen.messages import note
from textgen.storage.run_folder import ENGLISH
from textgen.text.encoding import EncodedText, open_ids
from textgen.text.vocabulary import Vocabulary
from textgen.training.base import Base, load_base
from textgen.training.request import AUTO, NOTHING, Request
from textgen.training.transfer import transferred

# What a base's architecture decides.
OF_THE_BASE = ("cell", "units", "targets")

# The trial of a base: pieces of the training text that the n-gram has not counted.
PIECES = 40
PIECE = 500
TRIAL_SHARE = 0.1  # of the training text at most
SHORTEST = 100  # characters
WARM_UP = 20  # characters of a piece that are read and not counted
# The base is worth it where untrained it costs at most so many bits more than the n-gram.
MARGIN = 5.0


@dataclass(frozen=True, eq=False)
class Start:
    """A model to start from, laid into the vocabulary of a text.

    Attributes:
        base: the model.
        vocabulary: the characters of the text and of the base.
        weights: by name, for that vocabulary.
        lag: bits a character by which it predicts the text worse than n-grams of that do.
    """

    base: Base
    vocabulary: Vocabulary
    weights: Mapping[str, np.ndarray]
    lag: float = math.inf

    @property
    def config(self) -> ModelConfig:
        """The architecture, which the run keeps."""
        return self.base.model.config


def choose_start(
    request: Request, encoded: EncodedText, ids: Path, holdout: int
) -> tuple[Start | None, str | None]:
    """The start that was asked for; for `auto` the English model where it is worth it.

    Args:
        request: what the user asked for.
        encoded: the text.
        ids: the file of its ids, in the vocabulary of its own.
        holdout: characters at the end of the text that are held out.

    Returns:
        The start, None for nothing; and in one line what `auto` chose and why.

    Raises:
        TextgenError: the model asked for cannot be used, or does not fit other settings.
    """
    wanted, given = request.start_from, request.given
    if wanted == NOTHING:
        return None, None
    fixed = {name: given[name] for name in OF_THE_BASE if name in given}
    text = open_ids(ids, len(encoded.vocabulary))
    text = text[: len(text) - holdout]
    if wanted != AUTO:
        base = load_base(wanted, request.root)
        check_fits(base, fixed, request.preset)
        return tried(laid(base, request, encoded, text), encoded.vocabulary, text)[0], None
    if fixed or request.preset in PRESETS:
        return None, None
    try:
        start = laid(load_base(ENGLISH, request.root), request, encoded, text)
    except TextgenError as error:
        note(f"Note: starting from nothing: {error}")
        return None, None
    start, why = tried(start, encoded.vocabulary, text)
    if start.lag <= MARGIN:
        return start, f"Starting from a model: {why}"
    return None, f"Starting from nothing: {why}"


def check_fits(base: Base, fixed: dict[str, object], preset: str | None) -> None:
    """Refuse settings that are not the base's.

    Raises:
        TextgenError: names the first one.
    """
    if preset in PRESETS:
        raise TextgenError(f"The preset {preset} starts from nothing. Leave out --from.")
    for name, value in fixed.items():
        own = getattr(base.model.config, name)
        if own != value:
            raise TextgenError(
                f"--{name} is {_shown(value)}, but {base.name} has {_shown(own)}. "
                f"Leave out --{name} or --from."
            )


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def laid(base: Base, request: Request, encoded: EncodedText, text: np.ndarray) -> Start:
    """Lay a base into a text's vocabulary.

    Args:
        base: the model.
        request: what the user asked for.
        encoded: the text.
        text: ids of what is trained on (characters,), in the vocabulary of its own.
    """
    own = encoded.vocabulary
    vocabulary = base.vocabulary_with(own, request.cleaning)
    counts = np.zeros(len(vocabulary), np.int64)
    counts[vocabulary.lookup(own.characters)] = counted(text, len(own))
    return Start(base, vocabulary, transferred(base.model, vocabulary, counts))


def counted(ids: np.ndarray, size: int) -> np.ndarray:
    """How often each id is in a text (size,), in bounded memory."""
    block = 1 << 24
    blocks = (ids[start : start + block] for start in range(0, len(ids), block))
    return sum((np.bincount(part, minlength=size) for part in blocks), np.zeros(size, np.int64))


def tried(start: Start, own: Vocabulary, text: np.ndarray) -> tuple[Start, str]:
    """How far a start is from a text, by a trial on pieces of what is trained on.

    Args:
        start: the model in question.
        own: the vocabulary of the text.
        text: ids of what is trained on (characters,), in that vocabulary.

    Returns:
        The start, and what was found, in one line.
    """
    if len(text) < SHORTEST:
        return start, "the text is too short to try a model on."
    base_bits, ngram_bits = trial(start, own, text)
    return replace(start, lag=base_bits - ngram_bits), (
        f"{start.base.name}, before any training, takes {base_bits:.2f} bits a character here, "
        f"n-grams of the text {ngram_bits:.2f}."
    )


def trial(start: Start, own: Vocabulary, text: np.ndarray) -> tuple[float, float]:
    """What pieces of a text cost under a start, and under n-grams of the rest of the text.

    Args:
        start: the model.
        own: the vocabulary of the text.
        text: ids of what is trained on (characters,), in that vocabulary.

    Returns:
        Bits per character of both.
    """
    recent = text[-TRAIN_LIMIT:]
    pieces = int(max(1, min(PIECES, len(recent) * TRIAL_SHARE // PIECE)))
    length = min(PIECE, len(recent) // 2)
    starts = np.linspace(0, len(recent) - length, pieces).astype(int)
    rows = np.stack([recent[begin : begin + length] for begin in starts]).astype(np.int64)
    rest = np.ones(len(recent), bool)
    rest[starts[:, None] + np.arange(length)] = False
    known = np.asarray(recent[rest], np.int64)
    ngrams = WittenBell(known, len(own), min(MAX_ORDER, len(known)))
    nothing = np.zeros(0, np.int64)
    by_ngram = np.mean([ngrams.bits_per_character(row, nothing) for row in rows], axis=0).min()

    network = Network(start.config, start.weights)
    places = start.vocabulary.lookup(own.characters)
    read = places[rows]
    logits = network.run(read[:, :-1], network.zero_state(pieces))
    first = min(WARM_UP, length // 2)
    by_base = costs(logits[:, first:], read[:, 1 + first :]).mean()
    return float(by_base), float(by_ngram)
