"""The training loop: exact resume, early stopping, callbacks, what is kept."""

import csv
import itertools
import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from support.training import Interrupt, train

from textgen.analysis.scoring import holdout_bits
from textgen.config import TrainConfig
from textgen.generation.network import Network
from textgen.storage.model_file import load_model
from textgen.storage.run import read_run
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import read_state
from textgen.text.encoding import open_ids
from textgen.training.rate import learning_rate
from textgen.training.stopping import Interrupted

TINY: dict[str, Any] = {"units": (9,), "seq_length": 16, "batch_size": 8, "epochs": 2}


def log_of(run: RunDirectory) -> list[dict[str, str]]:
    """The rows of log.csv."""
    return list(csv.DictReader(run.log.read_text().splitlines()))


def losses(run: RunDirectory) -> list[tuple[str, str, str]]:
    """What log.csv holds, without times."""
    return [(row["evaluation"], row["train_loss"], row["val_loss"]) for row in log_of(run)]


def state_bytes(run: RunDirectory) -> dict[str, bytes]:
    """Every array of the saved state."""
    return {name: array.tobytes() for name, array in read_state(run.state)[1].items()}


def weight_bytes(run: RunDirectory) -> dict[str, bytes]:
    """Every array of the best model."""
    return {name: array.tobytes() for name, array in load_model(run.model).weights.items()}


class CopyAfter(keras.callbacks.Callback):
    """Copies the run, with what a session of so many steps has saved, to another one."""

    def __init__(self, steps: int, run: Path, copy: Path):
        super().__init__()
        self.steps, self.run, self.copy = steps, run, copy

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if batch == self.steps:
            shutil.copytree(self.run, self.copy)


def check_equal(one: RunDirectory, other: RunDirectory) -> None:
    """Two runs have the same state, model, log and samples."""
    assert state_bytes(one) == state_bytes(other)
    assert weight_bytes(one) == weight_bytes(other)
    assert losses(one) == losses(other)
    assert [path.read_bytes() for path in sorted(one.samples.iterdir())] == [
        path.read_bytes() for path in sorted(other.samples.iterdir())
    ]


@pytest.mark.parametrize(
    ("cell", "targets", "precision"),
    [
        *itertools.product(["lstm", "gru", "rnn"], ["every", "last"], ["float32"]),
        ("lstm", "every", "mixed_bfloat16"),
    ],
)
def test_resume_is_exact(
    tmp_path: Path, story: str, cell: str, targets: str, precision: str
) -> None:
    """From a state in the middle of a pass, a run ends with the bytes of the whole one.

    The hold-out loss of both is what NumPy measures on the model file.
    """
    units = (9, 7) if targets == "every" else (9,)  # of two layers both states are carried
    options = TINY | {"cell": cell, "units": units, "targets": targets, "step": 9}
    options |= {"precision": precision}
    options |= {"dropout": 0.3, "input_dropout": 0.1, "weight_dropout": 0.2}
    one, other = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "resumed")
    copying = CopyAfter(7, one.path, other.path)
    whole = train(tmp_path, "whole", story[:3000], copying, save_seconds=0, **options).progress
    assert read_state(other.state)[0]["step"] == 7
    resumed = train(tmp_path, "resumed", None).progress

    check_equal(one, other)
    assert (whole.step, whole.best, whole.val_loss) == (
        resumed.step,
        resumed.best,
        resumed.val_loss,
    )
    model = load_model(one.model)
    assert model.provenance["val_loss"] == whole.best
    holdout = open_ids(one.text, len(model.vocabulary))[model.provenance["train_characters"] :]
    bits = holdout_bits(Network(model.config, model.weights), holdout)
    assert np.nanmean(bits) * np.log(2) == pytest.approx(whole.best, abs=1e-5)


def test_an_interrupted_run_is_resumed_exactly(tmp_path: Path, story: str) -> None:
    """By a real signal; with an optimizer that decays the weights."""
    options = TINY | {"optimizer": "adamw"}
    train(tmp_path, "whole", story[:3000], **options)
    with pytest.raises(Interrupted):
        train(tmp_path, "broken", story[:3000], Interrupt(11), **options)
    train(tmp_path, "broken", None)
    check_equal(*(RunDirectory(tmp_path / name) for name in ("whole", "broken")))


def test_patience_stops_and_keeps_the_best(tmp_path: Path, story: str) -> None:
    """On a short text a network soon learns by heart, and the hold-out loss turns up."""
    options = TINY | {"units": (64,), "learning_rate": 0.03, "epochs": 200}
    progress = train(tmp_path, "x", story[:3000], **options, patience=3).progress
    assert progress.waited == 3
    assert progress.evaluations < 200
    assert progress.best and progress.val_loss and progress.best < progress.val_loss
    assert load_model(tmp_path / "x/model.keras").provenance["val_loss"] == progress.best


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, story: str) -> RunDirectory:
    """A run that has made its passes."""
    root = tmp_path_factory.mktemp("finished")
    return train(root / "runs", "x", story[:3000], **TINY).directory


def test_a_finished_run_can_be_given_more_passes(tmp_path: Path, finished: RunDirectory) -> None:
    """Settings of textgen 0.1.0 that were dropped are ignored: no option changed them."""
    shutil.copytree(finished.path, tmp_path / "x")
    path = tmp_path / "x/run.json"
    settings = json.loads(path.read_text())
    settings["train"] |= {"weight_decay": 0.0, "averaging": 0.0}
    path.write_text(json.dumps(settings))
    more = train(tmp_path, "x", None, epochs=3).progress
    assert more.step == read_state(finished.state)[0]["step"] * 3 // 2


def test_learning_rate_rises_and_falls() -> None:
    cosine = TrainConfig(learning_rate=1.0, schedule="cosine")
    rates = [learning_rate(cosine, done / 1000) for done in range(1001)]
    assert max(rates) == pytest.approx(1.0, abs=1e-3)
    assert rates[0] == rates[-1] == pytest.approx(0.01)
    assert rates.index(max(rates)) == 20
    constant = TrainConfig(learning_rate=0.5, schedule="constant")
    assert learning_rate(constant, 0.3) == 0.5


def test_minutes_end_with_the_rate_decayed(
    tmp_path: Path, story: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that moves on whenever it is read: the machine may be busy."""
    readings = itertools.count(time.monotonic(), 0.005)
    clock = SimpleNamespace(monotonic=lambda: next(readings))
    monkeypatch.setattr("textgen.training.clock.time", clock)
    options = TINY | {"epochs": None, "minutes": 0.1, "learning_rate": 0.01}
    run = train(tmp_path, "x", story[:3000], **options).directory
    rates = [float(row["learning_rate"]) for row in log_of(run)]
    assert rates[-1] == pytest.approx(0.0001, rel=0.1)
    assert rates.index(max(rates)) < len(rates) / 2


# Callbacks: Keras's own, and a user's


class LessEachTime(keras.callbacks.Callback):
    """A user's callback: halves the learning rate at each evaluation, and ends training."""

    def __init__(self, evaluations: int):
        super().__init__()
        self.evaluations = evaluations
        self.began: list[int] = []
        self.ended: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.began.append(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.ended.append(epoch)
        optimizer = self.model.optimizer
        optimizer.learning_rate = float(optimizer.learning_rate) / 2
        self.model.stop_training = epoch + 1 == self.evaluations


def test_a_callback_of_the_users_own_changes_the_rate_and_ends_training(
    tmp_path: Path, story: str
) -> None:
    own = LessEachTime(3)
    progress = train(tmp_path, "x", story[:3000], own, **TINY | {"epochs": 50}).progress
    assert own.began == own.ended == [0, 1, 2]
    assert progress.evaluations == 3
    assert progress.rate_factor == pytest.approx(1 / 8)
    resumed = train(tmp_path, "x", None, LessEachTime(4)).progress
    assert resumed.evaluations == 4
    assert resumed.rate_factor == pytest.approx(1 / 16)


def test_the_learning_rate_of_a_callback_is_a_factor_on_the_schedule(
    tmp_path: Path, story: str, finished: RunDirectory
) -> None:
    less = train(tmp_path, "x", story[:3000], LessEachTime(99), **TINY).directory
    for number, (one, other) in enumerate(zip(log_of(finished), log_of(less), strict=True)):
        expected = float(one["learning_rate"]) / 2 ** (number + 1)
        assert float(other["learning_rate"]) == pytest.approx(expected, rel=1e-4)


def test_early_stopping_of_keras(tmp_path: Path, story: str) -> None:
    stopping = keras.callbacks.EarlyStopping(min_delta=100.0, patience=2, restore_best_weights=True)
    progress = train(tmp_path, "x", story[:3000], stopping, **TINY | {"epochs": 50}).progress
    assert progress.evaluations == 3


def test_reduce_on_plateau_of_keras(tmp_path: Path, story: str) -> None:
    reducing = keras.callbacks.ReduceLROnPlateau(factor=0.1, patience=1, min_delta=100.0)
    progress = train(tmp_path, "x", story[:3000], reducing, **TINY | {"epochs": 3}).progress
    assert progress.rate_factor == pytest.approx(0.01, rel=1e-3)


def test_tensorboard_of_keras(tmp_path: Path, story: str) -> None:
    board = keras.callbacks.TensorBoard(tmp_path / "board")
    train(tmp_path, "x", story[:3000], board, **TINY)
    events = list((tmp_path / "board").rglob("events.out.tfevents.*"))
    assert any(b"epoch_loss" in path.read_bytes() for path in events)


def test_a_finished_run_is_given_more_minutes(tmp_path: Path, finished: RunDirectory) -> None:
    """They come on top of those it had; its rate rises again."""
    shutil.copytree(finished.path, tmp_path / "x")
    before = read_state(finished.state)[0]
    assert before["finished"]
    rates: list[float] = []

    class Rates(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            rates.append(float(self.model.optimizer.learning_rate))

    more = train(tmp_path, "x", None, Rates(), minutes=0.05).progress
    assert more.step > before["step"]
    assert more.stage_seconds == before["seconds"]
    assert more.finished
    run = read_run(tmp_path / "x/run.json")
    assert run.train.minutes == pytest.approx(before["seconds"] / 60 + 0.05)
    assert max(rates) > run.train.learning_rate / 2


def test_the_minutes_of_an_unfinished_run_are_its_whole_time(tmp_path: Path, story: str) -> None:
    with pytest.raises(Interrupted):
        train(tmp_path, "x", story[:3000], Interrupt(2), units=(8,), minutes=5)
    before = read_state(tmp_path / "x/state")[0]
    assert not before["finished"]
    train(tmp_path, "x", None, minutes=(before["seconds"] + 2) / 60)
    after = read_state(tmp_path / "x/state")[0]
    assert after["stage_seconds"] == 0
    assert after["seconds"] < before["seconds"] + 60
