"""What writes, for programs and notebooks: one model, or several together."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TypedDict, Unpack

import numpy as np

from textgen.config import SampleConfig
from textgen.generation.choosing import probabilities
from textgen.generation.writing import Asked, Texts


class Choice(TypedDict, total=False):
    """Which characters may be chosen and read: options that `Writer.generate` describes."""

    top_k: int
    top_p: float
    min_p: float
    on_unknown: str


class Options(Choice, total=False):
    """More options of `Writer.generate`, which describes them, and of `Writer.stream`."""

    until: str | None
    seed: int | None
    max_copy: int | None
    corpus: str | None


class Writer(ABC):
    """What `Model` and `Mixture` have in common; any number of threads may use one."""

    @property
    @abstractmethod
    def characters(self) -> str:
        """The characters that are known, in code point order."""

    @property
    @abstractmethod
    def sampling(self) -> SampleConfig:
        """The default length and temperatures."""

    @abstractmethod
    def texts(self, asked: Asked) -> Texts:
        """Write several texts side by side, as `textgen sample` does.

        Raises:
            TextgenError: as in `generate`.
        """

    @abstractmethod
    def _logits(self, prompt: str, on_unknown: str) -> np.ndarray:
        """Logits (1, vocabulary) of what comes after a prompt."""

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
        shares = probabilities(self._logits(prompt, on_unknown))[0]
        order = np.argsort(-shares, kind="stable")
        return {self.characters[place]: float(shares[place]) for place in order}


def _or_default(temperature: float | None, writer: Writer) -> tuple[float]:
    """The temperature, or the first of the model's own."""
    return (writer.sampling.temperatures[0] if temperature is None else temperature,)


def _several(stop: str | Sequence[str]) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _without_empty(texts: Texts) -> Generator[str]:
    """The pieces that hold something."""
    with closing(texts.pieces) as pieces:
        for _, piece in pieces:
            if piece:
                yield piece
