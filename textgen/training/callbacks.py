"""What a run keeps while it trains, as Keras callbacks.

An epoch of these, as of every callback that a run is given, is an evaluation of the hold-out.
"""

import csv
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import keras

from textgen.errors import TextgenError
from textgen.generation.items import USUAL, items_of, write_items
from textgen.generation.mixing import Part
from textgen.generation.network import Network
from textgen.generation.sampling import Sample, Settings, whole_texts
from textgen.generation.writing import Asked
from textgen.messages import note
from textgen.storage.atomic import atomic_write
from textgen.storage.keras_archive import KerasArchive
from textgen.storage.model_file import Model, load_model, write_model
from textgen.storage.provenance import Provenance
from textgen.storage.replacing import forget_replaced
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import write_state
from textgen.training.clock import Clock
from textgen.training.distributed.devices import Devices
from textgen.training.distributed.replicas import Replicas
from textgen.training.learner import Learner
from textgen.training.model import keras_archive
from textgen.training.progress import Progress
from textgen.training.rate import Rate
from textgen.training.reporter import Reporter
from textgen.training.stopping import Stopping

MOST_LOG = 1 << 20  # characters of log.csv
SAVE_SECONDS = 120.0  # a state is saved at least this often, besides at each evaluation

Logs = dict[str, Any] | None


class KeepBest(keras.callbacks.Callback):
    """Writes the model whenever its hold-out loss is below that of the file.

    Args:
        path: of the model file.
        progress: of the run.
        current: gives the model as it is now.
    """

    def __init__(self, path: Path, progress: Progress, current: Callable[[], Model]):
        super().__init__()
        self._path, self._progress, self._current = path, progress, current
        self._kept: float | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Look what is kept; if the model is lost, keep the one that was measured last."""
        self._kept, train_loss = losses_of(self._path)
        progress = self._progress
        if self._kept is None and progress.evaluations and not progress.loss_steps:
            self._write()
            train_loss = progress.train_loss
            note(f"No good {self._path.name} was there: it is now that of the last evaluation.")
        kept, best = self._kept, progress.best
        if best is not None and kept is not None and train_loss is not None and kept > best:
            # The best model is lost; what is reported is of the file.
            progress.best, progress.best_train_loss = kept, train_loss

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write the model if it is the best."""
        assert self._progress.val_loss is not None
        if self._kept is None or self._progress.val_loss < self._kept:
            self._write()

    def _write(self) -> None:
        write_model(self._path, self._current(), self._template)
        self._kept = self._progress.val_loss
        forget_replaced(self._path.parent)

    @cached_property
    def _template(self) -> KerasArchive:
        """Keras's archive of the model, made before the first model is kept."""
        model = self._current()
        return keras_archive(model.config, len(model.vocabulary))


class KeepSamples(keras.callbacks.Callback):
    """Writes what the model generates at each evaluation, by its sampling defaults.

    Args:
        folder: where to; `evaluation-0001.txt` is the first.
        seed: of the samples.
        current: gives the model as it is now.
        reporter: is shown the first of the texts.
    """

    def __init__(self, folder: Path, seed: int, current: Callable[[], Model], reporter: Reporter):
        super().__init__()
        self._folder, self._seed, self._current = folder, seed, current
        self._reporter = reporter

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write a text."""
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"evaluation-{epoch + 1:04}.txt"
        model = self._current()
        texts = sample_texts(model, self._seed)
        atomic_write(path, headed(texts, model.sampling.temperatures).encode())
        self._reporter.wrote(texts[0], items_of(model) is not None)


class Log(keras.callbacks.Callback):
    """Writes log.csv: a row for each evaluation, those of earlier sessions included.

    Args:
        path: of the file.
        progress: of the run; it holds the text, so that a resumed run has each row once.
        row: gives the latest evaluation's figures by column.
    """

    def __init__(self, path: Path, progress: Progress, row: Callable[[], dict[str, Any]]):
        super().__init__()
        self._path, self._progress, self._row = path, progress, row

    def on_train_begin(self, logs: Logs = None) -> None:
        """Write the rows of earlier sessions."""
        atomic_write(self._path, self._progress.log.encode())

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Add a row."""
        row = {"evaluation": epoch + 1} | self._row()
        lines = io.StringIO()
        writer = csv.DictWriter(lines, row, lineterminator="\n")
        if not self._progress.log:
            writer.writeheader()
        writer.writerow(row)
        self._progress.log = thinned(self._progress.log + lines.getvalue())
        atomic_write(self._path, self._progress.log.encode())


class SaveState(keras.callbacks.Callback):
    """Saves what resuming needs: before and after each evaluation, and from time to time.

    Comes after all other callbacks, so that the state holds what they changed.

    Args:
        path: of the state.
        progress: of the run.
        learner: whose weights, optimizer and carried state are saved.
        devices: where the run trains; the chief writes.
        clock: of the run.
        rate: of the run.
        stop: how training is asked to stop, which waits for a state.
        seconds: between two states at most.
    """

    def __init__(
        self,
        path: Path,
        progress: Progress,
        learner: Learner | Replicas,
        devices: Devices,
        clock: Clock,
        rate: Rate,
        stop: Stopping,
        seconds: float = SAVE_SECONDS,
    ):
        super().__init__()
        self._path, self._progress, self._learner = path, progress, learner
        self._devices, self._clock, self._rate = devices, clock, rate
        self._stop, self._seconds = stop, seconds
        self._saved = 0.0

    def on_train_begin(self, logs: Logs = None) -> None:
        """The state is that of the directory, or there is nothing to save yet."""
        self._note_time()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Save if it is time."""
        if self._clock.now - self._saved > self._seconds:
            self.save()

    def on_test_begin(self, logs: Logs = None) -> None:
        """Save, so that measuring, which may take minutes, can be ended at once."""
        self.save()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save what the evaluation has changed."""
        self.save()

    def on_train_end(self, logs: Logs = None) -> None:
        """Save that the run is finished."""
        self._progress.finished = True
        self.save()

    def save(self) -> None:
        """Save the state, from which the run continues exactly."""
        self._rate.heed_callbacks()
        self._progress.seconds = self._clock.spent
        with self._stop.saving:
            arrays = self._learner.arrays()
            if self._devices.is_chief:
                write_state(self._path, asdict(self._progress), arrays)
        self._devices.wait()
        self._note_time()

    def _note_time(self) -> None:
        self._saved = self._clock.now
        self._stop.saved = time.monotonic()


def losses_of(path: Path) -> tuple[float | None, float | None]:
    """The hold-out and the training loss of a model file; None where none can be read."""
    try:
        provenance = Provenance.read(load_model(path).provenance)
    except TextgenError:
        return None, None
    return provenance.val_loss, provenance.train_loss


def thinned(log: str) -> str:
    """The text of log.csv; without every second row if it is long, so that a state can hold it."""
    if len(log) <= MOST_LOG:
        return log
    heading, *rows = log.splitlines(keepends=True)
    return heading + "".join(rows[(len(rows) - 1) % 2 :: 2])


def tensorboard_callback(directory: RunDirectory) -> keras.callbacks.Callback:
    """Keras's TensorBoard callback, writing below the run directory."""
    return keras.callbacks.TensorBoard(directory.path / "tensorboard", write_graph=False)


def sample_texts(model: Model, seed: int) -> list[str]:
    """What the model generates by its sampling defaults, a text or items for each temperature."""
    network = Network(model.config, model.weights)
    if items_of(model) is not None:
        part = Part(Path(), model, network)
        asked = [Asked(None, "", (warmth,)) for warmth in model.sampling.temperatures]
        written = (write_items(part, one, seed, range(USUAL)) for one in asked)
        return ["\n".join(map(str, items)) for items in written]
    prompt = model.vocabulary.encode(model.default_prompt)
    sampling = model.sampling
    samples = [Sample(0, warmth, sampling.length, seed) for warmth in sampling.temperatures]
    settings = Settings(model.vocabulary.characters)
    return whole_texts(network, prompt, samples, settings)


def headed(texts: Sequence[str], temperatures: Sequence[float]) -> str:
    """Texts one after the other; a heading for each of several."""
    if len(texts) == 1:
        return texts[0] + "\n"
    return "\n".join(
        f"--- temperature {temperature:g} ---\n{text}\n"
        for temperature, text in zip(temperatures, texts, strict=True)
    )
