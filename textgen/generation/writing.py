"""From what is asked for to texts: options checked, prompt and seed settled."""

import math
import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from textgen.errors import TextgenError
from textgen.generation.choosing import Filters
from textgen.generation.mixing import MixedPrompt, Mixture, Part, prompt_for
from textgen.generation.ngrams import NgramIndex
from textgen.generation.prompt import Prompt, PromptLine
from textgen.generation.sampling import Sample, Settings, generate
from textgen.generation.units import MOST, UNITS
from textgen.messages import note, notes_to, shown
from textgen.storage.model_file import Model
from textgen.storage.run_folder import read_run_text
from textgen.text.vocabulary import ON_UNKNOWN, id_dtype

MOST_SAMPLES = 100_000  # that fit into memory side by side


@dataclass(frozen=True)
class Asked:
    """What texts are to be written.

    Attributes:
        length: characters of each; None: the model's default, or enough for `until`. Without a
            prompt as well, a text then begins and ends at a word.
        prompt: text that they continue; empty: the end of the training text.
        lines: prompts of their own, in place of `prompt`; each is answered in turn.
        temperatures: `num_samples` texts are written for each.
        num_samples: at least 1.
        seed: of the random numbers; None draws one.
        top_k, top_p, min_p: which characters may be chosen; see `Filters`.
        stop: texts that end a text and are not part of it.
        until: `sentence`, `line` or `paragraph`, at whose end a text ends; None for none.
        endless: whether texts have no length, and end for other reasons only.
        max_copy: the longest run of the training text that may be written, or None.
        corpus: source of the training text, where it is not beside the model.
        on_unknown: `error`, `skip` or `replace` characters of the prompt that are unknown.
        measure: whether to sum up what each text costs under the model.
    """

    length: int | None
    prompt: str
    temperatures: Sequence[float]
    num_samples: int = 1
    seed: int | None = None
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    lines: Sequence[PromptLine] = ()
    stop: tuple[str, ...] = ()
    until: str | None = None
    endless: bool = False
    max_copy: int | None = None
    corpus: str | None = None
    on_unknown: str = "error"
    measure: bool = False

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            TextgenError: an option is out of its range.
        """
        _check("length", self.length, 0)
        for temperature in self.temperatures:
            _check("temperature", temperature, 0)
        _check("num_samples", self.num_samples, 1, MOST_SAMPLES)
        _check("seed", self.seed, 0)
        _check("top_k", self.top_k, 0)
        _check("top_p", self.top_p, 0, 1)
        _check("min_p", self.min_p, 0, 1)
        _check("max_copy", self.max_copy, 1)
        if "" in self.stop:
            raise TextgenError("stop must not be empty.")
        if self.until not in (None, *UNITS):
            raise TextgenError(f"until must be one of {', '.join(UNITS)}, not {self.until!r}.")
        if self.on_unknown not in ON_UNKNOWN:
            names = ", ".join(ON_UNKNOWN)
            raise TextgenError(f"on_unknown must be one of {names}, not {self.on_unknown!r}.")


def _check(name: str, value: float | None, least: int, most: float = math.inf) -> None:
    """Refuse a number outside of a range, NaN and infinity."""
    if value is None or (least <= value <= most and value != math.inf):
        return
    wanted = f"at least {least} and finite" if most == math.inf else f"from {least} to {most:,}"
    raise TextgenError(f"{name} must be {wanted}, not {value}.")


@dataclass(frozen=True)
class Texts:
    """Texts about to be written.

    Attributes:
        prompts: the prompts as the model knows them; empty where there was none.
        seed: makes the same texts again, where a prompt has none of its own.
        pieces: the samples in turn, each with the text by which it has grown (see `generate`).
    """

    prompts: Sequence[str]
    seed: int
    pieces: Generator[tuple[Sample, str]]


def write(writer: Part | Mixture, asked: Asked) -> Texts:
    """Make all ready to write; the model reads prompts when their first piece is taken.

    Args:
        writer: the model, or several; the training text for `max_copy` may lie beside a model.
        asked: what to write.

    Raises:
        TextgenError: an option is out of its range, the prompt has an unknown character, or
            the training text is missing.
    """
    asked.check()
    model, network = (writer.model, writer.network) if isinstance(writer, Part) else (writer,) * 2
    lines = asked.lines or [PromptLine(asked.prompt)]
    prompts = _make_prompts(model, lines, asked.on_unknown)
    stops = tuple(_without_escapes(model, stop) for stop in asked.stop)
    _note_vain_stops(model, stops)
    seed = int.from_bytes(os.urandom(4), "big") if asked.seed is None else asked.seed
    settings = Settings(
        characters=model.vocabulary.characters,
        filters=Filters(asked.top_k, asked.top_p, asked.min_p),
        measure=asked.measure,
        copied=_training_ngrams(writer, model, asked.max_copy, asked.corpus),
    )
    default = MOST[asked.until] if asked.until else model.sampling.length
    length = None if asked.endless else default if asked.length is None else asked.length
    defaults = asked.length is None and not asked.endless and not asked.lines
    whole_words = defaults and not asked.prompt and " " in model.vocabulary
    samples = [
        Sample(
            index,
            temperature,
            length if line.length is None else line.length,
            seed if line.seed is None else line.seed,
            stops,
            asked.until,
            model.default_prompt[-1:] if whole_words else None,
            number,
        )
        for number, (line, prompt) in enumerate(zip(lines, prompts, strict=True))
        for temperature in (asked.temperatures if line.temperature is None else [line.temperature])
        for index in range(asked.num_samples)
    ]
    pieces = generate(network, [prompt.ids for prompt in prompts], samples, settings)
    return Texts([prompt.text for prompt in prompts], seed, pieces)


def _make_prompts(
    model: Model | Mixture, lines: Sequence[PromptLine], on_unknown: str
) -> list[Prompt | MixedPrompt]:
    """The prompts as the model reads them; each note is shown once.

    Raises:
        TextgenError: one has an unknown character; names its line, if it has one.
    """
    prompts: list[Prompt | MixedPrompt] = []
    notes = dict[str, None]()
    with notes_to(notes.setdefault):
        for line in lines:
            try:
                prompts.append(prompt_for(model, line.prompt, on_unknown))
            except TextgenError as error:
                where = "" if line.number is None else f"Line {line.number} of the prompts: "
                raise TextgenError(f"{where}{error}") from error
    for text in notes:
        note(text)
    return prompts


def _without_escapes(model: Model | Mixture, stop: str) -> str:
    r"""A stop text; `\n` and `\t` are what they mean where the model knows no backslash."""
    if "\\" in model.vocabulary:
        return stop
    return stop.replace(r"\n", "\n").replace(r"\t", "\t")


def _note_vain_stops(model: Model | Mixture, stops: Sequence[str]) -> None:
    """Say which stop texts the model cannot write."""
    for stop in stops:
        unknown = sorted(set(stop) - set(model.vocabulary.characters))
        if unknown:
            note(f"The model never writes --stop {stop!r}: it does not know {unknown[0]!r}.")


def _training_ngrams(
    writer: Part | Mixture, model: Model | Mixture, max_copy: int | None, corpus: str | None
) -> NgramIndex | None:
    """The n-grams that must not be continued as in the training text, if that is asked for.

    Raises:
        TextgenError: the training text is missing.
    """
    if max_copy is None:
        return None
    vocabulary = model.vocabulary
    if corpus is not None:
        from textgen.corpus.sources import open_sources  # most texts need none

        # One more id than the vocabulary has stands for characters that it does not know.
        dtype = id_dtype(len(vocabulary) + 1)
        chunks = open_sources([corpus], model.cleaning)
        ids = np.concatenate([vocabulary.lookup(chunk).astype(dtype) for chunk in chunks])
    elif isinstance(writer, Part):
        ids = _text_beside(writer)
    else:
        texts = map(_text_beside, writer.parts)
        both = zip(writer.places, texts, strict=True)
        ids = np.concatenate([places.astype(vocabulary.dtype)[own] for places, own in both])
    # No text can hold a longer run than itself.
    return NgramIndex(ids, max_copy, len(vocabulary)) if max_copy < len(ids) else None


def _text_beside(part: Part) -> np.ndarray:
    """The ids (characters,) of the whole text that a model was made of.

    Raises:
        TextgenError: it is not beside the model.
    """
    text = read_run_text(part.path, part.model)
    if text is None:
        raise TextgenError(
            f"--max-copy needs the training text, and there is no matching text.ids beside "
            f"{shown(part.path)}. Give the text with --corpus FILE."
        )
    return np.concatenate((text.train, text.holdout))
