"""`textgen sample` with a model of a list: items, one a line."""

import json
import re
from itertools import product
from pathlib import Path

import pytest
from support.commands import Command
from support.lists import make_list_run
from support.small_run import make_run

import textgen
from textgen.storage.model_file import load_model
from textgen.storage.run_folder import read_run_text

ITEMS = ["a", "b", "ab", "ba", "aab", "bba", "abab"]


@pytest.mark.parametrize("targets", ["every", "last"])
def test_ten_whole_items_or_as_many_as_asked_for(
    invoke: Command, tmp_path: Path, targets: str
) -> None:
    make_list_run(tmp_path, ITEMS, targets=targets)
    done = invoke("sample", "names", "--seed", "1")
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0 and len(lines) == 10
    assert all(re.fullmatch("[ab]{1,8}", line) for line in lines)
    more = invoke("sample", "names", "--seed", "1", "--items", "25").stdout.decode()
    assert more.startswith(done.stdout.decode()) and more.count("\n") == 25
    assert textgen.load(str(tmp_path / "checkpoints/names")).items(10, seed=1) == lines


@pytest.mark.parametrize("kept", ["text", "hashes"])
def test_new_items_are_neither_in_the_list_nor_repeated(
    invoke: Command, tmp_path: Path, kept: str
) -> None:
    """The list is known from the text beside the model, or from the hashes in its file."""
    run = make_list_run(tmp_path, ITEMS, hashes=kept == "hashes")
    if kept == "hashes":
        run.text.unlink()
    options = ("--items", "12", "--seed", "1")
    done = invoke("sample", "names", "--new", *options)
    lines = done.stdout.decode().splitlines()
    assert len(set(lines)) == len(lines) == 12
    assert not set(lines) & set(ITEMS)
    said = done.stderr.decode()
    known, repeated = (int(n) for n in re.findall(r"(\d+) (?:in the list|repeated)", said))
    assert known and repeated
    endless = re.search(r"(\d+) without an end", said)
    tried = 12 + known + repeated + (int(endless[1]) if endless else 0)
    assert tried >= 20
    assert lines == textgen.load(str(run.path)).items(12, new=True, seed=1)


def test_new_needs_the_list(invoke: Command, tmp_path: Path) -> None:
    make_list_run(tmp_path, ITEMS, hashes=False).text.unlink()
    done = invoke("sample", "names", "--new")
    assert done.returncode == 1
    assert done.stderr.decode().endswith("there is no matching text.ids beside it.\n")
    assert invoke("sample", "names").returncode == 0


def test_fewer_are_found_where_the_model_only_copies(invoke: Command, tmp_path: Path) -> None:
    make_list_run(tmp_path, ["a", "aa", "aaa"], newline=-1)
    done = invoke("sample", "names", "--new", "--items", "9", "--seed", "1")
    lines = done.stdout.decode().splitlines()
    assert sorted(lines) == ["aaaa", "aaaaa"]
    assert "Found 2 of 9. Left out: " in done.stderr.decode()
    make_list_run(tmp_path, ["a", "aa"], name="all", newline=9)
    done = invoke("sample", "all", "--new", "--items", "9")
    assert (done.returncode, done.stdout) == (1, b"")
    assert "Error: No item was found: " in done.stderr.decode()


def test_items_without_an_end_are_given_up(invoke: Command, tmp_path: Path) -> None:
    make_list_run(tmp_path, ITEMS, newline=-50)
    done = invoke("sample", "names", "--items", "5")
    assert (done.returncode, done.stdout) == (1, b"")
    assert "No item was found: 1,050 without an end." in done.stderr.decode()


def test_a_prompt_begins_each_item(invoke: Command, tmp_path: Path) -> None:
    make_list_run(tmp_path, ITEMS)
    options = ("sample", "names", "-p", "bb", "--seed", "2", "--new")
    lines = invoke(*options).stdout.decode().splitlines()
    assert len(lines) == 10 and all(line.startswith("bb") for line in lines)
    assert "bba" not in lines
    bare = invoke(*options, "--no-echo").stdout.decode().splitlines()
    assert [f"bb{line}" for line in bare] == lines
    found = [json.loads(line) for line in invoke(*options, "--json").stdout.splitlines()]
    assert [line["prompt"] + line["text"] for line in found] == lines
    assert {line["stopped_by"] for line in found} == {"stop"}


def test_a_length_or_an_end_asks_for_text(invoke: Command, tmp_path: Path) -> None:
    make_list_run(tmp_path, ITEMS)
    assert len(invoke("sample", "names", "-n", "77").stdout) == 77
    assert b"---" in invoke("sample", "names", "--num-samples", "2", "-n", "9").stdout
    line = invoke("sample", "names", "--until", "line", "--seed", "1").stdout
    assert line.endswith(b"\n") and b"\n" not in line.strip()
    done = invoke("sample", "names", "--items", "3", "--until", "line")
    assert done.returncode == 2
    assert "leave out --until, or --items and --new" in done.stderr.decode()


@pytest.mark.parametrize("targets", ["every", "last"])
def test_copies_among_200_items_are_counted(invoke: Command, tmp_path: Path, targets: str) -> None:
    """By `info` and `report`, where the list is beside the model."""
    items = ["".join(item) for length in (1, 2, 3) for item in product("ab", repeat=length)]
    run = make_list_run(tmp_path, items, targets=targets)
    model = load_model(run.model)
    text = read_run_text(run.model, model)
    assert text is not None
    learned, held = (model.vocabulary.decode(ids).split("\n") for ids in (text.train, text.holdout))
    facts = json.loads(invoke("info", "names", "--json").stdout)
    assert facts["items"] == {"count": 14, "longest": 3}
    assert "items" not in facts["provenance"]
    known = facts["copied_items"]
    options = ("--items", "200", "--seed", "0", "--json")
    lines = [json.loads(line) for line in invoke("sample", "names", *options).stdout.splitlines()]
    written = [line["text"] for line in lines if line["index"] < 200]
    assert 0 < len(written) < 200  # others are blank, or have no end
    assert known == {
        "written": len(written),
        "learned": sum(item in learned for item in written),
        "held_out": sum(item in held for item in written),
    }
    assert known["learned"] and known["held_out"]
    said = (
        f"Of {len(written)} items that it writes, {known['learned']} are in the list that it "
        f"learned, and {known['held_out']} in its hold-out, which it has not seen."
    )
    shown = invoke("info", "names").stdout.decode()
    assert said in shown and "14 items, one a line" in shown
    assert invoke("report", "names").returncode == 0
    assert said in (run.path / "report.html").read_text()
    run.text.unlink()
    assert "items that it writes" not in invoke("info", "names").stdout.decode()


def test_other_models_write_no_items(invoke: Command, tmp_path: Path) -> None:
    make_run(tmp_path)
    done = invoke("sample", "echo", "--items", "3")
    assert done.returncode == 1
    assert "Error: The model echo has learned no list." in done.stderr.decode()
    make_list_run(tmp_path, ITEMS)
    both = ("sample", "-m", "names", "-m", "echo")
    assert invoke(*both, "--seed", "1").stdout
    done = invoke(*both, "--new")
    assert done.returncode == 1
    assert "Items are written by one model." in done.stderr.decode()
    assert invoke("sample", "names", "-t", "0.5,0.7").returncode == 2
