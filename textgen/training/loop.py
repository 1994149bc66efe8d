"""The training loop: step, evaluate, stop.

One explicit loop drives a compiled step and Keras's `CallbackList` (docs/design.md, decision 4).
Whatever decides about weights depends on the step only, so a run that was killed and resumed
equals one that was not; a run with `--minutes` is the exception.
"""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from textgen.errors import TextgenError
from textgen.messages import note, quoted, shown
from textgen.storage.atomic import not_written
from textgen.storage.run import Run
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import has_state, read_state
from textgen.text.batches import Batch
from textgen.training.agreement import Agreement
from textgen.training.batching import batches_of, holdout_of
from textgen.training.callbacks import SAVE_SECONDS, KeepBest, KeepSamples, Log, SaveState
from textgen.training.clock import Clock
from textgen.training.distributed.devices import Devices
from textgen.training.distributed.replicas import Replicas
from textgen.training.learner import Learner, memory_errors_explained
from textgen.training.pace import Pace
from textgen.training.progress import Progress, completed
from textgen.training.rate import Rate
from textgen.training.reporter import Reporter
from textgen.training.standing import Standing
from textgen.training.stopping import Interrupted, Stopping


class Training:
    """One run in training.

    Args:
        directory: of the run; its text.ids is there.
        run: what is trained and how.
        ids: the ids of the whole text (characters,).
        started: `time.monotonic()` at the start of the command.
        reporter: is shown every step and evaluation.
        callbacks: Keras callbacks, called as `model.fit` calls them; an epoch is an evaluation.
        devices: where it trains; one device if None.
        stop: how it is asked to stop.
        pace: what was measured for the plan.
        save_seconds: between two saved states at most.
    """

    @memory_errors_explained()
    def __init__(
        self,
        directory: RunDirectory,
        run: Run,
        ids: np.ndarray,
        started: float,
        reporter: Reporter | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        devices: Devices | None = None,
        stop: Stopping | None = None,
        pace: Pace | None = None,
        save_seconds: float = SAVE_SECONDS,
    ):
        self.directory, self.run = directory, run
        self.devices, self.reporter = devices or Devices(), reporter or Reporter()
        self.stop, self.pace = stop or Stopping(), pace or Pace()
        self.text, self.holdout = ids[: run.train_characters], holdout_of(run, ids)
        self.batches = batches_of(run, self.text)
        self.progress, arrays = saved_state(directory.state, self.devices)
        self.progress.resume(run.train.minutes)
        self.clock = Clock(
            run.train,
            self.batches.steps_per_pass,
            started,
            self.progress.seconds,
            self.progress.stage_seconds,
        )
        self.agreement = Agreement(self.devices, self.clock, self.progress, self.stop)
        self.learner = learner_of(run, self.devices, self.agreement, arrays, self.pace)
        self.rate = Rate(run.train, self.progress, self.learner.model.optimizer)
        self.standing = Standing(
            run, self.text, self.batches, self.learner, self.progress, self.clock, self.rate
        )
        self.state = SaveState(
            directory.state,
            self.progress,
            self.learner,
            self.devices,
            self.clock,
            self.rate,
            self.stop,
            save_seconds,
        )
        self.callbacks = keras.callbacks.CallbackList(
            self._ordered(callbacks), model=self.learner.model
        )
        self.compiled = False

    @memory_errors_explained()
    def train(self) -> Progress:
        """Train until the run is over.

        Raises:
            TextgenError: the loss is not finite, or a file cannot be written.
            Interrupted: it was asked to stop, and the state is saved.
        """
        try:
            with self.stop.deferred(not self.devices.alone):
                self._train()
        except OSError as error:  # of a callback: what textgen writes is a TextgenError
            raise not_written(error.filename or self.directory.path, error) from error
        return self.progress

    def _train(self) -> None:
        self._begin()
        while True:
            if self._evaluation_due():
                self._evaluate()
            if self._over():
                break
            self._step()
            if self.agreement.stop_signal is not None:
                self.state.save()
                raise Interrupted(self.agreement.stop_signal)
        self.callbacks.on_train_end()

    def _over(self) -> bool:
        """Whether training is at its end; never before its first step."""
        progress, patience = self.progress, self.run.train.patience
        return (
            (progress.step > 0 and self.clock.done(progress.step) >= 1)
            or (patience is not None and progress.waited >= patience)
            or self.agreement.ended_by_callback
        )

    def _evaluation_due(self) -> bool:
        """Whether the hold-out is to be measured before another step."""
        progress = self.progress
        # Workers decide alike, so none of them goes by its own speed.
        expected = self.standing.evaluation_seconds(self.holdout) if self.devices.alone else 0.0
        due = self.clock.evaluation_due(progress.step, progress.evaluations, expected)
        return progress.loss_steps > 0 and (due or self._over())

    def _begin(self) -> None:
        """Take up the state of the directory, if it has one, and call the callbacks."""
        self.agreement.meet()
        self.clock.start()
        if self._over() and not self._evaluation_due():
            name = quoted(self.directory.name)
            note(
                f"The run is finished after {self.progress.step:,} steps. Train it ten minutes "
                f"more: textgen train --resume --name {name} --minutes 10"
            )
        self._give_rate(max(0, self.progress.step - 1))  # as if it had not been stopped
        self.learner.model.stop_training = False
        self.callbacks.on_train_begin()
        self.callbacks.on_epoch_begin(self.progress.evaluations)

    def _step(self) -> None:
        """Train on the next batch."""
        progress = self.progress
        self.callbacks.on_train_batch_begin(progress.step)
        begun = time.monotonic()
        rate = self._give_rate(progress.step)
        batch = self._batch()
        loss = self.learner.step(progress.step, batch, rate)
        if isinstance(self.learner, Replicas):
            self.agreement.count(self.learner.tally)
        check_loss(loss, "loss", progress.step + 1, self.run, self._kept())
        if self.compiled:  # the first step of a session compiles, so it is not timed
            progress.step_seconds += time.monotonic() - begun
            progress.step_targets += batch.targets.size * self.devices.workers
        self.compiled = True
        progress.stepped(loss)
        self.callbacks.on_train_batch_end(progress.step - 1, {"loss": loss})
        self._heed_callbacks()
        self.reporter.step(self.standing.status())

    def _batch(self) -> Batch:
        """This worker's rows of the next batch."""
        rows = self.devices.rows(self.run.train.batch_size)
        return self.batches.batch(self.progress.step, rows[0].start, rows[-1].stop)

    def _evaluate(self) -> None:
        """Measure the hold-out loss; the callbacks keep what is to be kept."""
        begun = self.clock.now
        self.callbacks.on_test_begin()
        if self.devices.alone:
            with self.stop.at_once():
                val_loss = self.learner.evaluate(self.holdout)
        else:
            val_loss = self.learner.evaluate(self.holdout)
        check_loss(val_loss, "hold-out loss", self.progress.step, self.run, self._kept())
        self.progress.evaluated(val_loss)
        self.callbacks.on_test_end({"loss": val_loss})
        logs = {"loss": self.progress.train_loss} | self.standing.figures()
        self.callbacks.on_epoch_end(self.progress.evaluations - 1, logs)
        self._heed_callbacks()
        self.reporter.evaluated(self.standing.status(), val_loss, self.progress.is_best)
        if change := self.pace.changed(self.standing.expected_passes()):
            note(change)
        self.agreement.meet()
        self.clock.evaluated(begun)
        if not self._over():
            self.callbacks.on_epoch_begin(self.progress.evaluations)

    def _kept(self) -> Path | None:
        """Where the last good model is, if there is one."""
        return self.directory.path if self.progress.evaluations else None

    def _give_rate(self, step: int) -> float:
        """Give the optimizer the learning rate of a step."""
        return self.rate.give(self.clock.done(step), self.agreement.rate_factor)

    def _heed_callbacks(self) -> None:
        """Note what callbacks did to the learning rate, and whether they end training."""
        self.rate.heed_callbacks()
        self.agreement.stop_training = bool(self.learner.model.stop_training)

    def _ordered(
        self, callbacks: Sequence[keras.callbacks.Callback]
    ) -> list[keras.callbacks.Callback]:
        """All callbacks in their order; the chief writes for all."""
        progress, directory = self.progress, self.directory
        if not self.devices.is_chief:
            return [*callbacks, self.state]
        return [
            KeepBest(directory.model, progress, self.standing.model),
            KeepSamples(directory.samples, self.run.train.seed, self.standing.model, self.reporter),
            *callbacks,
            Log(directory.log, progress, self.standing.figures),
            self.state,
        ]


def check_loss(loss: float, name: str, step: int, run: Run, kept: Path | None) -> None:
    """Refuse a loss that is not a number, after `step` steps; a good model may be `kept`."""
    if not math.isfinite(loss):
        stays = "" if kept is None else f"The last good model stays in {shown(kept)}. "
        raise TextgenError(
            f"The {name} became {loss} at step {step:,}. {stays}"
            f"Train again with a --learning-rate below {run.train.learning_rate:g}."
        )


def learner_of(
    run: Run,
    devices: Devices,
    agreement: Agreement,
    arrays: dict[str, np.ndarray] | None,
    pace: Pace,
) -> Learner | Replicas:
    """What learns: from the beginning, or from what the saved arrays hold."""
    model, train, vocabulary_size = run.model, run.train, len(run.vocabulary)
    if devices.strategy is not None:
        replicas = Replicas(model, train, vocabulary_size, devices, agreement.ballot)
        replicas.begin(arrays)
        return replicas
    learner = pace.learner(model, train, vocabulary_size)
    learner = learner or Learner(model, train, vocabulary_size)
    if arrays is not None:
        learner.restore(completed(arrays, learner.arrays()))
    return learner


def saved_state(path: Path, devices: Devices) -> tuple[Progress, dict[str, np.ndarray] | None]:
    """The saved progress, on all workers, and arrays, on the chief; at first a new one and None.

    Args:
        path: of the state.
        devices: where the run trains; the chief reads.
    """

    def read() -> tuple[dict[str, Any] | None, dict[str, np.ndarray] | None]:
        if devices.is_chief and has_state(path):
            return read_state(path)
        return None, None

    values, arrays = devices.together(read)
    if not devices.alone:
        values = json.loads(devices.bytes_of(0, json.dumps(values).encode()))
    return Progress() if values is None else Progress.read(values), arrays
