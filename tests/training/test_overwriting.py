"""`train --overwrite`: the old run goes when the new one has its first model."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pytest
from support.commands import Command
from support.training import request, train

from textgen.errors import TextgenError
from textgen.storage.model_file import load_model
from textgen.storage.run_folder import RunDirectory
from textgen.training.request import Request
from textgen.training.session import train as train_run

TINY: dict[str, Any] = {"units": (9,), "seq_length": 16, "batch_size": 8, "epochs": 2}


class AtFirstStep(keras.callbacks.Callback):
    """Does something before there is a model."""

    def __init__(self, action: Callable[[], object]):
        super().__init__()
        self.action = action

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if batch == 0:
            self.action()


def fail(error: BaseException) -> Callable[[], object]:
    """An action that raises."""

    def action() -> None:
        raise error

    return action


@pytest.fixture(scope="module")
def nine(tmp_path_factory: pytest.TempPathFactory, story: str) -> Path:
    """A run with a network of 9 units, made once."""
    return train(tmp_path_factory.mktemp("nine") / "runs", "x", story[:4000], **TINY).directory.path


@pytest.fixture
def old(nine: Path, tmp_path: Path) -> RunDirectory:
    """A copy of it."""
    return RunDirectory(shutil.copytree(nine, tmp_path / "x"))


def overwriting(tmp_path: Path, story: str, **given: Any) -> Request:
    """The request to replace it by one of 5 units."""
    return replace(
        request(tmp_path, "x", story[:4000], **TINY | {"units": (5,)} | given), overwrite=True
    )


def units(path: Path) -> tuple[int, ...]:
    """Of a model file."""
    return load_model(path).config.units


def test_the_old_run_is_there_until_the_new_one_has_a_model(
    old: RunDirectory, tmp_path: Path, story: str
) -> None:
    seen: list[tuple[int, ...]] = []
    look = AtFirstStep(lambda: seen.append(units(old.replaced / "model.keras")))
    train_run(overwriting(tmp_path, story), callbacks=[look])
    assert seen == [(9,)]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert units(old.model) == (5,)


def test_a_new_run_that_fails_before_it_has_a_model_gives_the_name_back(
    old: RunDirectory, tmp_path: Path, story: str
) -> None:
    before = old.model.read_bytes()
    with pytest.raises(TextgenError, match="as asked"):
        train_run(
            overwriting(tmp_path, story), callbacks=[AtFirstStep(fail(TextgenError("as asked")))]
        )
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert old.model.read_bytes() == before


def test_a_new_run_that_is_stopped_can_be_continued(
    old: RunDirectory, tmp_path: Path, story: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_run(overwriting(tmp_path, story), callbacks=[AtFirstStep(fail(KeyboardInterrupt()))])
    assert units(old.replaced / "model.keras") == (9,)
    train(tmp_path, "x", None)
    assert units(old.model) == (5,)
    assert not old.replaced.exists()


def test_a_folder_that_is_no_run_is_not_removed(tmp_path: Path, invoke: Command) -> None:
    thesis = tmp_path / "checkpoints/thesis/chapter.tex"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    done = invoke("train", "--name", "thesis", "--overwrite")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"thesis is no run" in done.stderr
    assert thesis.read_text() == "years of work"


def test_overwriting_needs_a_name(invoke: Command, tmp_path: Path) -> None:
    done = invoke("train", "--overwrite")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"--name" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_newest_run_is_found_beside_a_dangling_link(
    old: RunDirectory, tmp_path: Path, story: str
) -> None:
    """A temporary that is gone by now looks like that, too."""
    (old.path / "link").symlink_to("nowhere")
    with pytest.raises(TextgenError, match="not a plain file"):
        train_run(Request(resume=True, root=tmp_path))
