"""A run of a list: a model of random weights that writes short items of a few letters."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from support.tiny import tiny_model, write_tiny

from textgen.config import ModelConfig
from textgen.storage.run_folder import RunDirectory
from textgen.text.encoding import write_ids
from textgen.text.items import arrange


def make_list_run(
    root: Path,
    items: Sequence[str],
    name: str = "names",
    targets: str = "every",
    newline: float = 0.0,
    hashes: bool = True,
) -> RunDirectory:
    """Write `root`/checkpoints/`name` as `textgen train --list` leaves it.

    Args:
        root: the working folder.
        items: of the list.
        name: of the run.
        targets: of the model.
        newline: what is added to the logit of the line end.
        hashes: whether the model file has those of the items.
    """
    run = RunDirectory(root / "checkpoints" / name)
    run.path.mkdir(parents=True)
    encoded = write_ids(["\n".join(items)], run.text)
    assert encoded is not None
    vocabulary = encoded.vocabulary
    found = arrange(run.text, vocabulary, 0.2, 1000, seed=0)
    config = ModelConfig(units=(6,), seq_length=8, targets=targets)
    model = tiny_model(config, vocabulary.characters)
    bias = np.zeros(len(vocabulary), np.float32)
    bias[vocabulary.lookup("\n")] = newline
    provenance = {
        "train_characters": found.characters - found.holdout,
        "holdout_characters": found.holdout,
        "items": asdict(found.items if hashes else replace(found.items, hashes="")),
        "val_loss": 1.0,
    }
    weights = {**model.weights, "logits/bias": bias}
    model = replace(model, weights=weights, default_prompt="\n", provenance=provenance)
    write_tiny(run.model, model)
    return run
