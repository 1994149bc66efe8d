"""A run and its model, written by textgen 0.1.0 before the modules had rooms, still open."""

import json
import shutil
from pathlib import Path

import pytest
from support.commands import Command

from textgen.storage.model_file import load_model
from textgen.storage.provenance import Provenance
from textgen.storage.run import read_run
from textgen.storage.run_folder import RunDirectory

DATA = Path(__file__).parents[1] / "data"
# What that version printed for `sample --seed 3 --length 60` and `score`.
SAMPLE = b"cmT\nottedbdh daTcTcm.a\n\nmch  \nat\ncbahd haggdtd.ocgd\ncttgmthd"
BPC = 3.8151930163524335


@pytest.fixture(params=["old", "checkpoints/old", "alone.keras"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The run by its name and by its folder, and the model file without a run."""
    shutil.copytree(DATA / "old", tmp_path / "checkpoints" / "old")
    shutil.copy(DATA / "old" / "model.keras", tmp_path / "alone.keras")
    return request.param


def test_sampling_gives_the_same_bytes(model: str, invoke: Command) -> None:
    done = invoke("sample", "--model", model, "--seed", "3", "--length", "60")
    assert (done.returncode, done.stdout) == (0, SAMPLE)


def test_scoring_gives_the_same_figure(model: str, invoke: Command) -> None:
    done = invoke("score", DATA / "old-text.txt", "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bpc"] == pytest.approx(BPC, rel=1e-6)


def test_it_is_described(model: str, invoke: Command) -> None:
    done = invoke("info", model, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["parameters"] == 374
    assert facts["val_loss"] == 2.644476602243823


def test_a_report_is_written(model: str, invoke: Command, tmp_path: Path) -> None:
    done = invoke("report", model, "--output", tmp_path / "report.html")
    assert done.returncode == 0, done.stderr
    assert "small.txt" in (tmp_path / "report.html").read_text()


def test_its_settings_and_provenance_are_read() -> None:
    run = read_run(RunDirectory(DATA / "old").settings)
    assert (run.model.units, run.train.learning_rate) == ((4,), 0.006)
    assert Provenance.read(load_model(DATA / "old/model.keras").provenance).step == 7
