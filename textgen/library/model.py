"""A trained model, for programs and notebooks."""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np

from textgen.config import Cleaning, ModelConfig, SampleConfig
from textgen.corpus.cleaning import clean_prompt
from textgen.generation.continuation import read_prompt
from textgen.generation.mixing import Part
from textgen.generation.network import Network
from textgen.generation.prompt import make_prompt
from textgen.generation.writing import Asked, Texts, write
from textgen.library.writer import Choice, Writer
from textgen.storage.model_file import load_model
from textgen.storage.provenance import Provenance
from textgen.storage.run_folder import default_model, find_model, model_name

if TYPE_CHECKING:
    from textgen.analysis.scoring import Score
    from textgen.generation.items import Items


def load(model: str | os.PathLike[str] | None = None) -> "Model":
    """Load a trained model, without TensorFlow.

    >>> import textgen
    >>> textgen.load("echo")
    <textgen.Model 'echo': lstm 64, 62 characters>

    Args:
        model: the name of a run in `checkpoints/`, a run's folder, a .keras file, or
            `builtin:english`; None for the newest run, and for `builtin:english` where there is
            none.

    Raises:
        TextgenError: it is missing or damaged.
    """
    return Model(default_model() if model is None else find_model(os.fspath(model)))


class Model(Writer):
    """A trained model that writes and measures text; any number of threads may use it.

    Args:
        path: a model file from anywhere: loading it runs no code.

    Attributes:
        path: the model file.
        name: what a person calls it: its run's name, else the file's.

    Raises:
        TextgenError: the file is missing or damaged.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.name = model_name(self.path)
        self._file = load_model(self.path)

    def __repr__(self) -> str:
        units = ",".join(map(str, self.config.units))
        characters = f"{len(self.characters)} characters"
        return f"<textgen.Model {self.name!r}: {self.config.cell} {units}, {characters}>"

    @property
    def characters(self) -> str:
        """The characters that the model knows, in code point order."""
        return self._file.vocabulary.characters

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self._file.config

    @property
    def cleaning(self) -> Cleaning:
        """How the training text was cleaned, as every text that the model reads is."""
        return self._file.cleaning

    @property
    def sampling(self) -> SampleConfig:
        """The default length and temperatures."""
        return self._file.sampling

    @property
    def provenance(self) -> Provenance:
        """Where the model comes from: corpus, versions, losses."""
        return Provenance.read(self._file.provenance)

    @property
    def val_bpc(self) -> float | None:
        """Bits per character on the hold-out that training kept back; None if unknown."""
        return self.provenance.val_bpc

    @cached_property
    def _network(self) -> Network:
        return Network(self._file.config, self._file.weights)

    def part(self, weight: float = 1.0) -> Part:
        """The model as what writes, alone or as a share of a mixture."""
        return Part(self.path, self._file, self._network, weight)

    def _logits(self, prompt: str, on_unknown: str) -> np.ndarray:
        read = make_prompt(self._file, prompt, on_unknown)
        return read_prompt(self._network, read.ids).logits

    def texts(self, asked: Asked) -> Texts:
        """Write several texts side by side, as `textgen sample` does.

        Raises:
            TextgenError: as in `generate`.
        """
        return write(self.part(), asked)

    def items(
        self,
        count: int = 10,
        new: bool = False,
        prompt: str = "",
        *,
        temperature: float | None = None,
        seed: int | None = None,
        **options: Unpack[Choice],
    ) -> list[str]:
        """Write items, with a model that was trained on a list: whole lines.

        Args:
            count: how many.
            new: whether to leave out items of the list, and repeats.
            prompt: what each begins with.
            temperature: as in `generate`, and so are all the others.

        Returns:
            The items; fewer where hardly any others can be found.

        Raises:
            TextgenError: the model was trained on no list; or `new` needs the list, and it is
                neither in the model nor beside it.
        """
        warmth = self.sampling.temperatures[0] if temperature is None else temperature
        asked = Asked(None, prompt, (warmth,), seed=seed, **options)
        return [str(item) for item in self.written_items(asked, count, new)]

    def written_items(self, asked: Asked, count: int, new: bool) -> "Items":
        """Write items one after the other, as `textgen sample --items` does.

        Raises:
            TextgenError: as in `items`.
        """
        from textgen.generation.items import Items  # few models write any

        return Items(self.part(), asked, count, new)

    def score(self, text: str) -> "Score":
        """Measure a text, cleaned as the training text was.

        >>> import textgen
        >>> score = textgen.load("echo").score("The goat stood still.")
        >>> score.characters, score.unknown
        (20, 0)
        >>> 0 < score.bpc < 21
        True

        Returns:
            Its `bpc` (bits per character: the lower, the more expected) and `nats` (the same
            in nats), both None if the text is too short; `characters`, how many were counted;
            and how many of them are `unknown`, which cost 21 bits each.
        """
        from textgen.analysis.scoring import score_text  # not needed to write

        cleaned = clean_prompt(text, self.cleaning)
        return score_text(self._network, self._file.vocabulary, [cleaned])

    def page(self, force: bool = False) -> str:
        """The HTML of a page that writes: one file with the model inside.

        Args:
            force: whether it may be larger than 64 MB.

        Raises:
            TextgenError: the page would be larger.
        """
        from textgen.pages.writing_page import writing_page  # not needed to write

        return writing_page(self.path, self._file, force)
