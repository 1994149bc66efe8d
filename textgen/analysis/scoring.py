"""What a text costs under a model: surprisal in bits, character by character."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from textgen.analysis.pairing import Pieces
from textgen.config import ModelConfig
from textgen.cores import available_cores
from textgen.errors import TextgenError
from textgen.generation.network import Network
from textgen.messages import bits, nats
from textgen.text.batches import PIECE, HoldoutBatch, holdout_batches
from textgen.text.vocabulary import MOST_CHARACTERS, UNKNOWN_BITS, Vocabulary

# Makes of logits (n, vocabulary) and targets (n,) an array (n,).
Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]

ROWS = 64  # pieces that one core runs at a time
# Characters scored at a time: with what is left of the block before, work for four cores.
BLOCK = (4 * ROWS - 2) * PIECE
# Most numbers in one array of logits: time is cut into slices that keep to it.
LOGITS = 1 << 20
# As many logits a model that knows more characters than a new one may compute for a text: seconds.
MOST_LOGITS = 1 << 30
PREVIEW = 200  # characters of a line that are kept to show it


@dataclass(frozen=True)
class Score:
    """The cost of a text.

    Attributes:
        bits: sum over the counted characters.
        characters: how many were counted: all but the first ones, for which the model has
            nothing to go by (one character, or seq_length with targets last).
        unknown: how many of them the model does not know, at 21 bits each.
    """

    bits: float = 0.0
    characters: int = 0
    unknown: int = 0

    @property
    def bpc(self) -> float | None:
        """Bits per character; None when no character was counted."""
        return self.bits / self.characters if self.characters else None

    @property
    def nats(self) -> float | None:
        """Nats per character; None when no character was counted."""
        return None if self.bpc is None else nats(self.bpc)

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.bits + other.bits,
            self.characters + other.characters,
            self.unknown + other.unknown,
        )


def costs(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The cost in bits of each target.

    Args:
        logits: (..., vocabulary) float32.
        targets: ids (...).

    Returns:
        -log2 p (...) float64.
    """
    top = logits.max(axis=-1)
    total = np.exp(logits - top[..., None]).sum(axis=-1, dtype=np.float64)
    chosen = np.take_along_axis(logits, targets[..., None].astype(np.int64), axis=-1)[..., 0]
    return bits(np.log(total) + (top - chosen))


def holdout_measure(
    network: Network, ids: np.ndarray, measure: Measure, missing: np.ndarray
) -> np.ndarray:
    """Measure the model's guess at each character of a hold-out, on all cores.

    Args:
        network: the model.
        ids: the hold-out (characters,).
        measure: makes of logits (n, vocabulary) and targets (n,) an array (n,).
        missing: an array (1,) of what stands where characters are not counted.

    Returns:
        An array (characters,) of the dtype of `missing`.

    Raises:
        TextgenError: it would take minutes, because the model knows absurdly many characters.
    """
    size, config = network.vocabulary_size, network.config
    if size > MOST_CHARACTERS and len(ids) * size > MOST_LOGITS:
        raise TextgenError(
            f"A model that knows {size:,} characters measures texts of at most "
            f"{MOST_LOGITS // size:,} characters. Give it less text, or use another model."
        )
    rows = ROWS if config.targets == "every" else 8 * ROWS
    batches = holdout_batches(ids, config.seq_length, config.targets, rows)
    with ThreadPoolExecutor(available_cores()) as pool:
        measured = list(
            pool.map(lambda batch: _measure_rows(network, batch, measure, missing.dtype), batches)
        )
    counted = sum(map(len, measured))
    return np.concatenate((np.repeat(missing, len(ids) - counted), *measured))


def _measure_rows(
    network: Network, batch: HoldoutBatch, measure: Measure, dtype: np.dtype
) -> np.ndarray:
    """The measures (counted,) of rows that start from a zero state, in slices of time."""
    rows, time = batch.inputs.shape
    length = max(1, LOGITS // (rows * network.vocabulary_size))
    state = network.zero_state(rows)
    measured = np.empty((rows, time), dtype)
    for start in range(0, time, length):
        part = slice(start, start + length)
        logits = network.run(batch.inputs[:, part], state)
        counted = batch.counted[:, part]
        if counted.any():
            targets = batch.targets[:, part][counted]
            measured[:, part][counted] = measure(logits[counted], targets)
    return measured[batch.counted]


def holdout_bits(network: Network, ids: np.ndarray) -> np.ndarray:
    """The cost of each character of a hold-out, by the rule that training reports.

    Args:
        network: the model.
        ids: the hold-out (characters,).

    Returns:
        Bits (characters,) float64; NaN at the start, where characters are not counted.
    """
    return holdout_measure(network, ids, costs, np.array([np.nan]))


def gather(chunks: Iterable[str], size: int) -> Iterator[str]:
    """The same text in chunks of `size` characters, the last one shorter."""
    parts: list[str] = []
    characters = 0
    for chunk in chunks:
        parts.append(chunk)
        characters += len(chunk)
        if characters >= size:
            text = "".join(parts)
            whole = characters // size * size
            for start in range(0, whole, size):
                yield text[start : start + size]
            parts, characters = [text[whole:]], characters - whole
    if characters:
        yield "".join(parts)


def along(
    chunks: Iterable[str],
    config: ModelConfig,
    vocabulary: Vocabulary,
    measure: Callable[[np.ndarray], np.ndarray],
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Measure a text chunk by chunk as if it were whole.

    Each chunk is measured together with as much of the text before it as it takes for
    the pieces of `holdout_batches`, counted from the beginning of the text, to be the same.
    Unknown characters are passed over, as if they were not there.

    Args:
        chunks: the text, cleaned as the model wants it.
        config: the architecture.
        vocabulary: the characters that the model knows.
        measure: makes of ids (characters,) an array (characters,).

    Yields:
        A chunk; which of its characters are known (characters,) bool; and the measures
        (known,) of those.
    """
    behind = np.empty(0, dtype=vocabulary.dtype)  # the end of what was measured
    dropped = 0  # known characters before `behind`
    for text in chunks:
        ids = vocabulary.lookup(text)
        known = ids < len(vocabulary)
        window = np.concatenate((behind, ids[known].astype(vocabulary.dtype)))
        yield text, known, measure(window)[len(behind) :]
        if config.targets == "every":
            # Whole pieces are dropped, but one for the warm-up of the next.
            keep = max(0, (dropped + len(window)) // PIECE * PIECE - PIECE - dropped)
        else:
            keep = max(0, len(window) - config.seq_length)
        behind = window[keep:]
        dropped += keep


def surprisal(
    network: Network, vocabulary: Vocabulary, chunks: Iterable[str], block: int = BLOCK
) -> Iterator[tuple[str, np.ndarray]]:
    """The cost of every character of a text, chunk by chunk, in constant memory.

    Args:
        network: the model.
        vocabulary: its characters.
        chunks: the text, cleaned as the model wants it.
        block: how many characters are scored at a time.

    Yields:
        The text in chunks, each with its bits (characters,) float64: 21 for an unknown
        character, NaN where nothing is counted.
    """
    pieces = gather(chunks, block)
    measure = partial(holdout_bits, network)
    for text, known, known_bits in along(pieces, network.config, vocabulary, measure):
        bits = np.full(len(text), UNKNOWN_BITS)
        bits[known] = known_bits
        yield text, bits


def score_of(bits: np.ndarray, unknown: int) -> Score:
    """Add up the bits (characters,) of a text of which `unknown` are unknown."""
    return Score(float(np.nansum(bits)), int(np.count_nonzero(~np.isnan(bits))), unknown)


def score_text(
    network: Network, vocabulary: Vocabulary, chunks: Iterable[str], pieces: Pieces | None = None
) -> Score:
    """The cost of a whole text, in constant memory; `pieces`, if there are any, get it too."""
    total = Score()
    for text, found in surprisal(network, vocabulary, chunks):
        total += score_of(found, _count_unknown(vocabulary, text))
        if pieces is not None:
            pieces.add(found)
    return total


def score_lines(
    network: Network, vocabulary: Vocabulary, chunks: Iterable[str]
) -> Iterator[tuple[str, Score]]:
    """The cost of each line, given the text before it; the lines add up to the text.

    Yields:
        The first characters of each line, without its newline, and its score, which
        includes the newline.
    """
    line, score, pending = "", Score(), False
    for text, found in surprisal(network, vocabulary, chunks):
        start = 0
        while start < len(text):
            stop = text.find("\n", start) + 1 or len(text)
            part = text[start:stop]
            score += score_of(found[start:stop], _count_unknown(vocabulary, part))
            line = (line + part)[:PREVIEW]
            pending = not part.endswith("\n")
            if not pending:
                yield line.removesuffix("\n"), score
                line, score = "", Score()
            start = stop
    if pending:
        yield line, score


def _count_unknown(vocabulary: Vocabulary, text: str) -> int:
    return int(np.count_nonzero(vocabulary.lookup(text) == len(vocabulary)))
