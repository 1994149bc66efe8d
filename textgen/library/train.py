"""Training from a program or a notebook."""

import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen.config import PRESETS, Cleaning, ModelConfig, TrainConfig
from textgen.errors import TextgenError
from textgen.library.model import Model
from textgen.messages import bits
from textgen.storage import schema
from textgen.training.request import AUTO, Request
from textgen.training.session import Trained
from textgen.training.session import train as train_run

if TYPE_CHECKING:
    import keras


def checked(given: dict[str, Any]) -> dict[str, Any]:
    """Settings as their classes have them, checked by the rules of the options.

    Raises:
        TextgenError: one is unknown, or has a value that it cannot have.
    """
    found: dict[str, Any] = {}
    for kind in (ModelConfig, TrainConfig, Cleaning):
        names = [field.name for field in fields(kind) if field.name in given]
        # As JSON has it.
        values = asdict(kind()) | {name: given[name] for name in names}
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        try:
            config = schema.settings(values, kind, "settings")
        except schema.Refused as reason:
            raise TextgenError(f"A setting cannot be used: {reason}.") from None
        found |= {name: getattr(config, name) for name in names}
    if unknown := given.keys() - found:
        raise TextgenError(f"train() has no setting {min(unknown)!r}. See textgen train --help.")
    return found


class Run:
    """A run that was trained.

    Attributes:
        folder: where its files are; `model.keras` is the one to keep.
        name: the folder's.
        val_loss: the best mean loss on the hold-out, in nats a character.
        steps: training steps done, earlier sessions included.
        seconds: wall-clock time, earlier sessions included.
    """

    def __init__(self, trained: Trained):
        assert trained.progress.best is not None
        self.folder = trained.directory.path
        self.name = trained.directory.name
        self.val_loss = trained.progress.best
        self.steps = trained.progress.step
        self.seconds = trained.seconds

    def __repr__(self) -> str:
        return f"<textgen.Run {self.name!r}: {self.val_bpc:.3f} bits per character>"

    @property
    def val_bpc(self) -> float:
        """The best loss on the hold-out in bits per character."""
        return bits(self.val_loss)

    @cached_property
    def model(self) -> Model:
        """The best model."""
        return Model(self.folder / "model.keras")


def train(
    *sources: str | os.PathLike[str],
    name: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    start_from: str | os.PathLike[str] = AUTO,
    holdout: str | os.PathLike[str] | None = None,
    preset: str | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
    folder: str | os.PathLike[str] = "checkpoints",
    **settings: Any,
) -> Run:
    """Train a model on a text, as `textgen train` does.

    Interrupted (KeyboardInterrupt), the run keeps its best model and its last saved state, and
    `resume=True` continues it. Notes go to the logger `textgen`.

    Args:
        sources: paths, `builtin:NAME`, `gutenberg:FILEID` or `cat-in-the-hat`; none for the
            built-in story, or for the text of the run that is resumed.
        name: of the run; after the source if None, or the newest run to resume.
        resume: whether to continue a run.
        overwrite: whether to replace the run `name`.
        start_from: the model that a new run starts from, a run or a file; `none` for nothing,
            `auto` for `builtin:english` where it is worth it.
        holdout: a source that is held out; None for the end of each text.
        preset: `nietzsche` or `cat-in-the-hat`.
        callbacks: Keras callbacks, called as `model.fit` calls them; their epoch is an evaluation
            of the hold-out.
        folder: where runs are.
        settings: of `textgen train`, such as `minutes=2`, `units=(256, 256)`, `lowercase=True`.

    Raises:
        TextgenError: a source, a setting or a file cannot be used.
    """
    given = checked({key: value for key, value in settings.items() if value is not None})
    if preset is not None and preset not in PRESETS:
        raise TextgenError(f"There is no preset {preset!r}. Choose one of {', '.join(PRESETS)}.")
    if "minutes" in given and "epochs" in given:
        raise TextgenError("Use either minutes or epochs, not both.")
    if resume and start_from != AUTO:
        raise TextgenError("resume continues a run that has started: leave out start_from.")
    if resume and holdout is not None:
        raise TextgenError("resume keeps what the run has held out: leave out holdout.")
    request = Request(
        sources=tuple(os.fspath(source) for source in sources),
        name=name,
        resume=resume,
        overwrite=overwrite,
        start_from=os.fspath(start_from),
        holdout=None if holdout is None else os.fspath(holdout),
        preset=preset,
        given=given,
        root=Path(folder),
    )
    return Run(train_run(request, callbacks=callbacks))
