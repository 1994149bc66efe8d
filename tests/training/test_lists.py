"""Training on a list: an item a line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import Command
from support.names import names
from support.team import ended, two_workers
from support.training import Interrupt, train

from textgen.errors import TextgenError
from textgen.storage.model_file import load_model
from textgen.storage.provenance import Provenance
from textgen.storage.run import read_run
from textgen.storage.run_folder import RunDirectory, read_run_text
from textgen.storage.state import read_state
from textgen.training.request import Request
from textgen.training.session import train as train_run
from textgen.training.stopping import Interrupted

LIST = "\n".join(names(400))
TINY: dict[str, Any] = {"units": (9,), "seq_length": 16, "batch_size": 8, "epochs": 3}
OPTIONS = ("--units", "9", "--seq-length", "16", "--batch-size", "8", "--epochs", "1")


@pytest.mark.parametrize("targets", ["every", "last"])
def test_an_interrupted_run_is_resumed_exactly(tmp_path: Path, targets: str) -> None:
    options = TINY | {"targets": targets, "step": 5, "list": True, "dropout": 0.1}
    steps = train(tmp_path, "whole", LIST, **options).progress.step
    with pytest.raises(Interrupted):
        train(tmp_path, "broken", LIST, Interrupt(steps // 2), **options)
    train(tmp_path, "broken", None)
    one, other = (read_state(tmp_path / name / "state")[1] for name in ("whole", "broken"))
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert np.array_equal(array, other[name]), name


def test_a_list_is_kept_shuffled_and_the_model_knows_it(tmp_path: Path) -> None:
    directory = train(tmp_path, "x", LIST, list=True, **TINY).directory
    run, model = read_run(directory.settings), load_model(directory.model)
    assert run.train.list and run.items is not None
    assert Provenance.read(model.provenance).items == run.items
    text = read_run_text(directory.model, model)
    assert text is not None
    held, learned = (model.vocabulary.decode(ids).split() for ids in (text.holdout, text.train))
    assert (len(held), len(learned)) == (40, 360)
    assert sorted(held + learned) == names(400)
    assert sorted(held) != held
    assert model.default_prompt.endswith("\n")


def test_items_that_are_in_both_parts_are_counted(invoke: Command, tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("\n".join(names(200) * 2))
    done = invoke("train", "n.txt", "--list", *OPTIONS)
    said = done.stderr.decode()
    assert done.returncode == 0, said
    line = next(line for line in said.splitlines() if line.startswith("A list of"))
    assert line.startswith("A list of 400 items, of which 40 are held out; ")
    run = RunDirectory(tmp_path / "checkpoints/n")
    text = read_run_text(run.model, model := load_model(run.model))
    assert text is not None
    learned = set(model.vocabulary.decode(text.train).split("\n"))
    held = model.vocabulary.decode(text.holdout).split("\n")[:-1]
    twice = sum(item in learned for item in held)
    assert f"; {twice} of these are also among those that are trained on." in line


def test_items_are_shown_while_it_trains_and_at_the_end(invoke: Command, tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text(LIST)
    done = invoke("train", "n.txt", "--list", *OPTIONS)
    sample = (tmp_path / "checkpoints/n/samples/evaluation-0001.txt").read_text()
    items = sample.removesuffix("\n").split("\n")
    assert len(items) == 10
    said = done.stderr.decode()
    end = said[said.index("It writes now:\n") :]
    assert all(f"\n    {item.strip()}\n" in end for item in items if item.strip())
    counted = next(
        line for line in invoke("info", "n").stdout.decode().splitlines() if line.startswith("Of ")
    )
    assert f"\n{counted}\n" in end
    begin = said[: said.index("It writes now:\n")]
    assert f"\n    {'   '.join(items)}"[:40] in begin


def test_a_list_is_continued_with_its_own_text_only(tmp_path: Path) -> None:
    source = tmp_path / "n.txt"
    source.write_text(LIST)
    asked = Request((str(source),), "x", root=tmp_path, given=TINY | {"list": True})
    assert train_run(asked).progress.evaluations == 3
    more = replace(asked, resume=True, given={"epochs": 4})
    assert train_run(more).progress.evaluations == 4
    with pytest.raises(TextgenError, match="list is True, not False"):
        train_run(replace(more, given={"list": False}))
    source.write_text(LIST[:-1])
    with pytest.raises(TextgenError, match="started with another text"):
        train_run(more)


def test_a_list_that_was_rearranged_by_others_is_refused(tmp_path: Path) -> None:
    ids = train(tmp_path, "x", LIST, list=True, **TINY).directory.text
    data = ids.read_bytes()
    ids.write_bytes(data[1:] + data[:1])
    with pytest.raises(TextgenError, match="not the text that this run was started with"):
        train(tmp_path, "x", None)


def test_baselines_see_the_items_as_the_model_does(tmp_path: Path) -> None:
    """In sorted order the hold-out would be other names than those that are trained on."""
    run = train(tmp_path, "x", LIST, list=True, **TINY).run
    assert run.parts[0].holdout == run.holdout_characters
    plain = train(tmp_path, "y", LIST, list=False, **TINY).run
    assert run.baselines != plain.baselines


def test_workers_without_a_common_folder_read_the_same_list(tmp_path: Path) -> None:
    folders = [tmp_path / "chief", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        (folder / "n.txt").write_text(LIST)
    alone = train(tmp_path, "x", LIST, list=True, **TINY | {"epochs": 1}).progress
    options = ("n.txt", "--list", *OPTIONS, "--json")
    with two_workers(*options, cwd=folders[0], other=folders[1]) as (chief, second):
        status, out, stderr = ended(chief)
        assert status == 0, stderr
        assert ended(second)[0] == 0
    assert json.loads(out)["val_loss"] == pytest.approx(alone.best, abs=1e-4)


@pytest.mark.parametrize(
    "items",
    [
        [],
        {"items": 400, "longest": 5},
        {"items": 400, "longest": 5, "hashes": "x"},
        {"items": 400, "longest": 5, "hashes": "AAA="},
        {"items": 400, "longest": 10**9, "hashes": ""},
        {"items": "many", "longest": 5, "hashes": ""},
        {"items": 400, "longest": 5, "hashes": "A" * 10_000_000},
    ],
)
def test_what_a_file_says_of_a_list_is_not_trusted(tmp_path: Path, items: Any) -> None:
    assert Provenance.read({"items": items}).items is None
