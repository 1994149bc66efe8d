"""The library: what the commands do, for programs and notebooks."""

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np

from textgen.config import Cleaning, ModelConfig, SampleConfig
from textgen.corpus.cleaning import clean_prompt
from textgen.generation.choosing import probabilities
from textgen.generation.continuation import read_prompt
from textgen.generation.network import Network
from textgen.generation.prompt import make_prompt
from textgen.generation.writing import Asked, Texts, write
from textgen.storage.model_file import load_model
from textgen.storage.provenance import Provenance
from textgen.storage.run_folder import default_model, find_model, model_name

if TYPE_CHECKING:
    from textgen.analysis.scoring import Score


class Options(TypedDict, total=False):
    """More options of `Model.generate`, which describes them, and of `Model.stream`."""

    until: str | None
    seed: int | None
    top_k: int
    top_p: float
    min_p: float
    max_copy: int | None
    corpus: str | None
    on_unknown: str


def load(model: str | os.PathLike[str] | None = None) -> "Model":
    """Load a trained model, without TensorFlow.

    >>> import textgen
    >>> textgen.load("echo")
    <textgen.Model 'echo': lstm 64, 62 characters>

    Args:
        model: the name of a run in `checkpoints/`, a run's folder, or a .keras file; None for the
            newest run.

    Raises:
        TextgenError: it is missing or damaged.
    """
    return Model(default_model() if model is None else find_model(os.fspath(model)))


class Model:
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

    def generate(
        self,
        length: int | None = None,
        prompt: str = "",
        *,
        temperature: float | None = None,
        stop: str | Sequence[str] = (),
        **options: Unpack[Options],
    ) -> str:
        """Write a text; the same seed gives the same text as `textgen sample`.

        >>> import textgen
        >>> model = textgen.load("echo")
        >>> text = model.generate(300, prompt="The goat ", temperature=0.8, seed=1)
        >>> len(text)
        300

        Args:
            length: characters to write; None for the model's default length, or with `until`
                enough for its unit.
            prompt: text to continue; empty to continue the end of the training text. Without
                a prompt and a length the text begins and ends at a word.
            temperature: low is careful, high is bold, 0 always takes the most probable
                character; None for the first of the model's default temperatures.
            stop: a text, or several, that ends the text and is not part of it.
            until: `sentence`, `line` or `paragraph`: the text ends with it.
            seed: at least 0; None draws one.
            top_k: choose among the k most probable characters only; 0 is off.
            top_p: choose among the fewest characters that together reach this probability;
                1 is off.
            min_p: choose among characters at least this probable relative to the most
                probable one; 0 is off.
            max_copy: the longest run of the training text that may be written, in characters.
            corpus: source of the training text for `max_copy`, where it is not beside the model.
            on_unknown: what happens to characters of the prompt that the model does not know:
                `error`, `skip` or `replace`.

        Returns:
            The text without the prompt.

        Raises:
            TextgenError: an option is out of its range, the prompt has an unknown character,
                or the training text for `max_copy` is missing.
        """
        warmth = _or_default(temperature, self)
        asked = Asked(length, prompt, warmth, stop=_several(stop), **options)
        return "".join(_without_empty(self.texts(asked)))

    def stream(
        self,
        length: int | None = None,
        prompt: str = "",
        *,
        temperature: float | None = None,
        stop: str | Sequence[str] = (),
        **options: Unpack[Options],
    ) -> Generator[str]:
        """Write a text piece by piece, as it is made.

        >>> import textgen
        >>> pieces = textgen.load("echo").stream(prompt="The goat ")
        >>> first = next(pieces)
        >>> pieces.close()

        Args:
            length: characters to write; None for no end but that of `stop` and `until`, in
                constant memory.
            prompt: as in `generate`, and so are all the others.

        Yields:
            Pieces of the text, none empty: mostly one character.

        Raises:
            TextgenError: as in `generate`, at once.
        """
        warmth, endless = _or_default(temperature, self), length is None
        asked = Asked(length, prompt, warmth, stop=_several(stop), endless=endless, **options)
        return _without_empty(self.texts(asked))

    def texts(self, asked: Asked) -> Texts:
        """Write several texts side by side, as `textgen sample` does.

        Raises:
            TextgenError: as in `generate`.
        """
        return write(self.path, self._file, self._network, asked)

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

    def next(self, prompt: str = "", on_unknown: str = "error") -> dict[str, float]:
        """What may come after a prompt, by the model's own probabilities.

        >>> import textgen
        >>> likely = textgen.load("echo").next("The go")
        >>> round(sum(likely.values()), 6)
        1.0

        Args:
            prompt: as in `generate`.
            on_unknown: as in `generate`.

        Returns:
            Every character that the model knows with its probability, likeliest first.

        Raises:
            TextgenError: the prompt has an unknown character.
        """
        read = make_prompt(self._file, prompt, on_unknown)
        shares = probabilities(read_prompt(self._network, read.ids).logits)[0]
        order = np.argsort(-shares, kind="stable")
        return {self.characters[place]: float(shares[place]) for place in order}

    def page(self, force: bool = False) -> str:
        """The HTML of a page that writes: one file with the model inside.

        Args:
            force: whether it may be larger than 64 MB.

        Raises:
            TextgenError: the page would be larger.
        """
        from textgen.pages.writing_page import writing_page  # not needed to write

        return writing_page(self.path, self._file, force)


def _or_default(temperature: float | None, model: Model) -> tuple[float]:
    """The temperature, or the first of the model's own."""
    return (model.sampling.temperatures[0] if temperature is None else temperature,)


def _several(stop: str | Sequence[str]) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _without_empty(texts: Texts) -> Generator[str]:
    """The pieces that hold something."""
    with closing(texts.pieces) as pieces:
        for _, piece in pieces:
            if piece:
                yield piece
