"""From what the user asked for to the whole run."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from textgen.analysis.baselines import baselines, with_unknown
from textgen.config import PRESETS, ModelConfig, Preset, TrainConfig
from textgen.corpus.sources import source_names
from textgen.errors import TextgenError
from textgen.messages import shown
from textgen.storage.model_file import check_size
from textgen.storage.run import (
    MOST_SOURCES,
    Run,
    check_length,
    check_memory,
    check_time,
)
from textgen.text.encoding import EncodedText, open_ids, renumber
from textgen.text.vocabulary import MOST_CHARACTERS
from textgen.training import recipe
from textgen.training.division import Division, divide
from textgen.training.pace import ABOUT_RIGHT, Pace
from textgen.training.recipe import Budget
from textgen.training.request import Request, with_given
from textgen.training.start import Start, choose_start

MOST_MEASURED = 2  # networks, of which each takes seconds to compile


@dataclass(frozen=True)
class Plan:
    """A run that can be trained.

    Attributes:
        run: what is trained and how.
        choices: what was chosen for the user and why, a line each.
        weights: what it starts from, by name; None for random ones.
    """

    run: Run
    choices: tuple[str, ...]
    weights: Mapping[str, np.ndarray] | None


def plan(
    request: Request,
    encoded: EncodedText,
    ids: Path,
    replicas: int = 1,
    workers: int = 1,
    pace: Pace | None = None,
) -> Plan:
    """The whole run: the preset or the recipe, with what was given explicitly.

    Args:
        request: what the user asked for.
        encoded: the text.
        ids: the file of its ids, which are renumbered where a base brings more characters.
        replicas: devices that share each batch.
        workers: processes that share the devices.
        pace: measures a training step; None to guess from the machine's matrix products.

    Raises:
        TextgenError: the text cannot be trained on like this.
    """
    division = divide(request, encoded, ids)
    encoded = replace(encoded, characters=division.characters)
    request = replace(request, given=request.given | {"list": division.items is not None})
    start, choice = choose_start(request, encoded, ids, division.holdout)
    vocabulary = start.vocabulary if start else encoded.vocabulary
    size = len(vocabulary)
    if start and size > MOST_CHARACTERS:
        raise TextgenError(
            f"The text and {start.base.name} have {size:,} distinct characters together, and a "
            f"model knows at most {MOST_CHARACTERS:,} characters. Leave out --from, or fold the "
            "text with --ascii."
        )

    def checked(budget: Budget | None) -> tuple[Preset, ModelConfig, TrainConfig]:
        preset = PRESETS[request.preset or ""] if budget is None else chosen(budget, start)
        preset = divisible(preset, replicas) if budget else preset
        model, train = settings(preset, request.given, timed=budget is not None)
        check_own_holdout(request, division, model)
        check_length(encoded.characters, division.holdout, model, train)
        check_size(model, size)
        check_division(train, replicas)
        check_memory(model, train, size, workers)
        check_time(model, train, size)
        return preset, model, train

    budget = budget_of(request, encoded)
    preset, model, train = checked(budget)
    if budget and budget.minutes and pace:
        for _ in range(MOST_MEASURED):
            guessed, rate = budget.passes(model.units), pace.measure(model, train, size)
            spent = time.monotonic() - request.asked
            budget = budget.measured(model.units, rate, spent, division.holdout)
            if abs(math.log(budget.passes(model.units) / guessed)) < ABOUT_RIGHT:
                break
            preset, model, train = checked(budget)
        pace.announced = budget.expected_passes(model, train)
    run = Run(
        preset=request.preset or "default",
        model=model,
        train=train,
        cleaning=request.cleaning,
        sampling=preset.sampling,
        vocabulary=vocabulary,
        characters=encoded.characters,
        sha256=encoded.sha256,
        corpus=kept_names(source_names(request.texts)),
        baselines=measured_baselines(ids, encoded, division),
        bases=start.base.chain if start else (),
        parts=division.parts,
        ids_sha256=division.ids_sha256,
        items=division.items,
        unknown=division.unknown,
    )
    if start:
        renumber(ids, encoded.vocabulary, vocabulary)
    choices = (*division.choices, choice, budget.line(model, train) if budget else None)
    return Plan(run, tuple(filter(None, choices)), start.weights if start else None)


def budget_of(request: Request, encoded: EncodedText) -> Budget | None:
    """What the recipe has to work with; None for a preset, which needs no recipe."""
    if request.preset in PRESETS:
        return None
    given, spent = request.given, time.monotonic() - request.asked
    return recipe.budget(encoded.characters, given.get("minutes"), given.get("epochs"), spent)


def chosen(budget: Budget, start: Start | None) -> Preset:
    """What the recipe makes of a budget."""
    return recipe.fit_from(budget, start.config, start.lag) if start else recipe.fit(budget)


def settings(preset: Preset, given: dict[str, Any], timed: bool) -> tuple[ModelConfig, TrainConfig]:
    """A preset with what was given explicitly.

    Args:
        preset: of the recipe, or one of `PRESETS`.
        given: settings by name.
        timed: whether the preset has the time that was given.
    """
    if given.get("minutes") and not timed:
        given = {"epochs": None} | given
    elif given.get("optimizer", preset.train.optimizer) != preset.train.optimizer:
        given = {"learning_rate": recipe.LEARNING_RATES[given["optimizer"]]} | given
    return with_given(preset.model, given), with_given(preset.train, given)


def kept_names(names: list[str]) -> tuple[str, ...]:
    """The names of the sources that a run keeps."""
    if len(names) <= MOST_SOURCES:
        return tuple(names)
    return (*names[: MOST_SOURCES - 1], f"{len(names) - MOST_SOURCES + 1:,} more")


def check_own_holdout(request: Request, division: Division, model: ModelConfig) -> None:
    """See that a hold-out of the user's own is longer than a window.

    Raises:
        TextgenError: it is not.
    """
    if request.holdout is not None and division.holdout <= model.seq_length:
        raise TextgenError(
            f"The hold-out {shown(request.holdout)} has {division.holdout:,} characters that the "
            f"text has too, and must have more than {model.seq_length:,}. Give a longer one."
        )


def measured_baselines(ids: Path, encoded: EncodedText, division: Division) -> dict[str, float]:
    """Bits per character of simple models on the hold-out, by name.

    They know the text's own characters only: a base's others would flatter the model.
    """
    size = len(encoded.vocabulary)
    text = open_ids(ids, size)
    cut = encoded.characters - division.holdout
    measured = baselines(text[:cut], text[cut:], size).as_dict()
    known, unknown = division.holdout, division.unknown
    return {name: with_unknown(bits, known, unknown) for name, bits in measured.items()}


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
