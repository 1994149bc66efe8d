"""What a run is: settings and text, kept in `run.json` beside the state."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from textgen.config import (
    GATES,
    Cleaning,
    ModelConfig,
    SampleConfig,
    TrainConfig,
)
from textgen.errors import TextgenError
from textgen.messages import shown
from textgen.storage import model_file, schema
from textgen.storage.atomic import atomic_write
from textgen.storage.model_file import Model
from textgen.storage.plain import open_plain
from textgen.storage.provenance import Origin, item_list, named_parts, origins
from textgen.text.encoding import Part
from textgen.text.items import ItemList
from textgen.text.vocabulary import Vocabulary

FORMAT = 1
MAX_RUN_FILE = 8 << 20
MOST_SOURCES = 10_000  # whose names are kept
# So many are made, trained for a first time and saved in a second.
WEIGHTS_PER_SECOND = 1_000_000
MAX_CHARACTERS = 1 << 48
# A tail longer than this measures no better and would take minutes at each evaluation.
MOST_HOLDOUT = 1_000_000
SENSIBLE = 20_000  # characters of a text that a network can learn to write from
LIBRARIES = ("textgen", "tensorflow", "keras", "numpy")
# What may differ when a run is continued.
ADJUSTABLE = ("epochs", "minutes", "patience")
# Settings that no option ever changed: runs of textgen 0.1.0 have them, and they are ignored.
DROPPED = ("weight_decay", "averaging")


@dataclass(frozen=True)
class Run:
    """Everything that decides what a run trains.

    Attributes:
        preset: its name, `default` for the recipe.
        model: the architecture.
        train: how it is trained.
        cleaning: how the text was cleaned.
        sampling: the defaults for `sample`.
        vocabulary: the distinct characters of the text.
        characters: length of text.ids.
        sha256: of the cleaned text in UTF-8, as it was read.
        corpus: names of the sources.
        baselines: bits per character of simple models on the hold-out, by name.
        bases: the models that it started from, nearest first.
        parts: of the text, each with its hold-out; none in older runs, whose only part has the
            hold-out of `holdout_characters`.
        ids_sha256: of the text in text.ids, where that is not as it was read; else None.
        items: what is kept of a list; None for a text that is none.
        unknown: characters of the user's own hold-out that text.ids is without.
    """

    preset: str
    model: ModelConfig
    train: TrainConfig
    cleaning: Cleaning
    sampling: SampleConfig
    vocabulary: Vocabulary
    characters: int
    sha256: str
    corpus: tuple[str, ...]
    baselines: dict[str, float]
    bases: tuple[Origin, ...] = ()
    parts: tuple[Part, ...] = ()
    ids_sha256: str | None = None
    items: ItemList | None = None
    unknown: int = 0

    @property
    def holdout_characters(self) -> int:
        """Length of the hold-out, the tail of the text."""
        if self.parts:
            return sum(part.holdout for part in self.parts)
        return holdout_characters(self.characters, self.train.validation_split)

    @property
    def train_characters(self) -> int:
        """Length of what is trained on, the head of the text."""
        return self.characters - self.holdout_characters

    def new_model(self, text: np.ndarray) -> Model:
        """A model file's contents without the weights.

        Args:
            text: the training ids (characters,), of which the last window becomes the
                default prompt.
        """
        source = {
            "name": summary(self.corpus),
            "sha256": self.sha256,
            "characters": self.characters,
        }
        provenance = {
            "corpus": [source],
            "train_characters": self.train_characters,
            "holdout_characters": self.holdout_characters,
            "baselines": self.baselines,
            "preset": self.preset,
            "seed": self.train.seed,
            "train": asdict(self.train),
            "versions": {name: version(name) for name in LIBRARIES},
            "bases": [asdict(base) for base in self.bases],
        }
        if self.items is not None:
            provenance["items"] = asdict(self.items)
        if sum(part.holdout > 0 for part in self.parts) > 1:
            provenance["parts"] = named_parts(self.corpus, self.parts)
        if self.unknown:
            provenance["unknown"] = self.unknown
        return Model(
            config=self.model,
            vocabulary=self.vocabulary,
            cleaning=self.cleaning,
            weights={},
            sampling=self.sampling,
            default_prompt=self.vocabulary.decode(text[-self.model.seq_length :]),
            provenance=provenance,
        )


def summary(names: Sequence[str], most: int = 20) -> str:
    """Names of sources in a line; of very many, the first."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return " + ".join(names[:most]) + more


def holdout_characters(characters: int, split: float) -> int:
    """How many characters at the end of a text are held out: a share, at most a million."""
    return min(int(characters * split), MOST_HOLDOUT)


def check_length(characters: int, holdout: int, model: ModelConfig, train: TrainConfig) -> None:
    """Check that a text has at least one window to train on and one to hold out.

    Args:
        characters: its length.
        holdout: how many of them are held out.
        model: the architecture.
        train: how it is trained.

    Raises:
        TextgenError: it is too short; says about how long it must be.
    """
    split = train.validation_split

    def enough(length: int) -> bool:
        holdout = holdout_characters(length, split)
        return min(holdout, length - holdout) > model.seq_length

    if min(holdout, characters - holdout) > model.seq_length:
        return
    window = model.seq_length
    needed = int(max((window + 1) / split, min(window / (1 - split), MOST_HOLDOUT + window))) - 1
    while not enough(needed):
        needed += 1
    sensible = f"{SENSIBLE:,} characters or more, some ten pages, are sensible."
    raise TextgenError(
        f"The text has {characters:,} characters and must have at least {needed:,} (windows of "
        f"{model.seq_length}, {split:g} held out). "
        + (sensible if needed < SENSIBLE else "Give more text or a smaller --seq-length.")
    )


def check_memory(
    model: ModelConfig, train: TrainConfig, vocabulary_size: int, workers: int = 1
) -> None:
    """Check that training fits into this machine's memory, before the system kills it.

    Weights, gradients and two moments of each; activations and their gradients. That is the
    least it can take.

    Raises:
        TextgenError: it does not fit.
    """
    weights = model.parameters(vocabulary_size)
    wide = sum((GATES[model.cell] + 1) * units for units in model.units)
    rows = train.batch_size // workers
    activations = rows * model.seq_length * (wide + vocabulary_size)
    needed = 4 * (4 * weights + 2 * activations)
    if not hasattr(os, "sysconf"):
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory:
        raise TextgenError(
            f"Training this takes at least {needed / 1e9:,.0f} GB of memory, and this machine has "
            f"{memory / 1e9:,.0f} GB. Choose fewer --units, a smaller --batch-size or --seq-length."
        )


def check_time(model: ModelConfig, train: TrainConfig, vocabulary_size: int) -> None:
    """Check that a network is not too large for the time: making and saving it take some, too.

    Raises:
        TextgenError: it is.
    """
    weights = model.parameters(vocabulary_size)
    needed = weights / WEIGHTS_PER_SECOND / 60
    if train.minutes is not None and needed > max(train.minutes, 0.1):
        raise TextgenError(
            f"A network of {weights:,} weights cannot be trained in {train.minutes:g} minutes: to "
            f"make and save it takes {needed:,.1f}. Choose fewer --units or more --minutes."
        )


def differences(wanted: dict[str, Any], run: Run) -> list[str]:
    """Which explicitly given settings differ from the run's, as a person reads them."""
    own = _flat(run)
    return [
        f"{name} is {own[name]!r}, not {value!r}"
        for name, value in wanted.items()
        if name in own and name not in ADJUSTABLE and own[name] != value
    ]


def _flat(run: Run) -> dict[str, Any]:
    parts = (run.model, run.train, run.cleaning)
    return {key: value for part in parts for key, value in asdict(part).items()} | {
        "preset": run.preset
    }


def adjusted(run: Run, given: dict[str, Any]) -> Run:
    """The run with the settings that may change when it is continued."""
    changes = {name: given[name] for name in ADJUSTABLE if name in given}
    if "epochs" in changes:
        changes["minutes"] = None
    elif changes.get("minutes", run.train.minutes) != run.train.minutes:
        changes["epochs"] = None
    return replace(run, train=replace(run.train, **changes))


def write_run(path: Path, run: Run) -> None:
    """Write `run.json` atomically.

    Raises:
        TextgenError: it cannot be written, or could not be read again.
    """
    values = asdict(replace(run, vocabulary=None)) | {  # type: ignore[arg-type]
        "format": FORMAT,
        "vocabulary": {
            "characters": run.vocabulary.characters,
            "commonest": run.vocabulary.commonest,
        },
    }
    data = json.dumps(values, indent=1, ensure_ascii=False).encode()
    try:
        if len(data) > MAX_RUN_FILE:
            raise schema.Refused(f"run.json would be larger than {MAX_RUN_FILE:,} bytes")
        _run(schema.parse_json(data))
    except schema.Refused as reason:
        raise TextgenError(f"A run cannot be kept like this: {reason}.") from None
    atomic_write(path, data)


def read_run(path: Path) -> Run:
    """Read `run.json`, which anybody may have made.

    Raises:
        TextgenError: it is missing, damaged, or not one that `write_run` wrote.
    """
    try:
        file, size = open_plain(path, MAX_RUN_FILE)
        with file:
            run = _run(schema.parse_json(file.read(size)))
    except schema.Refused as reason:
        raise TextgenError(
            f"{shown(path)} cannot be used: {reason}. Train again with --overwrite."
        ) from None
    except OSError as error:
        raise TextgenError(f"Could not read {shown(path)}: {error.strerror or error}.") from error
    model_file.check_size(run.model, len(run.vocabulary))
    check_length(run.characters, run.holdout_characters, run.model, run.train)
    return run


def _run(value: Any) -> Run:
    older: dict[str, Any] = {"bases": [], "parts": [], "ids_sha256": None}
    older |= {"items": None, "unknown": 0}
    value = older | schema.free_object(value, "run.json")
    schema.closed(value, [field.name for field in fields(Run)] + ["format"], "run.json")
    schema.integer(value["format"], FORMAT, FORMAT, "format")
    characters = schema.integer(value["characters"], 1, MAX_CHARACTERS, "characters")
    ids_sha256, items = value["ids_sha256"], value["items"]
    return Run(
        preset=schema.text(value["preset"], 40, "preset"),
        model=schema.settings(value["model"], ModelConfig, "model"),
        train=_train(value["train"]),
        cleaning=schema.settings(value["cleaning"], Cleaning, "cleaning"),
        sampling=schema.settings(value["sampling"], SampleConfig, "sampling"),
        vocabulary=model_file.read_vocabulary(value["vocabulary"]),
        characters=characters,
        sha256=schema.text(value["sha256"], 64, "sha256"),
        corpus=tuple(
            schema.text(name, 4096, "corpus")
            for name in schema.items(value["corpus"], MOST_SOURCES, "corpus")
        ),
        baselines={
            name: schema.number(bits, 0, 1e6, name)
            for name, bits in schema.free_object(value["baselines"], "baselines").items()
        },
        bases=origins(value["bases"]),
        parts=_parts(value["parts"], characters) if value["parts"] != [] else (),
        ids_sha256=None if ids_sha256 is None else schema.text(ids_sha256, 64, "ids_sha256"),
        items=None if items is None else item_list(items),
        unknown=schema.integer(value["unknown"], 0, MOST_HOLDOUT, "unknown"),
    )


def _parts(value: Any, characters: int) -> tuple[Part, ...]:
    """The parts of a text of so many characters."""
    parts = []
    for row in schema.items(value, MOST_SOURCES, "parts"):
        schema.closed(row, ("characters", "holdout"), "a part")
        length = schema.integer(row["characters"], 1, characters, "characters of a part")
        parts.append(Part(length, schema.integer(row["holdout"], 0, length, "its hold-out")))
    if sum(part.characters for part in parts) != characters:
        raise schema.Refused("its parts are not as long as the text")
    return tuple(parts)


def _train(value: Any) -> TrainConfig:
    kept = {k: v for k, v in schema.free_object(value, "train").items() if k not in DROPPED}
    train = schema.settings({"list": False} | kept, TrainConfig, "train")
    if train.epochs is None and train.minutes is None:
        raise schema.Refused("train has neither epochs nor minutes")
    return train
