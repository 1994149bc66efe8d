"""The training loop: step, evaluate, keep the best model, save, resume.

One explicit loop drives a compiled step and a Keras `CallbackList` (docs/design.md,
decision 4). Whatever decides about weights depends on the step only, so a run that was
killed and resumed equals one that was not; a run with `--minutes` is the exception.
"""

import json
import math
import shlex
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from textgen.cli.bar import Reporter, Status
from textgen.cli.signals import GRACE, GRACE_TOGETHER, Stopped, StopSignal
from textgen.config import TrainConfig
from textgen.errors import TextgenError
from textgen.generation.network import Network
from textgen.generation.sampling import Sample, Settings, whole_texts
from textgen.storage import schema
from textgen.storage.atomic import atomic_write, not_written
from textgen.storage.keras_archive import KerasArchive
from textgen.storage.model_file import Model, write_model
from textgen.storage.run import Run
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import has_state, read_state, write_state
from textgen.text.batches import Batch, Streams, Windows
from textgen.training.distributed.devices import Devices
from textgen.training.distributed.replicas import Replicas
from textgen.training.learner import Learner
from textgen.training.model import keras_archive

SAVE_SECONDS = 120  # state is saved at least this often, besides at each evaluation
MOST_STEPS = 1000  # between two evaluations
MOST_EVALUATIONS = 20  # of a run with --minutes,
EVALUATION_SHARE = 0.03  # which spends at most this share of its time on them
WARMUP = 0.02  # share of the run in which the learning rate rises
FINAL_RATE = 0.01  # of the highest learning rate, at the end
MAX_LOG = 1 << 24  # characters of log.csv, some 100 each evaluation


@dataclass
class Progress:
    """Where a run stands; saved with every state.

    Losses are means in nats a character.

    Attributes:
        step: steps done.
        evaluations: hold-out evaluations done.
        best: the lowest hold-out loss; None before the first evaluation.
        best_train_loss: the training loss before that evaluation.
        val_loss: the latest hold-out loss.
        train_loss: training loss between the two latest evaluations.
        waited: evaluations since the best one.
        loss_sum: of the steps since the latest evaluation.
        loss_steps: how many these are.
        seconds: wall-clock time spent, start-up and earlier sessions included.
        step_seconds: time spent in steps.
        step_targets: characters trained in that time.
        log: the text of log.csv.
    """

    step: int = 0
    evaluations: int = 0
    best: float | None = None
    best_train_loss: float | None = None
    val_loss: float | None = None
    train_loss: float | None = None
    waited: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    seconds: float = 0.0
    step_seconds: float = 0.0
    step_targets: int = 0
    log: str = ""

    @classmethod
    def read(cls, values: dict[str, Any]) -> "Progress":
        """Take what a state says, which anybody may have written.

        Raises:
            TextgenError: it is not what training writes.
        """
        try:
            schema.closed(values, [field.name for field in fields(cls)], "the saved progress")
            for name, value in values.items():
                if name == "log":
                    schema.string(value, MAX_LOG, name)
                elif isinstance(getattr(cls, name), int):
                    schema.integer(value, 0, 1 << 53, name)
                elif value is not None or getattr(cls, name) is not None:
                    schema.number(value, 0, 1e300, name)
        except schema.Refused as reason:
            raise TextgenError(f"The run cannot be continued: {reason}. Train anew.") from None
        return cls(**values)

    @property
    def chars_per_second(self) -> float:
        """Targets trained per second of training steps, without anything else."""
        return self.step_targets / self.step_seconds if self.step_seconds else 0.0


def learning_rate(train: TrainConfig, done: float) -> float:
    """The learning rate when a share `done` (0 to 1) of the run is over."""
    if train.schedule == "constant":
        return train.learning_rate
    if done < WARMUP:
        return train.learning_rate * (FINAL_RATE + (1 - FINAL_RATE) * done / WARMUP)
    cosine = (1 + math.cos(math.pi * min(1.0, (done - WARMUP) / (1 - WARMUP)))) / 2
    return train.learning_rate * (FINAL_RATE + (1 - FINAL_RATE) * cosine)


@contextmanager
def full_memory_told() -> Iterator[None]:
    """Turn what Python and TensorFlow raise when memory runs out into one line."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise TextgenError(
            "The memory does not suffice for this training. Choose fewer --units, a smaller "
            "--batch-size or --seq-length, or close other programs."
        ) from None


class Training:
    """One run in training.

    Args:
        directory: of the run; its text.ids is there.
        run: what is trained and how.
        ids: the ids of the whole text (characters,).
        started: `time.monotonic()` at the start of the command.
        reporter: is told of every step and evaluation.
        callbacks: Keras callbacks, called as `model.fit` calls them.
        devices: where it trains; one device if None.
    """

    @full_memory_told()
    def __init__(
        self,
        directory: RunDirectory,
        run: Run,
        ids: np.ndarray,
        started: float,
        reporter: Reporter,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        devices: Devices | None = None,
    ):
        self.devices = devices or Devices()
        self.directory = directory
        self.run = run
        self.started = started
        self.reporter = reporter
        self.callbacks = callbacks
        self.progress = Progress()
        self.stop = StopSignal(
            self._tell_of_the_end, GRACE if self.devices.alone else GRACE_TOGETHER
        )
        self.text, self.holdout = ids[: run.train_characters], ids[run.train_characters :]
        self.batches = self._batches()
        self.heard, self.spent_before = np.zeros(3), 0.0
        self.learner = self._learner()
        self.minutes = run.train.minutes
        per_epoch = self.batches.steps_per_epoch
        self.total = run.train.epochs * per_epoch if run.train.epochs is not None else None
        self.stretch = math.ceil(per_epoch / math.ceil(per_epoch / MOST_STEPS))
        self.evaluation_seconds = 0.0
        self.compiled = False
        self.saved = self.evaluated = self.now

    def _learner(self) -> Learner | Replicas:
        model, train, vocabulary_size = self.run.model, self.run.train, len(self.run.vocabulary)
        if self.devices.strategy is None:
            return Learner(model, train, vocabulary_size)
        return Replicas(model, train, vocabulary_size, self.devices, self.word)

    def _batches(self) -> Streams | Windows:
        model, train = self.run.model, self.run.train
        if model.targets == "every":
            return Streams(self.text, train.batch_size, model.seq_length, train.seed)
        return Windows(self.text, train.batch_size, model.seq_length, train.step, train.seed)

    @property
    def spent(self) -> float:
        """Wall-clock seconds of this run, earlier sessions included."""
        return self.spent_before + time.monotonic() - self.started

    @property
    def now(self) -> float:
        """`spent` for decisions: where several workers train, as the chief's clock last told."""
        return self.spent if self.devices.alone else float(self.heard[0])

    @property
    def stopping(self) -> int | None:
        """The signal for which training stops: this process's, or one that another worker got."""
        if self.devices.alone:
            return self.stop.received
        interrupts, terminations = self.heard[1:]
        if not interrupts and not terminations:
            return None
        return self.stop.received or (signal.SIGTERM if terminations else signal.SIGINT)

    def word(self) -> np.ndarray:
        """What this worker tells the others: the chief's clock, and which signal it got."""
        received = self.stop.received
        clock = self.spent if self.devices.is_chief else 0.0
        return np.array([clock, received == signal.SIGINT, received == signal.SIGTERM], np.float64)

    @property
    def budget(self) -> float:
        """Seconds after which no step is made; the last evaluation and saving need time too."""
        return (self.minutes or 0) * 60 - 1.2 * self.evaluation_seconds - 1.0

    def done(self) -> float:
        """The share of the run that is over, 0 to 1."""
        time_share = 0.0 if self.minutes is None else self.now / max(self.budget, 1e-9)
        step_share = 0.0 if self.total is None else self.progress.step / self.total
        return min(1.0, max(time_share, step_share))

    def over(self) -> str | None:
        """What ended the run, or None; no run is over before its first step."""
        if self.done() >= 1 and self.progress.step:
            return "epochs" if self.progress.step == self.total else "minutes"
        patience = self.run.train.patience
        if patience is not None and self.progress.waited >= patience:
            return "patience"
        return None

    def unmeasured(self) -> bool:
        """Whether the hold-out loss is to be measured before another step."""
        due = self.over() is not None or self.evaluation_due()
        return due and self.progress.loss_steps > 0

    def evaluation_due(self) -> bool:
        """Whether the hold-out loss is to be measured after this step."""
        if self.minutes is None:
            place = self.progress.step % self.batches.steps_per_epoch
            return place % self.stretch == 0
        # The first evaluation compiles, so it does not tell what another one costs.
        costs = self.evaluation_seconds if self.progress.evaluations > 1 else 0.0
        interval = max(self.budget / MOST_EVALUATIONS, costs / EVALUATION_SHARE)
        return self.now >= self.evaluated + interval

    @full_memory_told()
    def train(self) -> Progress:
        """Train until the run is over.

        Raises:
            TextgenError: the loss is not finite, or a file cannot be written.
            Stopped: a signal asked for it, and the state is saved.
        """
        try:
            with self.stop:
                self.resume()
                self._train()
        except OSError as error:  # of a callback: what textgen writes is a TextgenError
            raise not_written(error.filename or self.directory.path, error) from error
        return self.progress

    def _train(self) -> None:
        log = [keras.callbacks.CSVLogger(self.directory.log, append=True)]
        callbacks = keras.callbacks.CallbackList(
            [*self.callbacks, *(log if self.devices.is_chief else [])], model=self.learner.model
        )
        callbacks.on_train_begin()
        if self.over() and not self.unmeasured():
            self.reporter.note(
                f"The run is finished after {self.progress.step:,} steps. "
                "To go on, give a larger --epochs or --patience."
            )
        while self.unmeasured() or not self.over():
            if self.unmeasured():
                self.evaluate(callbacks)
            else:
                self.make_step(callbacks)
            if self.stopping:
                self.save()
                raise Stopped(self.stopping)
            if self.now - self.saved > SAVE_SECONDS:
                self.save()
        callbacks.on_train_end()

    def resume(self) -> None:
        """Take up the state of the directory, if it has one, else start."""
        values, arrays = self.devices.together(self._saved)
        if not self.devices.alone:
            values = json.loads(self.devices.bytes_of(0, json.dumps(values).encode()))
        if values is not None:
            self.progress = Progress.read(values)
            self.spent_before = self.progress.seconds
        if isinstance(self.learner, Replicas):
            self.learner.begin(arrays)
        elif arrays is not None:
            self.learner.restore(arrays)
        if self.devices.is_chief:
            atomic_write(self.directory.log, self.progress.log.encode())
        self.heard = self.devices.sum(self.word())
        self.saved = self.evaluated = self.now

    def _saved(self) -> tuple[dict[str, Any] | None, dict[str, np.ndarray] | None]:
        """The saved progress and arrays, which the chief reads; nothing at first."""
        if self.devices.is_chief and has_state(self.directory.state):
            return read_state(self.directory.state)
        return None, None

    def make_step(self, callbacks: keras.callbacks.CallbackList) -> None:
        """Train on the next batch."""
        progress = self.progress
        rate = learning_rate(self.run.train, self.done())
        callbacks.on_train_batch_begin(progress.step)
        begun = time.monotonic()
        batch = self._batch()
        loss = self.learner.step(progress.step, batch, rate)
        if isinstance(self.learner, Replicas):
            self.heard = self.learner.heard
        self._check(loss, "loss", progress.step + 1)
        if self.compiled:  # the first step of a session compiles, so it is not timed
            progress.step_seconds += time.monotonic() - begun
            progress.step_targets += batch.targets.size * self.devices.workers
        self.compiled = True
        progress.step += 1
        progress.loss_sum += loss
        progress.loss_steps += 1
        callbacks.on_train_batch_end(progress.step, {"loss": loss})
        self.reporter.step(self.status())

    def _batch(self) -> Batch:
        """This worker's rows of the next batch."""
        rows = self.devices.rows(self.run.train.batch_size)
        return self.batches.batch(self.progress.step, rows[0].start, rows[-1].stop)

    def _check(self, loss: float, name: str, step: int) -> None:
        """See that a loss is a number."""
        if math.isfinite(loss):
            return
        kept = ""
        if self.progress.evaluations:
            kept = f"The last good model stays in {self.directory.path}. "
        raise TextgenError(
            f"The {name} became {loss} at step {step:,}. {kept}"
            f"Begin anew with a --learning-rate below {self.run.train.learning_rate:g}."
        )

    def status(self) -> Status:
        """What there is to tell of the run now."""
        progress = self.progress
        return Status(
            done=self.done(),
            passes=progress.step / self.batches.steps_per_epoch,
            epochs=self.run.train.epochs,
            loss=progress.loss_sum / max(1, progress.loss_steps),
            chars_per_second=progress.chars_per_second,
            spent=self.spent,
        )

    def evaluate(self, callbacks: keras.callbacks.CallbackList) -> None:
        """Measure the hold-out loss, keep the model if it is the best, save."""
        progress = self.progress
        begun = self.now
        self.save()  # so that measuring, which may take minutes, can be stopped at once
        with self.stop.nothing_at_stake() if self.devices.alone else nullcontext():
            val_loss = self.learner.evaluate(self.holdout)
        self._check(val_loss, "hold-out loss", progress.step)
        progress.val_loss = val_loss
        progress.train_loss = progress.loss_sum / progress.loss_steps
        progress.loss_sum, progress.loss_steps = 0.0, 0
        progress.evaluations += 1
        if progress.best is None or progress.val_loss < progress.best:
            progress.best, progress.waited = progress.val_loss, 0
            progress.best_train_loss = progress.train_loss
        else:
            progress.waited += 1
        if self.devices.is_chief:
            self._keep_model()
        callbacks.on_epoch_end(progress.evaluations, self._log_row())
        if self.devices.is_chief:
            progress.log = self.directory.log.read_text()
        self.reporter.evaluated(self.status(), progress.val_loss, progress.waited == 0)
        self.save()
        self.heard = self.devices.sum(self.word())
        self.evaluation_seconds = self.now - begun
        self.evaluated = self.now

    def _keep_model(self) -> None:
        """Write the model if it is the best, and what it generates now."""
        model = self.kept_model()
        if self.progress.waited == 0:
            write_model(self.directory.model, model, self.template)
        self._keep_sample(model)

    @cached_property
    def template(self) -> KerasArchive:
        """Keras's archive of the model, made before the first model is kept."""
        return keras_archive(self.run.model, len(self.run.vocabulary))

    def _keep_sample(self, model: Model) -> None:
        """Write what the model generates now, by its sampling defaults."""
        path = self.directory.samples / f"epoch-{self.progress.evaluations:04}.txt"
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, sample_text(model, self.run.train.seed).encode())

    def _log_row(self) -> dict[str, float | None]:
        """The columns of log.csv beside the number of the evaluation."""
        progress = self.progress
        return {
            "passes": progress.step / self.batches.steps_per_epoch,
            "step": progress.step,
            "seconds": round(self.spent, 2),
            "train_loss": progress.train_loss,
            "val_loss": progress.val_loss,
            "learning_rate": learning_rate(self.run.train, self.done()),
            "chars_per_second": round(progress.chars_per_second, 1),
        }

    def kept_model(self) -> Model:
        """The weights to keep, with all that a model file says."""
        progress = self.progress
        shapes = self.run.model.weight_shapes(len(self.run.vocabulary))
        weights = dict(zip(shapes, self.learner.weights(), strict=True))
        model = self.run.new_model(self.text)
        trained = {
            "train_loss": progress.train_loss,
            "val_loss": progress.val_loss,
            "evaluation": progress.evaluations,
            "passes": progress.step / self.batches.steps_per_epoch,
            "step": progress.step,
            "seconds": round(self.spent, 2),
        }
        return replace(model, weights=weights, provenance=model.provenance | trained)

    def save(self) -> None:
        """Save the state, from which `resume` continues exactly."""
        self.progress.seconds = self.spent
        with self.stop.saving:
            arrays = self.learner.arrays()
            if self.devices.is_chief:
                write_state(self.directory.state, asdict(self.progress), arrays)
        self.devices.wait()
        self.saved = self.now

    def _tell_of_the_end(self) -> None:
        """Say how to continue from the last state, where none of now can be waited for."""
        minutes = (self.now - self.saved) / 60
        lost = f" The last {minutes:.1f} minutes are done again." if minutes > 0.1 else ""
        name = shlex.quote(self.directory.name)
        self.reporter.note(f"Stopped.{lost} Continue: textgen train --resume --name {name}")
        self.reporter.close()


def tensorboard_callback(directory: RunDirectory) -> keras.callbacks.Callback:
    """Keras's TensorBoard callback, writing below the run directory."""
    return keras.callbacks.TensorBoard(directory.path / "tensorboard", write_graph=False)


def sample_text(model: Model, seed: int) -> str:
    """What the model generates by its sampling defaults; a heading for each of several."""
    network = Network(model.config, model.weights)
    prompt = model.vocabulary.encode(model.default_prompt)
    samples = [Sample(0, temperature) for temperature in model.sampling.temperatures]
    settings = Settings(model.vocabulary.characters, model.sampling.length, seed)
    texts = whole_texts(network, prompt, samples, settings)
    if len(texts) == 1:
        return texts[0] + "\n"
    return "\n".join(
        f"--- temperature {sample.temperature:g} ---\n{text}\n"
        for sample, text in zip(samples, texts, strict=True)
    )
