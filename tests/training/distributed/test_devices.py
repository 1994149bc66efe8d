"""Several devices train the model that one trains."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.commands import Command
from support.on_devices import GIVEN, STEPS
from support.training import request

from textgen.analysis.scoring import holdout_bits
from textgen.generation.network import Network
from textgen.storage.model_file import load_model
from textgen.storage.run import read_run
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import read_state
from textgen.text.encoding import open_ids
from textgen.training.new_run import new_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs of `on_devices`, made in a process that has two devices."""
    folder = tmp_path_factory.mktemp("devices")
    command = [sys.executable, "-m", "support.on_devices", str(folder)]
    done = subprocess.run(command, capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return folder


def test_the_number_of_devices_does_not_change_the_model(runs: Path) -> None:
    """After 50 steps with dropout, whether or not it stopped and went on elsewhere."""
    progress, arrays = read_state(RunDirectory(runs / "one").state)
    for name in ("two", "moved"):
        other_progress, others = read_state(RunDirectory(runs / name).state)
        assert progress["step"] == other_progress["step"] == STEPS
        for loss in ("train_loss", "best"):
            assert progress[loss] == pytest.approx(other_progress[loss], abs=1e-5)
        assert arrays.keys() == others.keys()
        for key, array in arrays.items():
            np.testing.assert_allclose(array, others[key], rtol=1e-5, atol=1e-5, err_msg=key)
        # They have added in another order; else nothing was shown.
        assert any(not np.array_equal(array, others[key]) for key, array in arrays.items())


def test_other_precision_keeps_float32(tmp_path: Path, story: str) -> None:
    """Weights, state and model file are float32, and the loss is that of the model file."""
    from textgen.training.loop import Training

    given = GIVEN | {"precision": "mixed_bfloat16", "epochs": 1}
    with new_run(request(tmp_path, "x", story[:3000], **given)) as (run, settings, _):
        ids = open_ids(run.text, len(settings.vocabulary))
        training = Training(run, settings, ids, time.monotonic())
        assert training.learner.model.recurrent[0].compute_dtype == "bfloat16"
        assert training.learner.model.recurrent[0].served()
        training.train()
    assert read_run(run.path / "run.json").train.precision == "mixed_bfloat16"
    arrays = read_state(run.state)[1]
    assert {array.dtype.name for array in arrays.values()} <= {"float32", "int64", "int32"}
    model = load_model(run.model)
    assert {array.dtype.name for array in model.weights.values()} == {"float32"}
    holdout = ids[model.provenance["train_characters"] :]
    bits = holdout_bits(Network(model.config, model.weights), holdout)
    loss = np.nanmean(bits) * np.log(2)
    assert loss == pytest.approx(model.provenance["val_loss"], abs=1e-5)


def test_a_batch_that_cannot_be_divided(textgen: Command, tmp_path: Path) -> None:
    done = textgen("train", "--devices", "2", "--batch-size", "9", "--units", "8")
    (line,) = done.stderr.decode().splitlines()
    assert (done.returncode, line[:6]) == (1, "Error:")
    assert "9 rows cannot be divided among 2 devices" in line
    assert not (tmp_path / "checkpoints").exists()


def test_the_recipe_divides_its_batch(tmp_path: Path, story: str) -> None:
    with new_run(request(tmp_path, "x", story[:3000]), replicas=7) as (_, run, _):
        assert run.train.batch_size % 7 == 0
