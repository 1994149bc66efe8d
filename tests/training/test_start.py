"""What a run starts from."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.commands import Command
from support.team import ended, two_workers
from support.tiny import tiny_model, write_tiny
from support.training import Interrupt, train

from textgen.config import Cleaning, ModelConfig
from textgen.storage.model_file import load_model
from textgen.storage.provenance import Provenance
from textgen.storage.run import read_run
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import read_state
from textgen.text.encoding import open_ids, write_ids
from textgen.text.vocabulary import Vocabulary
from textgen.training.base import Base, load_base
from textgen.training.request import Request
from textgen.training.start import laid, tried
from textgen.training.stopping import Interrupted

CODE = "".join(f"x[{n}] = (y[{n * 7 % 100}] << 2) ^ 0x{n:04X};\n" for n in range(900))
ONE_STEP = {"epochs": 1, "batch_size": 64, "seq_length": 32, "dropout": 0.0}


@pytest.fixture(scope="module")
def base(trained: Path) -> Base:
    """The run that knows the story."""
    return load_base("echo", trained / "checkpoints")


@pytest.mark.parametrize("knows", [True, False])
def test_auto_judges_by_what_the_base_costs_on_the_text(
    base: Base, story: str, tmp_path: Path, knows: bool
) -> None:
    encoded = write_ids([story[:900] if knows else CODE], tmp_path / "ids")
    assert encoded is not None
    text = open_ids(tmp_path / "ids", len(encoded.vocabulary))
    start, why = tried(laid(base, Request(), encoded, text), encoded.vocabulary, text)
    assert (start.lag < 0) == knows
    assert why.startswith("echo, before any training, takes ")


@pytest.mark.parametrize("length", [2, 30, 400, 3000])
def test_any_text_can_be_judged(base: Base, story: str, tmp_path: Path, length: int) -> None:
    encoded = write_ids([story[:length]], tmp_path / "ids")
    assert encoded is not None
    text = open_ids(tmp_path / "ids", len(encoded.vocabulary))
    _, why = tried(laid(base, Request(), encoded, text), encoded.vocabulary, text)
    assert ("too short" in why) == (length < 100)


def test_the_vocabulary_has_all_of_both_but_what_cleaning_removes(base: Base) -> None:
    own = Vocabulary("abcé")
    assert set(base.vocabulary_with(own, Cleaning()).characters) == {
        *base.model.vocabulary.characters,
        "é",
    }
    lowered = base.vocabulary_with(own, Cleaning(lowercase=True)).characters
    assert lowered == "".join(sorted(lowered.lower()))
    assert {"\n", " ", "z", "é"} <= set(lowered)


def start_small(invoke: Command, folder: Path, *options: str) -> None:
    done = invoke(
        "train",
        "builtin:runaway-echo",
        *("--epochs", "1", "--batch-size", "64", "--seq-length", "32", *options),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_a_chain_of_models_is_kept_and_shown(
    invoke: Command, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "checkpoints", tmp_path / "checkpoints")
    start_small(invoke, tmp_path, "--from", "echo", "--name", "second")
    start_small(invoke, tmp_path, "--from", "second", "--name", "third")
    model = load_model(tmp_path / "checkpoints/third/model.keras")
    bases = Provenance.read(model.provenance).bases
    assert [origin.name for origin in bases] == ["second", "echo"]
    shown = invoke("info", "third", cwd=tmp_path).stdout.decode()
    assert f"started from  second, sha256 {bases[0].sha256[:12]}\n" in shown
    assert f"started from  echo, sha256 {bases[1].sha256[:12]}\n" in shown
    assert invoke("report", "third", "-o", "r.html", cwd=tmp_path).returncode == 0
    assert bases[1].sha256 in (tmp_path / "r.html").read_text()


def test_it_begins_as_good_as_its_base(trained: Path, story: str, tmp_path: Path) -> None:
    """After one step at a rate of nothing the model is the base, in the text's vocabulary."""
    shutil.copytree(trained / "checkpoints", tmp_path / "runs")
    text = story + " é"
    (tmp_path / "text.txt").write_text(text)
    from textgen.training.session import train as train_run

    request = Request(
        (str(tmp_path / "text.txt"),),
        "new",
        start_from="echo",
        given=ONE_STEP | {"learning_rate": 1e-12},
        root=tmp_path / "runs",
    )
    val_loss = train_run(request).progress.best
    base = Provenance.read(load_model(tmp_path / "runs/echo/model.keras").provenance)
    assert val_loss == pytest.approx(base.val_loss, abs=0.01)
    run = read_run(tmp_path / "runs/new/run.json")
    assert "é" in run.vocabulary
    assert run.baselines["uniform"] == pytest.approx(np.log2(len(set(text))))


def test_resuming_needs_no_base(trained: Path, story: str, tmp_path: Path) -> None:
    """Stopped after its first step and without its base, it ends with the same weights."""
    root = tmp_path / "runs"
    shutil.copytree(trained / "checkpoints/echo", tmp_path / "base")
    given = ONE_STEP | {"epochs": 2}
    text = story[:9000]
    train(root, "whole", text, start_from=str(tmp_path / "base"), **given)
    with pytest.raises(Interrupted):
        train(root, "cut", text, Interrupt(1), start_from=str(tmp_path / "base"), **given)
    shutil.rmtree(tmp_path / "base")
    train(root, "cut", None)
    one, other = (read_state(RunDirectory(root / name).state)[1] for name in ("whole", "cut"))
    assert all(np.array_equal(array, other[name]) for name, array in one.items())


def test_with_much_time_it_ends_early_and_can_have_more(
    invoke: Command, trained: Path, tmp_path: Path, story: str
) -> None:
    shutil.copytree(trained / "checkpoints", tmp_path / "checkpoints")
    (tmp_path / "text.txt").write_text(story[:2500])
    options = ("--from", "echo", "--name", "new", "--minutes", "30")
    done = invoke("train", "text.txt", *options, cwd=tmp_path)
    assert done.returncode == 0
    assert b"about 60 passes; more would hardly help." in done.stderr
    assert b"so more text would help more than more time." in done.stderr
    log = RunDirectory(tmp_path / "checkpoints/new").log
    with log.open() as file:
        assert float([*csv.DictReader(file)][-1]["passes"]) == 60
    train(tmp_path / "checkpoints", "new", None, minutes=0.05)
    with log.open() as file:
        assert float([*csv.DictReader(file)][-1]["passes"]) > 60


def test_a_run_killed_before_its_first_step_still_starts_from_the_base(
    trained: Path, tmp_path: Path, story: str
) -> None:
    """What it starts from is its first state, written before the run has a name."""
    root = tmp_path / "runs"
    with pytest.raises(Interrupted):
        train(root, "cut", story[:9000], Interrupt(1), start_from=str(trained / "checkpoints/echo"))
    state = RunDirectory(root / "cut").state
    first = read_state(state.with_name("state.previous"))
    assert first[0]["step"] == 0
    assert all(name.startswith("weights/") for name in first[1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "echo", "--units", "32"], "--units is 32, but echo has 64. Leave out"),
        (["--from", "echo", "--cell", "gru"], "--cell is gru, but echo has lstm. Leave out"),
        (["--from", "echo", "--preset", "nietzsche"], "The preset nietzsche starts from nothing."),
        (["--from", "nosuch"], "There is no run and no model file nosuch."),
        (["--from", "damaged.keras"], "damaged.keras is not a usable model: "),
        (["--from", "text.txt"], "text.txt is not a usable model"),
    ],
)
def test_a_base_that_cannot_be_used(
    invoke: Command, trained: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    shutil.copytree(trained / "checkpoints", tmp_path / "checkpoints")
    model = (trained / "checkpoints/echo/model.keras").read_bytes()
    (tmp_path / "damaged.keras").write_bytes(model[: len(model) // 2])
    (tmp_path / "text.txt").write_text("no model at all")
    done = invoke("train", *options, "--epochs", "1")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.decode().splitlines() if line.startswith("Error")]
    assert words in line
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["echo"]


def test_from_and_resume_are_not_for_each_other(invoke: Command) -> None:
    done = invoke("train", "--resume", "--from", "none")
    assert done.returncode == 2
    assert b"leave out --from" in done.stderr


def test_a_base_of_another_kind(invoke: Command, tmp_path: Path) -> None:
    """Cell and targets are the base's."""
    config = ModelConfig(cell="gru", units=(8,), targets="last", seq_length=16)
    model = replace(tiny_model(config), provenance={"licence": "CC0-1.0"})
    write_tiny(tmp_path / "tiny.keras", model)
    options = ("--epochs", "1", "--batch-size", "512", "--step", "20", "--name", "new")
    done = invoke("train", "builtin:runaway-echo", "--from", "tiny.keras", *options)
    assert done.returncode == 0, done.stderr.decode()
    shown = json.loads(invoke("info", "new", "--json").stdout)
    assert shown["architecture"]["cell"] == "gru"
    assert shown["architecture"]["targets"] == "last"
    assert shown["provenance"]["bases"][0]["licence"] == "CC0-1.0"
    assert "🙂" in shown["characters"]


def test_workers_get_the_base_from_the_chief(trained: Path, tmp_path: Path, story: str) -> None:
    """The second one has neither the base nor the chief's folder."""
    folders = [tmp_path / "chief", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        (folder / "text.txt").write_text(story[:9000] + "é")
    shutil.copytree(trained / "checkpoints", folders[0] / "checkpoints")
    options = ("text.txt", "--from", "echo", "--epochs", "1", "--batch-size", "32", "--name", "x")
    with two_workers(*options, cwd=folders[0], other=folders[1]) as (chief, second):
        status, _, stderr = ended(chief)
        assert status == 0, stderr
        assert ended(second)[0] == 0
    assert read_run(folders[0] / "checkpoints/x/run.json").bases[0].name == "echo"
