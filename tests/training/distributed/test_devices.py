"""Several devices train the model that one trains."""

import time
from pathlib import Path

import numpy as np
import pytest
from support.on_devices import GIVEN, STEPS
from support.training import request

from textgen.analysis.scoring import holdout_bits
from textgen.errors import TextgenError
from textgen.generation.network import Network
from textgen.storage.model_file import load_model
from textgen.storage.run import read_run
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import read_state
from textgen.text.encoding import open_ids
from textgen.training.new_run import new_run


def test_the_number_of_devices_does_not_change_the_model(runs: Path) -> None:
    """After many steps with dropout, whether or not it stopped and continued elsewhere."""
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
    with new_run(request(tmp_path, "x", story[:3000], **given)) as (run, planned):
        settings = planned.run
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


def test_a_batch_that_cannot_be_divided(tmp_path: Path, story: str) -> None:
    asked = request(tmp_path / "runs", "x", story[:3000], **GIVEN | {"batch_size": 9})
    with (
        pytest.raises(TextgenError, match="9 rows cannot be divided among 2 devices"),
        new_run(asked, replicas=2),
    ):
        pass
    assert not (tmp_path / "runs").exists()


def test_the_recipe_divides_its_batch(tmp_path: Path, story: str) -> None:
    with new_run(request(tmp_path, "x", story[:3000]), replicas=7) as (_, planned):
        assert planned.run.train.batch_size % 7 == 0
