"""The training loop: exact resume, early stopping, callbacks, what is kept."""

import csv
import itertools
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from support.training import Interrupt, train

from textgen.config import TrainConfig
from textgen.storage.model_file import load_model
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import read_state
from textgen.text.encoding import open_ids
from textgen.training.rate import learning_rate
from textgen.training.stopping import Interrupted

TINY = {"units": (9, 7), "seq_length": 16, "batch_size": 8, "epochs": 2, "dropout": 0.3}


def log_of(run: RunDirectory) -> list[dict[str, str]]:
    """The rows of log.csv."""
    return list(csv.DictReader(run.log.read_text().splitlines()))


def losses(run: RunDirectory) -> list[tuple[str, str, str]]:
    """What log.csv holds, without times."""
    return [(row["evaluation"], row["train_loss"], row["val_loss"]) for row in log_of(run)]


def state_bytes(run: RunDirectory) -> dict[str, bytes]:
    """Every array of the saved state."""
    return {name: array.tobytes() for name, array in read_state(run.state)[1].items()}


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
    """Stopped in mid-epoch, a run ends with the bytes of one that never stopped."""
    options = TINY | {"cell": cell, "targets": targets, "step": 3, "precision": precision}
    options |= {"input_dropout": 0.1, "weight_dropout": 0.2}
    text = story[:4000]
    whole = train(tmp_path, "whole", text, **options).progress
    with pytest.raises(Interrupted):
        train(tmp_path, "broken", text, Interrupt(7), **options)
    broken = train(tmp_path, "broken", None).progress

    one, other = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "broken")
    assert state_bytes(one) == state_bytes(other)
    assert (whole.step, whole.best, whole.val_loss) == (broken.step, broken.best, broken.val_loss)
    assert load_model(one.model).provenance["val_loss"] == whole.best
    assert [path.read_bytes() for path in sorted(one.samples.iterdir())] == [
        path.read_bytes() for path in sorted(other.samples.iterdir())
    ]
    assert losses(one) == losses(other)


def test_resume_is_exact_with_adamw(tmp_path: Path, story: str) -> None:
    options = TINY | {"optimizer": "adamw"}
    train(tmp_path, "whole", story[:4000], **options)
    with pytest.raises(Interrupted):
        train(tmp_path, "broken", story[:4000], Interrupt(11), **options)
    train(tmp_path, "broken", None)
    paths = [RunDirectory(tmp_path / name) for name in ("whole", "broken")]
    assert state_bytes(paths[0]) == state_bytes(paths[1])
    one, other = (load_model(path.model).weights for path in paths)
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_patience_stops_and_keeps_the_best(tmp_path: Path, story: str) -> None:
    """On a short text a network soon learns by heart, and the hold-out loss turns up."""
    options = TINY | {"units": (64,), "dropout": 0.0, "learning_rate": 0.03, "epochs": 200}
    progress = train(tmp_path, "x", story[:3000], **options, patience=3).progress
    assert progress.waited == 3
    assert progress.evaluations < 200
    assert progress.best and progress.val_loss and progress.best < progress.val_loss
    assert load_model(tmp_path / "x/model.keras").provenance["val_loss"] == progress.best


def test_a_finished_run_can_be_given_more_epochs(tmp_path: Path, story: str) -> None:
    first = train(tmp_path, "x", story[:4000], **TINY).progress
    more = train(tmp_path, "x", None, epochs=3).progress
    assert more.step == first.step * 3 // 2


def test_settings_that_were_dropped_are_ignored(tmp_path: Path, story: str) -> None:
    """Textgen 0.1.0 wrote them, though no option changed them."""
    first = train(tmp_path, "x", story[:4000], **TINY).progress
    path = tmp_path / "x/run.json"
    settings = json.loads(path.read_text())
    settings["train"] |= {"weight_decay": 0.0, "averaging": 0.0}
    path.write_text(json.dumps(settings))
    more = train(tmp_path, "x", None, epochs=3).progress
    assert more.step == first.step * 3 // 2


def test_learning_rate_rises_and_falls() -> None:
    cosine = TrainConfig(learning_rate=1.0, schedule="cosine")
    rates = [learning_rate(cosine, done / 1000) for done in range(1001)]
    assert max(rates) == pytest.approx(1.0, abs=1e-3)
    assert rates[0] == rates[-1] == pytest.approx(0.01)
    assert rates.index(max(rates)) == 20
    constant = TrainConfig(learning_rate=0.5, schedule="constant")
    assert learning_rate(constant, 0.3) == 0.5


def test_the_loss_of_training_is_that_of_the_saved_model(tmp_path: Path, story: str) -> None:
    """What training reports of the hold-out is what NumPy measures on the model file."""
    from textgen.analysis.scoring import holdout_bits
    from textgen.generation.network import Network

    for targets in ("every", "last"):
        options = TINY | {"targets": targets}
        progress = train(tmp_path, targets, story[:8000], **options).progress
        model = load_model(tmp_path / targets / "model.keras")
        ids = open_ids(tmp_path / targets / "text.ids", len(model.vocabulary))
        holdout = ids[model.provenance["train_characters"] :]
        bits = holdout_bits(Network(model.config, model.weights), holdout)
        assert np.nanmean(bits) * np.log(2) == pytest.approx(progress.best, abs=1e-5)


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


def test_a_callback_of_the_users_own_is_heeded(tmp_path: Path, story: str) -> None:
    own = LessEachTime(3)
    progress = train(tmp_path, "x", story[:4000], own, **TINY | {"epochs": 50}).progress
    assert own.began == own.ended == [0, 1, 2]
    assert progress.evaluations == 3
    assert progress.rate_factor == pytest.approx(1 / 8)
    resumed = train(tmp_path, "x", None, LessEachTime(4)).progress
    assert resumed.evaluations == 4
    assert resumed.rate_factor == pytest.approx(1 / 16)


def test_the_learning_rate_of_a_callback_is_a_factor_on_the_schedule(
    tmp_path: Path, story: str
) -> None:
    for name, callbacks in (("plain", []), ("less", [LessEachTime(99)])):
        train(tmp_path, name, story[:4000], *callbacks, **TINY | {"epochs": 4})
    plain, less = (log_of(RunDirectory(tmp_path / name)) for name in ("plain", "less"))
    for number, (one, other) in enumerate(zip(plain, less, strict=True)):
        expected = float(one["learning_rate"]) / 2 ** (number + 1)
        assert float(other["learning_rate"]) == pytest.approx(expected, rel=1e-4)


def test_early_stopping_of_keras(tmp_path: Path, story: str) -> None:
    stopping = keras.callbacks.EarlyStopping(min_delta=100.0, patience=2, restore_best_weights=True)
    progress = train(tmp_path, "x", story[:4000], stopping, **TINY | {"epochs": 50}).progress
    assert progress.evaluations == 3


def test_reduce_on_plateau_of_keras(tmp_path: Path, story: str) -> None:
    reducing = keras.callbacks.ReduceLROnPlateau(factor=0.1, patience=1, min_delta=100.0)
    progress = train(tmp_path, "x", story[:4000], reducing, **TINY | {"epochs": 3}).progress
    assert progress.rate_factor == pytest.approx(0.01, rel=1e-3)


def test_tensorboard_of_keras(tmp_path: Path, story: str) -> None:
    board = keras.callbacks.TensorBoard(tmp_path / "board")
    train(tmp_path, "x", story[:4000], board, **TINY)
    events = list((tmp_path / "board").rglob("events.out.tfevents.*"))
    assert any(b"epoch_loss" in path.read_bytes() for path in events)
