"""Tiny real model files, made without Keras: its archive layout written with h5py."""

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np

from textgen.config import Cleaning, ModelConfig, SampleConfig
from textgen.storage.keras_archive import KerasArchive, keras_paths
from textgen.storage.model_file import Model, write_model
from textgen.text.vocabulary import Vocabulary

KERAS_CONFIG = {"module": "keras.src.models.functional", "class_name": "Functional", "config": {}}


def tiny_model(
    config: ModelConfig | None = None, characters: str = " abcdé🙂", seed: int = 0
) -> Model:
    """A model of random weights."""
    config = config or ModelConfig(units=(4, 3), seq_length=10)
    generator = np.random.default_rng(seed)
    weights = {
        name: generator.normal(0, 0.5, shape).astype(np.float32)
        for name, shape in config.weight_shapes(len(characters)).items()
    }
    prompt = characters[: config.seq_length]
    return Model(
        config, Vocabulary(characters), Cleaning(), weights, SampleConfig(), prompt, {"seed": seed}
    )


def keras_archive(model: Model, date: str = "2026-01-01@00:00:00") -> KerasArchive:
    """The archive that Keras makes of `model`, but for its config.json."""
    weight_file = io.BytesIO()
    with h5py.File(weight_file, "w") as file:
        for name, path in keras_paths(model.config).items():
            file[path] = model.weights[name]
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        metadata = {"keras_version": "3.15.1", "date_saved": date}
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr("config.json", json.dumps(KERAS_CONFIG))
        archive.writestr("model.weights.h5", weight_file.getvalue())
    return KerasArchive.read(whole.getvalue(), model.config, len(model.vocabulary))


def write_tiny(path: Path, model: Model | None = None) -> Path:
    """Write a tiny model file; its path."""
    model = model or tiny_model()
    write_model(path, model, keras_archive(model))
    return path
