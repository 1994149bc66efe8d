"""textgen.train: what `textgen train` does, from a program."""

import threading
from pathlib import Path
from typing import Any

import keras
import pytest
from support.commands import Command

import textgen

SMALL: dict[str, Any] = {"units": (12,), "seq_length": 16, "batch_size": 8, "epochs": 2}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(story[:4000], encoding="utf-8")


class Count(keras.callbacks.Callback):
    """Counts the evaluations, and interrupts at one of them as a notebook does."""

    def __init__(self, interrupt: int = 0):
        super().__init__()
        self.interrupt, self.evaluations = interrupt, 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.evaluations += 1
        if self.evaluations == self.interrupt:
            raise KeyboardInterrupt


def test_a_run_has_its_model_and_its_loss(
    invoke: Command, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are what the command makes of the same settings."""
    count = Count()
    run = textgen.train("book.txt", name="book", callbacks=[count], **SMALL)
    assert run.folder == Path("checkpoints/book")
    assert count.evaluations == 2
    assert run.model.val_bpc == pytest.approx(run.val_bpc)
    text = run.model.generate(50, seed=1)
    assert len(text) == 50
    assert capfd.readouterr().out == ""

    options = ["--units", "12", "--seq-length", "16", "--batch-size", "8", "--epochs", "2"]
    done = invoke("train", "book.txt", "--name", "command", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert textgen.load("command").generate(50, seed=1) == text


def test_it_works_in_a_thread() -> None:
    found: list[textgen.Run] = []
    thread = threading.Thread(target=lambda: found.append(textgen.train("book.txt", **SMALL)))
    thread.start()
    thread.join()
    assert found[0].name == "book"


def test_an_interrupted_run_keeps_its_best_model_and_continues() -> None:
    with pytest.raises(KeyboardInterrupt):
        textgen.train("book.txt", callbacks=[Count(interrupt=1)], **SMALL)
    kept = textgen.load("book").val_bpc
    run = textgen.train(resume=True)
    assert kept is not None and run.val_bpc <= kept


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"unit": 12}, "no setting 'unit'"),
        ({"units": (0,)}, "units"),
        ({"dropout": 1.0}, "dropout"),
        ({"lowercase": "yes"}, "lowercase"),
        ({"preset": "poems"}, "no preset 'poems'"),
        ({"minutes": 1, "epochs": 1}, "not both"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(textgen.TextgenError, match=named) as caught:
        textgen.train("book.txt", **settings)
    assert "\n" not in str(caught.value)
    assert not Path("checkpoints").exists()
