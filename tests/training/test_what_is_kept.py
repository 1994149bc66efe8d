"""What a run keeps when files of it are missing, and when it is stopped at a bad moment."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pytest
from support.killing import contents
from support.training import train

from textgen.errors import TextgenError
from textgen.messages import notes_to
from textgen.storage.model_file import load_model, write_model
from textgen.storage.provenance import Provenance
from textgen.storage.run import read_run, write_run
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import previous_path, read_state, write_state
from textgen.training.callbacks import MOST_LOG, Log
from textgen.training.model import keras_archive
from textgen.training.progress import MAX_LOG, Progress
from textgen.training.session import Trained

TINY: dict[str, Any] = {"units": (9,), "seq_length": 16, "batch_size": 8, "epochs": 3}


class StopIn(keras.callbacks.Callback):
    """Ends training as Ctrl-C does in a program, when the second hold-out is measured."""

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        if logs is not None and self.model.optimizer.iterations > 30:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, story: str) -> Trained:
    """A run that came to its end, made once."""
    return train(tmp_path_factory.mktemp("finished") / "runs", "x", story[:4000], **TINY)


@pytest.fixture
def run(finished: Trained, tmp_path: Path) -> RunDirectory:
    """A copy of it."""
    return RunDirectory(shutil.copytree(finished.directory.path, tmp_path / "x"))


def forget_state(run: RunDirectory) -> None:
    """Delete all that resuming needs."""
    run.state.unlink()
    previous_path(run.state).unlink()


def test_a_run_stopped_while_measuring_ends_like_one_that_was_not(
    tmp_path: Path, finished: Trained, story: str
) -> None:
    """Its log too: the learning rate of a row is that of the step before it."""
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "runs", "broken", story[:4000], StopIn(), **TINY)
    broken = train(tmp_path / "runs", "broken", None).directory
    assert contents(broken) == contents(finished.directory)


def test_a_run_without_its_state_is_not_begun_again(tmp_path: Path, run: RunDirectory) -> None:
    forget_state(run)
    before = run.model.read_bytes(), run.log.read_bytes()
    with pytest.raises(TextgenError, match="its state is missing"):
        train(tmp_path, "x", None, epochs=5)
    assert (run.model.read_bytes(), run.log.read_bytes()) == before


def test_a_text_that_was_mostly_never_written_is_refused_at_once(
    tmp_path: Path, run: RunDirectory
) -> None:
    """To read all of it would take minutes."""
    write_run(run.settings, replace(read_run(run.settings), characters=1 << 40, parts=()))
    os.truncate(run.text, 1 << 40)
    with pytest.raises(TextgenError, match=r"text\.ids is not the text"):
        train(tmp_path, "x", None)


def test_a_run_that_was_stopped_before_its_first_state_begins_again(
    tmp_path: Path, run: RunDirectory
) -> None:
    forget_state(run)
    run.model.unlink()
    run.log.write_text("")
    assert train(tmp_path, "x", None).progress.evaluations == 3


def test_a_model_is_never_replaced_by_a_worse_one(tmp_path: Path, run: RunDirectory) -> None:
    model = load_model(run.model)
    better = replace(model, provenance=model.provenance | {"val_loss": 0.5})
    write_model(run.model, better, keras_archive(model.config, len(model.vocabulary)))
    before = run.model.read_bytes()
    assert train(tmp_path, "x", None, epochs=6).progress.evaluations == 6
    assert run.model.read_bytes() == before


def test_the_model_of_a_finished_run_is_written_again(tmp_path: Path, run: RunDirectory) -> None:
    before = load_model(run.model)
    run.model.unlink()
    notes: list[str] = []
    with notes_to(notes.append):
        train(tmp_path, "x", None)
    assert any("No good model.keras was there" in note for note in notes)
    again = load_model(run.model)
    assert all((again.weights[name] == array).all() for name, array in before.weights.items())
    assert again.provenance["val_loss"] == before.provenance["val_loss"]


def test_the_losses_of_a_run_whose_best_model_was_lost_are_those_of_its_model(
    tmp_path: Path, run: RunDirectory, finished: Trained
) -> None:
    """The last one takes its place, now and when the run is opened once more."""
    meta, arrays = read_state(run.state)
    write_state(run.state, meta | {"best": 0.5, "best_train_loss": 0.4, "waited": 1}, arrays)
    run.model.unlink()
    for _ in range(2):
        progress = train(tmp_path, "x", None).progress
        provenance = Provenance.read(load_model(run.model).provenance)
        assert progress.best == provenance.val_loss == finished.progress.val_loss
        assert progress.best_train_loss == provenance.train_loss == finished.progress.train_loss


def test_a_log_of_very_many_evaluations_is_thinned(tmp_path: Path) -> None:
    """So that a state with it can be read again."""
    row = "1,1.0,40,2.5,3.1,3.0,0.005,21000.0\n"
    progress = Progress(log="heading\n" + row * (MOST_LOG // len(row)))
    log = Log(tmp_path / "log.csv", progress, lambda: {"passes": 2.0})
    log.on_epoch_end(7)
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert (lines[0], lines[-1]) == ("heading", "8,2.0")
    assert MOST_LOG / 3 < len(progress.log) < MOST_LOG < MAX_LOG
