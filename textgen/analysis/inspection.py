"""What the model expected at each character of a text, and what one of its neurons did there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from textgen.analysis.scoring import ROWS, along, costs, gather, holdout_measure
from textgen.config import ModelConfig
from textgen.errors import TextgenError
from textgen.generation.network import Network, State
from textgen.text.batches import PIECE, holdout_batches
from textgen.text.vocabulary import UNKNOWN_BITS, Vocabulary

# Characters inspected at a time.
BLOCK = 16 * PIECE
NO_GUESS = -1


@dataclass(frozen=True)
class Neuron:
    """One neuron of a network: the layer and the unit, both counted from 1."""

    layer: int
    unit: int

    def __str__(self) -> str:
        return f"{self.layer}:{self.unit}"

    @classmethod
    def parse(cls, text: str, config: ModelConfig) -> "Neuron":
        """Read `L:N`.

        Raises:
            TextgenError: it is not two numbers, or the network has no such neuron.
        """
        layer, _, unit = text.partition(":")
        if not (layer.isdecimal() and unit.isdecimal()):
            raise TextgenError(f"A neuron is named LAYER:UNIT, such as 1:7. Received: {text!r}.")
        found = cls(int(layer), int(unit))
        if not 1 <= found.layer <= config.num_layers:
            raise TextgenError(
                f"There is no layer {found.layer}: the model has {config.num_layers}, "
                "counted from 1."
            )
        units = config.units[found.layer - 1]
        if not 1 <= found.unit <= units:
            raise TextgenError(
                f"There is no unit {found.unit} in layer {found.layer}: it has {units}, "
                "counted from 1."
            )
        return found


@dataclass(frozen=True)
class Passage:
    """A part of a text and what the model made of it.

    Attributes:
        text: the characters.
        bits: surprisal (characters,); 21 for an unknown character, NaN where the model
            has nothing to go by.
        guesses: ids (characters, top) of what was likeliest, best first; -1 for none.
        chances: the probabilities (characters, top) of those.
        activity: the neuron's value (characters,) from -1 to 1 after reading the character;
            NaN where there is none. None if none was asked for.
    """

    text: str
    bits: np.ndarray
    guesses: np.ndarray
    chances: np.ndarray
    activity: np.ndarray | None


def inspect(
    network: Network,
    vocabulary: Vocabulary,
    chunks: Iterable[str],
    top: int = 5,
    neuron: Neuron | None = None,
) -> Iterator[Passage]:
    """Follow the model through a text.

    Args:
        network: the model.
        vocabulary: its characters.
        chunks: the text, cleaned as the model wants it.
        top: how many guesses to keep for each character, fewer if the vocabulary is smaller.
        neuron: the one to watch, if any.
    """
    top = min(top, len(vocabulary))
    dtype = np.dtype([("bits", "f8"), ("guesses", "i4", (top,)), ("chances", "f4", (top,))])
    missing = np.array([(np.nan, NO_GUESS, 0)], dtype)
    unknown = np.array([(UNKNOWN_BITS, NO_GUESS, 0)], dtype)

    def measure(ids: np.ndarray) -> np.ndarray:
        both = np.empty(len(ids), [("guess", dtype), ("activity", "f4")])
        both["guess"] = holdout_measure(network, ids, partial(_guess, dtype), missing)
        if neuron is not None:
            unit = slice(neuron.unit - 1, neuron.unit)
            both["activity"] = activity(network, ids, neuron.layer - 1, unit)[:, 0]
        return both

    for text, known, found in along(gather(chunks, BLOCK), network.config, vocabulary, measure):
        guess = np.repeat(unknown, len(text))
        guess[known] = found["guess"]
        values = None
        if neuron is not None:
            values = np.full(len(text), np.nan, np.float32)
            values[known] = found["activity"]
        yield Passage(text, guess["bits"], guess["guesses"], guess["chances"], values)


def _guess(dtype: np.dtype, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Bits of the targets (n,), and the likeliest characters with their probabilities."""
    guess = np.empty(len(targets), dtype)
    guess["bits"] = costs(logits, targets)
    top = dtype["guesses"].shape[0]
    best = np.argpartition(-logits, top - 1, axis=-1)[:, :top]
    order = np.argsort(-np.take_along_axis(logits, best, axis=-1), axis=-1, kind="stable")
    best = np.take_along_axis(best, order, axis=-1)
    guess["guesses"] = best
    for place in range(top):
        guess["chances"][:, place] = np.exp2(-costs(logits, best[:, place]))
    return guess


def activity(
    network: Network, ids: np.ndarray, layer: int, units: slice = slice(None)
) -> np.ndarray:
    """What neurons of a layer hold after each character has been read.

    The text is read as for a hold-out's loss: in pieces warmed on the text before them,
    or each character as the last one of its window.

    Args:
        network: the model.
        ids: the text (characters,).
        layer: counted from 0.
        units: which of the layer's.

    Returns:
        (characters, units) float32 from -1 to 1: tanh of an LSTM's cell state, else the
        output; NaN for characters that end no whole window.
    """
    width = len(range(*units.indices(network.config.units[layer])))
    values = np.full((len(ids), width), np.nan, np.float32)
    if len(ids) < 2:
        return values
    if network.config.targets == "last":
        _activity_of_windows(network, ids, layer, units, values)
    else:
        _activity_of_pieces(network, ids, layer, units, values)
    return values


def _activity_of_pieces(
    network: Network, ids: np.ndarray, layer: int, units: slice, values: np.ndarray
) -> None:
    place = 0
    for batch in holdout_batches(ids, network.config.seq_length, "every", ROWS):
        # The last character of a piece is a target only; read it as well.
        read = np.concatenate((batch.inputs[:, :1], batch.targets), axis=1)
        wanted = np.pad(batch.counted, ((0, 0), (1, 0)))
        wanted[0, 0] = place == 0
        state = network.zero_state(len(read))
        seen = np.empty((*read.shape, values.shape[1]), np.float32)
        for time in range(read.shape[1]):
            network.step(read[:, time], state)
            seen[:, time] = _values(network.config, state, layer)[:, units]
        found = seen[wanted]
        values[place : place + len(found)] = found
        place += len(found)


def _activity_of_windows(
    network: Network, ids: np.ndarray, layer: int, units: slice, values: np.ndarray
) -> None:
    length = network.config.seq_length
    if len(ids) < length:
        return
    windows = sliding_window_view(ids, length)
    for first in range(0, len(windows), 8 * ROWS):
        rows = windows[first : first + 8 * ROWS]
        state = network.zero_state(len(rows))
        network.run(rows, state)
        start = first + length - 1
        values[start : start + len(rows)] = _values(network.config, state, layer)[:, units]


def _values(config: ModelConfig, state: State, layer: int) -> np.ndarray:
    """The layer's values (batch, units) in a network's state."""
    return np.tanh(state[layer][1]) if config.cell == "lstm" else state[layer][0]
