"""What the user asked for."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from textgen.config import PRESETS, Cleaning, ModelConfig, TrainConfig
from textgen.corpus.sources import Joined, find_sources, open_sources, source_stem
from textgen.storage.run_folder import ROOT

BUILTIN = "builtin:runaway-echo"
AUTO, NOTHING = "auto", "none"  # what a run may start from, besides a model

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
        start_from: the model that a new run starts from; `auto` for the English one where it is
            worth it, `none` for nothing.
        holdout: the source of a hold-out of the user's own; None for the end of each text.
        asked: when, by `time.monotonic()`: the time of the run counts from then.
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
    start_from: str = AUTO
    holdout: str | None = None
    asked: float = field(default_factory=time.monotonic)
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

    def read(self, cleaning: Cleaning) -> Joined:
        """The clean text, piece by piece; see `open_sources`."""
        if self.holdout is not None:
            find_sources((*self.texts, self.holdout))
        return open_sources(self.texts, cleaning, self.encoding, self.keep_boilerplate)

    def read_holdout(self, cleaning: Cleaning) -> Iterator[str]:
        """The clean text of the hold-out, where there is one of the user's own."""
        own = [self.holdout] if self.holdout is not None else []
        return open_sources(own, cleaning, self.encoding, self.keep_boilerplate)


def with_given(config: Config, given: dict[str, Any]) -> Config:
    """The configuration with what was given explicitly."""
    names = {field.name for field in fields(config)}
    return replace(config, **{name: value for name, value in given.items() if name in names})
