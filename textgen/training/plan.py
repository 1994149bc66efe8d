"""From what the user asked for to the whole run."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from textgen.analysis.baselines import baselines
from textgen.config import PRESETS, Cleaning, ModelConfig, Preset, TrainConfig
from textgen.corpus.sources import open_sources, source_names, source_stem
from textgen.errors import TextgenError
from textgen.storage.model_file import check_size
from textgen.storage.run import (
    MOST_SOURCES,
    Run,
    check_length,
    check_memory,
    check_time,
    holdout_characters,
)
from textgen.storage.run_folder import ROOT
from textgen.text.encoding import EncodedText, open_ids
from textgen.training import recipe

BUILTIN = "builtin:runaway-echo"

Config = TypeVar("Config", ModelConfig, TrainConfig, Cleaning)


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        sources: the texts; none stands for the built-in story, or for the text of the run that
            is resumed.
        name: of the run; None for one after the source, or for the newest.
        resume: whether to continue a run.
        overwrite: whether a run of that name may be replaced.
        preset: a name in `PRESETS`, `default`, or None where none was given.
        given: settings given explicitly, by their names in `ModelConfig`, `TrainConfig` and
            `Cleaning`.
        encoding: of files and stdin.
        keep_boilerplate: whether Project Gutenberg's licence stays in the text.
        root: the folder of all runs.
    """

    sources: tuple[str, ...] = ()
    name: str | None = None
    resume: bool = False
    overwrite: bool = False
    preset: str | None = None
    given: dict[str, Any] = field(default_factory=dict)
    encoding: str = "utf-8"
    keep_boilerplate: bool = False
    root: Path = ROOT

    @property
    def texts(self) -> tuple[str, ...]:
        """The sources of a new run."""
        return self.sources or (BUILTIN,)

    @property
    def stem(self) -> str:
        """What a new run is called if it is given no name."""
        return source_stem(self.texts)

    @property
    def cleaning(self) -> Cleaning:
        """How the text of a new run is cleaned."""
        preset = PRESETS.get(self.preset or "")
        cleaning = with_given(preset.cleaning if preset else Cleaning(), self.given)
        return replace(cleaning, tokenize=cleaning.tokenize or cleaning.drop_stopwords)

    def read(self, cleaning: Cleaning) -> Iterator[str]:
        """The clean text, piece by piece; see `open_sources`."""
        return open_sources(self.texts, cleaning, self.encoding, self.keep_boilerplate)


def with_given(config: Config, given: dict[str, Any]) -> Config:
    """The configuration with what was given explicitly."""
    names = {field.name for field in fields(config)}
    return replace(config, **{name: value for name, value in given.items() if name in names})


def plan(
    request: Request, encoded: EncodedText, ids: Path, replicas: int = 1, workers: int = 1
) -> tuple[Run, str | None]:
    """The whole run: the preset or the recipe, with what was given explicitly.

    Args:
        request: what the user asked for.
        encoded: the text.
        ids: the file of its ids.
        replicas: devices that share each batch.
        workers: processes that share the devices.

    Returns:
        The run, and what the recipe chose and why, if it chose.

    Raises:
        TextgenError: the text cannot be trained on like this.
    """
    given, budget = request.given, None
    if request.preset in PRESETS:
        preset = PRESETS[request.preset]
    else:
        budget = recipe.budget(encoded.characters, given.get("minutes"), given.get("epochs"))
        preset = divisible(recipe.fit(budget), replicas)
    if given.get("minutes") and not budget:
        given = {"epochs": None} | given
    elif given.get("optimizer", preset.train.optimizer) != preset.train.optimizer:
        given = {"learning_rate": recipe.LEARNING_RATES[given["optimizer"]]} | given
    model, train = with_given(preset.model, given), with_given(preset.train, given)
    size = len(encoded.vocabulary)
    check_length(encoded.characters, model, train)
    check_size(model, size)
    check_division(train, replicas)
    check_memory(model, train, size, workers)
    check_time(model, train, size)
    run = Run(
        preset=request.preset or "default",
        model=model,
        train=train,
        cleaning=request.cleaning,
        sampling=preset.sampling,
        vocabulary=encoded.vocabulary,
        characters=encoded.characters,
        sha256=encoded.sha256,
        corpus=kept_names(source_names(request.texts)),
        baselines=measured_baselines(ids, encoded, train),
    )
    return run, budget.line(model, train) if budget else None


def kept_names(names: list[str]) -> tuple[str, ...]:
    """The names of the sources that a run keeps."""
    if len(names) <= MOST_SOURCES:
        return tuple(names)
    return (*names[: MOST_SOURCES - 1], f"{len(names) - MOST_SOURCES + 1:,} more")


def measured_baselines(ids: Path, encoded: EncodedText, train: TrainConfig) -> dict[str, float]:
    """Bits per character of simple models on the hold-out, by name."""
    size = len(encoded.vocabulary)
    text = open_ids(ids, size)
    cut = encoded.characters - holdout_characters(encoded.characters, train.validation_split)
    return baselines(text[:cut], text[cut:], size).as_dict()


def divisible(preset: Preset, replicas: int) -> Preset:
    """The preset, its batch made larger where the devices could not divide it."""
    rows = math.ceil(preset.train.batch_size / replicas) * replicas
    return replace(preset, train=replace(preset.train, batch_size=rows))


def check_division(train: TrainConfig, replicas: int) -> None:
    """See that each device gets as many rows of a batch.

    Raises:
        TextgenError: it does not.
    """
    if train.batch_size % replicas:
        raise TextgenError(
            f"A batch of {train.batch_size} rows cannot be divided among {replicas} devices. "
            f"Give a --batch-size that is a multiple of {replicas}, or other --devices."
        )
