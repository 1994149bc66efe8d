"""The training loop: exact resume, early stopping, what is kept."""

import itertools
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from textgen.cli.bar import Reporter
from textgen.cli.signals import Stopped
from textgen.config import Cleaning, TrainConfig
from textgen.storage.model_file import load_model
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import read_state
from textgen.text.encoding import open_ids
from textgen.training.loop import Progress, Training, learning_rate
from textgen.training.new_run import Request, earlier_run, new_run

TINY = {"units": (9, 7), "seq_length": 16, "batch_size": 8, "epochs": 2, "dropout": 0.3}


class Interrupt(keras.callbacks.Callback):
    """A real SIGINT after so many steps of this session."""

    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.steps -= 1
        if self.steps == 0:
            os.kill(os.getpid(), signal.SIGINT)


def request(name: str, **given: Any) -> Request:
    return Request(("test",), "test", name, False, None, Cleaning(), given)


def train(root: Path, name: str, text: str | None, interrupt: int = 0, **given: Any) -> Progress:
    """Train the run `name` under `root`: a new one on `text`, or the earlier one."""
    asked = request(name, **given)
    opened = new_run(asked, [text], root) if text else earlier_run(asked, None, root)
    with opened as (directory, run, *_):
        ids = open_ids(directory.text, len(run.vocabulary))
        callbacks = [Interrupt(interrupt)] if interrupt else []
        training = Training(directory, run, ids, time.monotonic(), Reporter(), callbacks)
        return training.train()


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
    whole = train(tmp_path, "whole", text, **options)
    with pytest.raises(Stopped):
        train(tmp_path, "broken", text, interrupt=7, **options)
    broken = train(tmp_path, "broken", None)

    one, other = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "broken")
    assert state_bytes(one) == state_bytes(other)
    assert (whole.step, whole.best, whole.val_loss) == (broken.step, broken.best, broken.val_loss)
    assert load_model(one.model).provenance["val_loss"] == whole.best
    assert [path.read_bytes() for path in sorted(one.samples.iterdir())] == [
        path.read_bytes() for path in sorted(other.samples.iterdir())
    ]
    columns = [line.split(",")[-3:] for line in one.log.read_text().splitlines()]
    assert columns == [line.split(",")[-3:] for line in other.log.read_text().splitlines()]


def test_resume_is_exact_with_adamw(tmp_path: Path, story: str) -> None:
    options = TINY | {"optimizer": "adamw"}
    train(tmp_path, "whole", story[:4000], **options)
    with pytest.raises(Stopped):
        train(tmp_path, "broken", story[:4000], interrupt=11, **options)
    train(tmp_path, "broken", None)
    paths = [RunDirectory(tmp_path / name) for name in ("whole", "broken")]
    assert state_bytes(paths[0]) == state_bytes(paths[1])
    one, other = (load_model(path.model).weights for path in paths)
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_patience_stops_and_keeps_the_best(tmp_path: Path, story: str) -> None:
    """On a short text a network soon learns by heart, and the hold-out loss turns up."""
    options = TINY | {"units": (64,), "dropout": 0.0, "learning_rate": 0.03, "epochs": 200}
    progress = train(tmp_path, "x", story[:3000], **options, patience=3)
    assert progress.waited == 3
    assert progress.evaluations < 200
    assert progress.best < progress.val_loss
    assert load_model(tmp_path / "x/model.keras").provenance["val_loss"] == progress.best


def test_a_finished_run_can_be_given_more_epochs(tmp_path: Path, story: str) -> None:
    first = train(tmp_path, "x", story[:4000], **TINY)
    more = train(tmp_path, "x", None, epochs=3)
    assert more.step == first.step * 3 // 2


def test_settings_that_were_dropped_are_ignored(tmp_path: Path, story: str) -> None:
    """Textgen 0.1.0 wrote them, though no option changed them."""
    first = train(tmp_path, "x", story[:4000], **TINY)
    path = tmp_path / "x/run.json"
    settings = json.loads(path.read_text())
    settings["train"] |= {"weight_decay": 0.0, "averaging": 0.0}
    path.write_text(json.dumps(settings))
    more = train(tmp_path, "x", None, epochs=3)
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
        progress = train(tmp_path, targets, story[:8000], **options)
        model = load_model(tmp_path / targets / "model.keras")
        ids = open_ids(tmp_path / targets / "text.ids", len(model.vocabulary))
        holdout = ids[model.provenance["train_characters"] :]
        bits = holdout_bits(Network(model.config, model.weights), holdout)
        assert np.nanmean(bits) * np.log(2) == pytest.approx(progress.best, abs=1e-5)
