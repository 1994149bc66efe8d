"""Neurons that follow a visible property of the text, such as being inside quotes.

Karpathy, Johnson and Fei-Fei (2015) found such neurons by eye; here the one is taken whose
value after each character correlates best with the property of that character.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from textgen.analysis.inspection import Neuron, activity
from textgen.generation.network import Network

LETTERS = "aeiouAEIOU"
# Characters of the strip that shows a neuron.
STRIP = 280
# A property that fewer characters have, or lack, than this share is not looked for.
RAREST = 0.002
# A correlation nearer to 0 is no finding: it explains less than a quarter of the variance.
WEAKEST = 0.5


@dataclass(frozen=True)
class Tie:
    """A property and the neuron that follows it best.

    Attributes:
        name: what the property is.
        neuron: that one.
        correlation: of its value with the property, from -1 to 1.
        text: a part in which the property changes.
        values: its values there (characters,).
    """

    name: str
    neuron: Neuron
    correlation: float
    text: str
    values: np.ndarray

    @property
    def weak(self) -> bool:
        """Whether the neuron follows the property too loosely to say that it does."""
        return abs(self.correlation) < WEAKEST


def inside_quotes(text: str) -> np.ndarray:
    """1 between double quotes (characters,), 0 elsewhere; an empty line ends a quote."""
    inside, before = False, ""
    values = np.zeros(len(text))
    for place, character in enumerate(text):
        if character == '"':
            inside = not inside
        elif character in "“”":
            inside = character == "“"
        elif character == before == "\n":
            inside = False
        values[place] = inside
        before = character
    return values


def place_in_line(text: str) -> np.ndarray:
    """How many characters after the line's beginning (characters,)."""
    return _since(text, lambda character: character == "\n")


def place_in_word(text: str) -> np.ndarray:
    """How many letters after the word's beginning (characters,); 0 outside words."""
    return _since(text, lambda character: not character.isalpha())


def _since(text: str, restarts: Callable[[str], bool]) -> np.ndarray:
    values = np.zeros(len(text))
    count = 0
    for place, character in enumerate(text):
        count = 0 if restarts(character) else count + 1
        values[place] = count
    return values


def _which(test: Callable[[str], bool]) -> Callable[[str], np.ndarray]:
    return lambda text: np.array([float(test(character)) for character in text])


PROPERTIES: Mapping[str, Callable[[str], np.ndarray]] = {
    "inside quotes": inside_quotes,
    "place in the line": place_in_line,
    "place in the word": place_in_word,
    "capital letters": _which(str.isupper),
    "vowels": _which(lambda character: character in LETTERS),
    "punctuation": _which(lambda character: not (character.isalnum() or character.isspace())),
}


def tied_neurons(network: Network, ids: np.ndarray, text: str) -> list[Tie]:
    """For each property that the text has, the neuron that follows it best.

    Args:
        network: the model.
        ids: a text (characters,).
        text: the same as characters.
    """
    properties = {name: property_of(text) for name, property_of in PROPERTIES.items()}
    best: dict[str, Tie] = {}
    for layer in range(network.config.num_layers):
        values = activity(network, ids, layer)
        read = ~np.isnan(values[:, 0])
        for name, wanted in properties.items():
            if not _varies(wanted[read]):
                continue
            unit, correlation = _closest(values[read], wanted[read])
            if name not in best or abs(correlation) > abs(best[name].correlation):
                start = _liveliest(text, wanted, int(read.argmax()))
                part = slice(start, start + STRIP)
                neuron = Neuron(layer + 1, unit + 1)
                best[name] = Tie(name, neuron, correlation, text[part], values[part, unit])
    return list(best.values())


def _varies(values: np.ndarray) -> bool:
    """Whether enough characters have the property, and enough do not."""
    share = float(np.count_nonzero(values)) / max(1, len(values))
    return RAREST < share < 1 - RAREST


def _closest(values: np.ndarray, wanted: np.ndarray) -> tuple[int, float]:
    """The column of values (characters, neurons) that correlates best, and how well."""
    deviations = values - values.mean(axis=0)
    target = wanted - wanted.mean()
    scale = np.sqrt((deviations**2).sum(axis=0) * (target**2).sum())
    correlations = (target @ deviations) / np.maximum(scale, 1e-12)
    unit = int(np.abs(correlations).argmax())
    return unit, float(correlations[unit])


def _liveliest(text: str, wanted: np.ndarray, first: int) -> int:
    """Where the part begins, at a line's beginning, in which the property changes most."""
    starts = [first] + [
        place + 1 for place in range(first, len(text) - STRIP) if text[place] == "\n"
    ]
    spread = [float(np.std(wanted[start : start + STRIP])) for start in starts]
    return starts[int(np.argmax(spread))]
