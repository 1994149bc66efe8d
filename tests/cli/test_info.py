"""`textgen info` on a real run directory."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import Command, invoke_in
from support.small_run import CONFIG, STORY, TEXT, make_run

from textgen.cli.tables import duration, file_size, table
from textgen.messages import printable
from textgen.storage.provenance import Provenance


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with one run, made once."""
    folder = tmp_path_factory.mktemp("info")
    make_run(folder)
    return folder


def test_a_model_is_described_for_a_person(folder: Path) -> None:
    result = invoke_in(folder, "info", "echo")
    assert (result.returncode, result.stderr) == (0, "")
    vocabulary = len(set(TEXT))
    lines = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert lines["1"].split()[-1] == f"{4 * 12 * (vocabulary + 12 + 1):,}"
    assert lines["output"].split()[-1] == f"{(8 + 1) * vocabulary:,}"
    assert "runaway-echo, 12,000 characters" in lines["corpus"]
    for name in ("uniform", "unigram", "xz"):
        assert f"{name}, hold-out" in lines
    assert "The model is no better than a" in result.stdout
    assert "textgen sample --model echo" in result.stdout


def test_the_table_of_layers_adds_up(folder: Path) -> None:
    result = invoke_in(folder, "info", "echo")
    rows = result.stdout.split("\n\n")[1].splitlines()[1:]
    *parts, total = [int(row.split()[-1].replace(",", "")) for row in rows]
    assert sum(parts) == total


def test_json_has_the_figures_and_the_rest_of_the_model_file(folder: Path) -> None:
    result = invoke_in(folder, "info", "checkpoints/echo/model.keras", "--json")
    facts = json.loads(result.stdout)
    assert facts["val_bpc"] == pytest.approx(facts["val_loss"] / math.log(2))
    assert facts["vocabulary"] == len(facts["characters"]) == len(set(TEXT))
    shapes = CONFIG.weight_shapes(facts["vocabulary"])
    assert facts["parameters"] == sum(math.prod(shape) for shape in shapes.values())
    assert facts["baselines"]["uniform"] == pytest.approx(math.log2(facts["vocabulary"]))
    assert facts["architecture"]["units"] == list(CONFIG.units)
    assert facts["provenance"]["preset"] == "default"
    assert 0 < facts["baselines"]["xz"] < 8


def test_a_model_file_alone_has_no_text_for_xz(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "moved.keras").write_bytes(
        (folder / "checkpoints" / "echo" / "model.keras").read_bytes()
    )
    facts = json.loads(invoke_in(tmp_path, "info", "moved.keras", "--json").stdout)
    assert facts["name"] == "moved.keras"
    assert "xz" not in facts["baselines"]


def test_runs_are_listed_with_the_newest_first(tmp_path: Path) -> None:
    assert f"no runs in {tmp_path / 'checkpoints'}." in invoke_in(tmp_path, "info").stdout
    make_run(tmp_path, "old")
    make_run(tmp_path, "new")
    (tmp_path / "checkpoints" / "broken").mkdir()
    (tmp_path / "checkpoints" / "broken" / "model.keras").write_bytes(b"not a model")
    result = invoke_in(tmp_path, "info")
    assert result.returncode == 0
    heading, *rows, _, hint = result.stdout.splitlines()
    assert hint.startswith(f"A run is a folder in {tmp_path / 'checkpoints'}: move it to rename it")
    assert heading.split()[0] == "run"
    assert [row.split()[0] for row in rows] == ["broken", "new", "old"]
    assert "cannot be read" in rows[0]
    objects = [
        json.loads(line) for line in invoke_in(tmp_path, "info", "--json").stdout.splitlines()
    ]
    assert [entry["name"] for entry in objects] == ["broken", "new", "old"]
    assert objects[1]["val_bpc"] > objects[1]["ngram_bpc"] > 0
    assert "error" in objects[0]


RENAMING = """
import os, time
while True:
    os.rename("checkpoints/echo", "checkpoints/other")
    time.sleep(0.0002)
    os.rename("checkpoints/other", "checkpoints/echo")
"""


def test_a_run_may_be_renamed_meanwhile(tmp_path: Path, invoke: Command) -> None:
    """It is listed, or it is not; it is described, or an error says that it is gone."""
    make_run(tmp_path, text=STORY[:4000])
    with subprocess.Popen([sys.executable, "-c", RENAMING], cwd=tmp_path) as renaming:
        try:
            for _ in range(60):
                assert invoke("info").returncode == 0
                done = invoke("info", "echo")
                assert (done.returncode, done.stderr.count(b"\n")) in ((0, 0), (1, 1))
        finally:
            renaming.kill()


def test_hostile_provenance_cannot_reach_the_terminal(tmp_path: Path) -> None:
    escape = "\x1b[31mred\n"
    make_run(
        tmp_path,
        corpus=[{"name": escape, "sha256": 5}, "plain", None],
        preset=escape,
        versions={escape: escape},
        baselines={escape: 3.0, "5-gram": "many"},
        val_loss="low",
        step=1.5,
    )
    result = invoke_in(tmp_path, "info", "echo")
    assert result.returncode == 0, result.stderr
    assert "\x1b" not in result.stdout
    assert "red·" in result.stdout


def test_info_loads_no_machine_learning_library(folder: Path) -> None:
    code = (
        "import sys\nfrom textgen.cli import main\n"
        "main(['info', 'echo'], standalone_mode=False)\n"
        "bad = {'tensorflow', 'keras', 'h5py', 'matplotlib', 'jinja2'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)


def test_an_unknown_model_is_one_line(folder: Path) -> None:
    result = invoke_in(folder, "info", "ecko")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("Error: ")


def test_provenance_that_says_nothing() -> None:
    assert Provenance.read({}) == Provenance()
    assert Provenance().val_bpc is None


def test_tables_are_aligned() -> None:
    rows = [("name", "figure"), ("a", "1.5"), ("longer", "12.25")]
    assert table(rows, "<>") == ["name    figure", "a          1.5", "longer   12.25"]


def test_quantities_are_words() -> None:
    assert duration(12.4) == "12 s"
    assert duration(60) == "1 minute"
    assert duration(7300) == "2 hours"
    assert file_size(512) == "512 bytes"
    assert file_size(3_460_000) == "3.5 MB"
    assert printable("a\tb\x1b") == "a·b·"
