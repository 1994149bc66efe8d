"""A small real run directory: the built-in story, and a model of random weights."""

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from support.tiny import tiny_model, write_tiny

from textgen.analysis.baselines import baselines
from textgen.analysis.scoring import holdout_bits
from textgen.config import Cleaning, ModelConfig
from textgen.generation.network import Network
from textgen.storage.model_file import Model
from textgen.storage.run_folder import RunDirectory

STORY = resources.files("textgen.corpora").joinpath("runaway-echo.txt").read_text("utf-8")
TEXT = STORY[:12_000]
HOLDOUT = 3000
CONFIG = ModelConfig(units=(12, 8), seq_length=20)
LOG = """\
evaluation,passes,step,seconds,train_loss,val_loss,learning_rate,chars_per_second
1,1.0,40,2.5,3.1,3.0,0.005,21000.0
2,2.0,80,4.9,2.8,2.9,0.003,22000.0
3,3.0,120,7.4,2.6,2.85,0.0001,21500.0
"""


def calm_model(config: ModelConfig) -> Model:
    """A model of random weights; calm, as trained ones are: small errors do not grow."""
    model = tiny_model(config, "".join(sorted(set(STORY))), seed=3)
    weights = {
        name: weight * np.float32(0.4) if "recurrent" in name else weight
        for name, weight in model.weights.items()
    }
    return replace(model, weights=weights, default_prompt=STORY[: config.seq_length])


def ending_model() -> Model:
    """A calm model that often ends sentences, lines and paragraphs."""
    model = calm_model(ModelConfig(units=(8,), seq_length=10))
    bias = model.weights["logits/bias"].copy()
    bias[model.vocabulary.encode("\n. ")] += 2
    return replace(model, weights={**model.weights, "logits/bias": bias})


def make_run(
    root: Path,
    name: str = "echo",
    text: str = TEXT,
    config: ModelConfig = CONFIG,
    seed: int = 0,
    cleaning: Cleaning | None = None,
    **notes: Any,
) -> RunDirectory:
    """Write `root`/checkpoints/`name` as `textgen train` leaves it.

    Args:
        root: the working folder.
        name: of the run.
        text: the whole corpus.
        config: the architecture.
        seed: of the random weights.
        cleaning: what the model file says of it; the text is taken as it is.
        notes: more of the provenance, or other than the default.
    """
    run = RunDirectory(root / "checkpoints" / name)
    run.samples.mkdir(parents=True)
    characters = "".join(sorted(set(text)))
    model = tiny_model(config, characters, seed)
    ids = model.vocabulary.encode(text)
    train, holdout = ids[:-HOLDOUT], ids[-HOLDOUT:]
    loss = np.nanmean(holdout_bits(Network(config, dict(model.weights)), holdout)) * np.log(2)
    provenance = {
        "corpus": [{"name": "runaway-echo", "sha256": "5e" * 32, "characters": len(text)}],
        "train_characters": len(train),
        "holdout_characters": len(holdout),
        "baselines": baselines(train, holdout, len(characters)).as_dict(),
        "preset": "default",
        "seed": seed,
        "versions": {"textgen": "0.1.0", "keras": "3.15.1"},
        "train_loss": 2.6,
        "val_loss": float(loss),
        "evaluation": 3,
        "step": 120,
        "seconds": 7.4,
    } | notes
    prompt = model.vocabulary.decode(train[-config.seq_length :])
    model = replace(
        model, default_prompt=prompt, cleaning=cleaning or Cleaning(), provenance=provenance
    )
    write_tiny(run.model, model)
    run.text.write_bytes(ids.tobytes())
    run.log.write_text(LOG)
    for number in (1, 2, 3):
        sample = text[number * 100 : number * 100 + 90]
        (run.samples / f"evaluation-{number:04d}.txt").write_text(sample)
    return run
