"""Training on several texts, each with its own hold-out, and on a hold-out of one's own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import Command
from support.small_run import STORY
from support.team import ended, two_workers
from support.training import Interrupt, train

import textgen
from textgen.cli.signals import StopSignals
from textgen.errors import TextgenError
from textgen.storage.model_file import load_model
from textgen.storage.provenance import Provenance
from textgen.storage.run import read_run
from textgen.storage.run_folder import RunDirectory, read_run_text
from textgen.storage.state import read_state
from textgen.training.request import Request
from textgen.training.session import Trained
from textgen.training.session import train as train_run
from textgen.training.stopping import Interrupted

TINY: dict[str, Any] = {"units": (9,), "seq_length": 16, "batch_size": 8, "epochs": 2}
OPTIONS = ("--units", "9", "--seq-length", "16", "--batch-size", "8", "--epochs", "1")
TEXTS = {"one.txt": STORY[:4001], "two.txt": "¿" + STORY[9000:10_000], "three.txt": "Short."}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three texts, of which the last one is shorter than a window."""
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def asked(folder: Path, name: str, **given: Any) -> Request:
    sources = tuple(str(folder / text) for text in TEXTS)
    return Request(sources, name, start_from="none", root=folder, given=TINY | given)


def trained_on(folder: Path, name: str, *callbacks: Any, **given: Any) -> Trained:
    return train_run(asked(folder, name, **given), stop=StopSignals(), callbacks=callbacks)


def decoded(directory: RunDirectory) -> tuple[str, str]:
    """What a run learns from, and what it holds out."""
    model = load_model(directory.model)
    text = read_run_text(directory.model, model)
    assert text is not None
    return model.vocabulary.decode(text.train), model.vocabulary.decode(text.holdout)


def test_the_end_of_each_text_is_held_out(folder: Path) -> None:
    trained = trained_on(folder, "x")
    run = read_run(trained.directory.settings)
    lengths = [4002, 1002, 6]  # with the newlines between them
    assert [part.characters for part in run.parts] == lengths
    assert [part.holdout for part in run.parts] == [400, 100, 1]
    texts = [text + "\n" for text in TEXTS.values()]
    texts[-1] = texts[-1][:-1]
    learned, held = decoded(trained.directory)
    assert learned == texts[0][:-400] + texts[1][:-100] + texts[2][:-1]
    assert held == texts[0][-400:] + texts[1][-100:] + texts[2][-1:]


@pytest.mark.parametrize("targets", ["every", "last"])
def test_an_interrupted_run_is_resumed_exactly(folder: Path, targets: str) -> None:
    options = {"targets": targets, "step": 5, "dropout": 0.1}
    steps = trained_on(folder, "whole", **options).progress.step
    with pytest.raises(Interrupted):
        trained_on(folder, "broken", Interrupt(steps // 2), **options)
    train(folder, "broken", None)
    one, other = (read_state(folder / name / "state")[1] for name in ("whole", "broken"))
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert np.array_equal(array, other[name]), name


def test_a_run_is_continued_with_its_own_texts_only(folder: Path) -> None:
    assert trained_on(folder, "x").progress.evaluations == 2
    more = replace(asked(folder, "x"), resume=True, given={"epochs": 3})
    assert train_run(more).progress.evaluations == 3
    with pytest.raises(TextgenError, match="started with another text"):
        train_run(replace(more, sources=more.sources[::-1]))


def test_a_run_of_one_text_is_as_before(tmp_path: Path) -> None:
    """What later versions say of a run may be missing."""
    trained = train(tmp_path, "x", STORY[:5000], **TINY)
    assert decoded(trained.directory) == (STORY[:4500], STORY[4500:5000])
    settings = trained.directory.settings
    values = json.loads(settings.read_text())
    assert values["ids_sha256"] is None
    for name in ("parts", "ids_sha256", "items", "unknown"):
        del values[name]
    settings.write_text(json.dumps(values))
    assert train(tmp_path, "x", None, epochs=3).progress.evaluations == 3


def test_the_summary_and_info_say_how_well_each_text_is_learned(
    invoke: Command, folder: Path
) -> None:
    done = invoke("train", *TEXTS, *OPTIONS, "--name", "x", "--json")
    said = done.stderr.decode()
    assert done.returncode == 0, said
    one, two, three = json.loads(done.stdout)["texts"]
    assert (one["name"], one["characters"], one["holdout"]) == ("one.txt", 4002, 400)
    assert 1 < one["bpc"] < 8 and 1 < two["bpc"] < 8 and three["bpc"] is None
    assert f"held out of one.txt: {one['bpc']:.3f} bits a character\n" in said
    assert "held out of three.txt: too little of it\n" in said
    facts = json.loads(invoke("info", "x", "--json").stdout)
    assert facts["texts"] == [one, two, three]
    shown = invoke("info", "x").stdout.decode()
    assert any(line.split()[:3] == ["two.txt", "1,002", "100"] for line in shown.splitlines())


def test_very_many_texts_are_summed_up(invoke: Command, folder: Path) -> None:
    names = [f"{number:04}.txt" for number in range(300)]
    for number, name in enumerate(names):
        (folder / name).write_text(STORY[number * 40 : number * 40 + 40])
    done = invoke("train", *names, *OPTIONS, "--name", "x", "--json")
    assert done.returncode == 0, done.stderr.decode()
    texts = json.loads(done.stdout)["texts"]
    assert [text["name"] for text in texts] == [*names[:9], "291 more"]
    run = read_run(folder / "checkpoints/x/run.json")
    assert len(run.parts) == 300
    assert sum(text["holdout"] for text in texts) == run.holdout_characters


# A hold-out of one's own


def test_a_text_may_be_held_out_instead(invoke: Command, folder: Path) -> None:
    (folder / "own.txt").write_text("☃" + STORY[12_000:13_000] + "☃☃")
    done = invoke("train", "one.txt", "--holdout", "own.txt", *OPTIONS, "--name", "x", "--json")
    assert done.returncode == 0, done.stderr.decode()
    directory = RunDirectory(folder / "checkpoints/x")
    learned, held = decoded(directory)
    assert learned == TEXTS["one.txt"]
    lacks = set(STORY[12_000:13_000]) - set(learned)
    assert held == "".join(c for c in STORY[12_000:13_000] if c not in lacks)
    unknown = 1003 - len(held)
    assert f"{unknown} of which the text lacks; each costs 21 bits" in done.stderr.decode()
    assert Provenance.read(load_model(directory.model).provenance).unknown == unknown

    (entry,) = map(json.loads, invoke("score", "-m", "x", "own.txt", "--json").stdout.splitlines())
    assert json.loads(done.stdout)["val_bpc"] == pytest.approx(entry["bpc"], abs=1e-4)
    (folder / "own.txt").unlink()
    again = invoke("train", "--resume", "--name", "x", "--epochs", "2")
    assert again.returncode == 0, again.stderr.decode()
    assert b"pass 2/2" in again.stderr


def test_a_program_may_hold_out_a_text(folder: Path) -> None:
    options: dict[str, Any] = {"folder": folder / "runs", "start_from": "none"} | TINY
    run = textgen.train(folder / "one.txt", holdout=folder / "two.txt", **options)
    assert run.val_bpc == pytest.approx(run.model.score(TEXTS["two.txt"]).bpc, abs=1e-4)
    for conflict in ({"validation_split": 0.2}, {"list": True}):
        with pytest.raises(TextgenError, match=f"either holdout or {next(iter(conflict))}"):
            textgen.train(folder / "one.txt", holdout=folder / "two.txt", **options, **conflict)
    with pytest.raises(TextgenError, match="leave out holdout"):
        textgen.train(resume=True, holdout=folder / "two.txt", folder=folder / "runs")


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("one.txt", "--validation-split", "0.2"), 2, "either --holdout or --validation-split"),
        (("one.txt", "--list"), 2, "either --holdout or --list"),
        (("--resume",), 2, "--resume keeps what the run has held out"),
        (("one.txt", "--holdout", "none.txt"), 1, "No such file: none.txt"),
        (("one.txt", "--holdout", "strange.txt"), 1, "no character of the hold-out strange.txt"),
        (("one.txt", "--holdout", "three.txt"), 1, "hold-out three.txt has 6 characters"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    invoke: Command, folder: Path, options: tuple[str, ...], status: int, message: str
) -> None:
    (folder / "strange.txt").write_text("☃☃☃☃☃☃☃☃")
    done = invoke("train", "--holdout", "two.txt", *options, *OPTIONS)
    assert done.returncode == status
    assert message in done.stderr.decode()
    assert not (folder / "checkpoints").exists()


# Several workers


@pytest.mark.parametrize("options", [(*TEXTS,), ("one.txt", "--holdout", "two.txt")])
def test_workers_without_a_common_folder_divide_alike(
    invoke: Command, folder: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name, text in TEXTS.items():
        (other / name).write_text(text, "utf-8")
    alone = invoke("train", *options, *OPTIONS, "--name", "alone", "--json")
    expected = json.loads(alone.stdout)["val_loss"]
    with two_workers(*options, *OPTIONS, "--json", cwd=folder, other=other) as (chief, second):
        status, out, stderr = ended(chief)
        assert status == 0, stderr
        assert ended(second)[0] == 0
    assert json.loads(out)["val_loss"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "parts",
    ["x", [3], [{"name": "a", "holdout": "many"}], [{"name": 3, "characters": -1, "holdout": 7}]],
)
def test_what_a_file_says_of_its_texts_is_not_trusted(parts: Any) -> None:
    notes = {"parts": parts, "holdout_characters": 500, "unknown": "x"}
    read = Provenance.read(notes)
    assert read.parts == ()
    assert read.unknown == 0
