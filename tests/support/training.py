"""Training in the test's own process, for a few steps."""

import os
import signal
from pathlib import Path
from typing import Any

import keras

from textgen.cli.signals import StopSignals
from textgen.training.request import Request
from textgen.training.session import Trained
from textgen.training.session import train as train_run


class Interrupt(keras.callbacks.Callback):
    """A real signal after so many steps of this session."""

    def __init__(self, steps: int, number: signal.Signals = signal.SIGINT):
        super().__init__()
        self.steps, self.number = steps, number

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Send it when the time has come."""
        self.steps -= 1
        if self.steps == 0:
            os.kill(os.getpid(), self.number)


class StopAt(keras.callbacks.Callback):
    """Ends training after so many evaluations, as Keras's EarlyStopping does."""

    def __init__(self, evaluations: int):
        super().__init__()
        self.evaluations = evaluations

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Ask for the end when the time has come."""
        self.model.stop_training = epoch + 1 == self.evaluations


def request(
    root: Path, name: str, text: str | None, start_from: Any = "none", **given: Any
) -> Request:
    """A request for the run `name` under `root`: a new one on `text`, or the earlier one."""
    sources: tuple[str, ...] = ()
    if text is not None:
        source = root.parent / f"text of {root.name}.txt"
        source.write_text(text, encoding="utf-8")
        sources = (str(source),)
    return Request(
        sources, name, resume=text is None, start_from=start_from, given=given, root=root
    )


def train(
    root: Path,
    name: str,
    text: str | None,
    *callbacks: keras.callbacks.Callback,
    devices: Any = None,
    start_from: Any = "none",
    save_seconds: float | None = None,
    **given: Any,
) -> Trained:
    """Train the run `name` under `root`: a new one on `text`, or continue the earlier one."""
    asked = request(root, name, text, start_from, **given)
    return train_run(
        asked,
        stop=StopSignals(),
        callbacks=callbacks,
        devices=devices,
        save_seconds=save_seconds,
    )
