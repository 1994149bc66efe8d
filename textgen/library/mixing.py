"""Several models that write together, for programs and notebooks."""

import os
from collections.abc import Sequence

import numpy as np

from textgen.config import SampleConfig
from textgen.errors import TextgenError
from textgen.generation import mixing
from textgen.generation.mixing import prompt_for, read_prompts, shares, side_by_side
from textgen.generation.writing import Asked, Texts, write
from textgen.library.model import Model, load
from textgen.library.writer import Writer
from textgen.storage.run_folder import is_model

Named = Model | str | os.PathLike[str]


def mix(models: Sequence[Named | tuple[Named, float]]) -> Writer:
    """Let models write together, each with its weight.

    >>> import textgen
    >>> both = textgen.mix([("echo", 0.7), ("checkpoints/echo", 0.3)])
    >>> len(both.generate(100, prompt="The goat ", seed=1))
    100

    Args:
        models: each a `Model` or what `load` takes, or a pair of that and a weight. Without one
            it weighs 1; only the ratio of the weights counts, and 0 leaves a model out.

    Returns:
        A `Mixture`; where only one model is left, that.

    Raises:
        TextgenError: a model is missing or damaged, or the weights cannot be used.
    """
    pairs = [one if isinstance(one, tuple) else (one, 1.0) for one in models]
    if not pairs:
        raise TextgenError("There are no models to mix.")
    weights = shares([float(weight) for _, weight in pairs])
    loaded = [one if isinstance(one, Model) else load(one) for one, _ in pairs]
    weighing = [pair for pair in zip(loaded, weights, strict=True) if pair[1]]
    return Mixture(weighing) if len(weighing) > 1 else weighing[0][0]


def with_weight(name: str) -> tuple[str, float]:
    """A model's name and weight from NAME:NUMBER; the whole is a name where a model has it."""
    start, colon, end = name.rpartition(":")
    try:
        weight = float(end)
    except ValueError:
        return name, 1.0
    return (name, 1.0) if not colon or is_model(name) else (start, weight)


class Mixture(Writer):
    """Models that write together; made by `mix`.

    The probability of each character is the weighted mean of the models' probabilities;
    filters and the temperature then work on that. Each model has a state of its own, and skips
    characters that it does not know. The defaults are those of the first model.

    Args:
        models: two or more with their weights, each above 0, which add up to 1.

    Attributes:
        models: the same.
    """

    def __init__(self, models: Sequence[tuple[Model, float]]):
        self.models = tuple(models)
        self._mixture = mixing.Mixture([model.part(weight) for model, weight in models])

    def __repr__(self) -> str:
        return f"<textgen.Mixture {', '.join(f'{m.name!r}: {w:.3g}' for m, w in self.models)}>"

    @property
    def characters(self) -> str:
        """The characters that any of the models knows, in code point order."""
        return self._mixture.vocabulary.characters

    @property
    def sampling(self) -> SampleConfig:
        """The default length and temperatures: those of the first model."""
        return self._mixture.sampling

    def texts(self, asked: Asked) -> Texts:
        """Write several texts side by side, as `textgen sample` does.

        Raises:
            TextgenError: as in `generate`.
        """
        return write(self._mixture, asked)

    def _logits(self, prompt: str, on_unknown: str) -> np.ndarray:
        read = prompt_for(self._mixture, prompt, on_unknown)
        return side_by_side(read_prompts(self._mixture, [read.ids])).logits
