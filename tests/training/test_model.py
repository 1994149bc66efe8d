"""The Keras model: what is exported is stock Keras, and says what NumPy says."""

import itertools
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from support.tiny import tiny_model

from textgen.config import CELLS, TARGETS, ModelConfig
from textgen.generation.network import Network
from textgen.storage.model_file import load_model, write_model
from textgen.training.model import StackedModel, keras_archive

UNITS = [(6,), (6, 5, 4)]
IDS = np.random.default_rng(1).integers(0, 7, (2, 12)).astype(np.int32)

# Opens model files where textgen cannot be imported, and saves what they say of IDS.
ELSEWHERE = """
import sys
sys.modules["textgen"] = None
import keras, numpy as np
ids = np.load(sys.argv[1])
for path in sys.argv[2:]:
    np.save(path + ".npy", keras.ops.convert_to_numpy(keras.saving.load_model(path)(ids)))
"""


def test_keras_without_textgen_says_what_numpy_says(tmp_path: Path) -> None:
    """Model files of every kind; one process opens them all."""
    paths = []
    for cell, targets, units in itertools.product(CELLS, TARGETS, UNITS):
        config = ModelConfig(cell=cell, units=units, targets=targets, seq_length=12)
        model = tiny_model(config, seed=3)
        paths.append(tmp_path / f"{cell}-{targets}-{len(units)}.keras")
        write_model(paths[-1], model, keras_archive(config, len(model.vocabulary)))
    np.save(tmp_path / "ids.npy", IDS)
    subprocess.run([sys.executable, "-c", ELSEWHERE, tmp_path / "ids.npy", *paths], check=True)

    for path in paths:
        model = load_model(path)
        network = Network(model.config, model.weights)
        logits = network.run(IDS, network.zero_state(len(IDS)))
        if model.config.targets == "last":
            logits = logits[:, -1]
        found = np.load(f"{path}.npy")
        np.testing.assert_allclose(found, logits, rtol=0, atol=1e-5, err_msg=path.name)


@pytest.mark.parametrize("cell", CELLS)
def test_the_same_model_gives_the_same_file(tmp_path: Path, cell: str) -> None:
    """However many layers the process has made before."""
    model = tiny_model(ModelConfig(cell=cell, units=(6, 5), seq_length=12))
    for name in ("one", "two"):
        write_model(tmp_path / name, model, keras_archive(model.config, len(model.vocabulary)))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_one_archive_serves_any_weights(tmp_path: Path) -> None:
    one, other = tiny_model(seed=1), tiny_model(seed=2)
    archive = keras_archive(one.config, len(one.vocabulary))
    for model in (one, other):
        write_model(tmp_path / "m.keras", model, archive)
        read = keras.saving.load_model(tmp_path / "m.keras")
        for weight, array in zip(read.weights, model.weights.values(), strict=True):
            assert weight.numpy().tobytes() == array.tobytes()


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("cell", CELLS)
def test_the_model_in_training_says_what_numpy_says(cell: str, targets: str) -> None:
    """Window by window, with carried state."""
    config = ModelConfig(cell=cell, units=(6, 5), targets=targets, seq_length=6)
    weights = tiny_model(config, seed=3).weights
    model = StackedModel(config, 7)
    model.set_weights(list(weights.values()))
    network = Network(config, weights)
    carried, states = network.zero_state(2), model.zero_state(2)
    for window in (IDS[:, :6], IDS[:, 6:]):
        logits, states = model(window, states)
        expected = network.run(window, carried)
        if targets == "last":
            expected = expected[:, -1]
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)
