"""The text a run was trained on, where it still lies beside the model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textgen.storage.model_file import Model
from textgen.storage.provenance import Provenance
from textgen.storage.run_folder import RunDirectory
from textgen.text.encoding import open_ids


@dataclass(frozen=True)
class RunText:
    """The two parts of a run's text.

    Attributes:
        train: ids (characters,) that the model learned from; a memory map.
        holdout: ids (characters,) of the tail, which it has not seen; a memory map.
    """

    train: np.ndarray
    holdout: np.ndarray


def read_run_text(model_path: Path, model: Model) -> RunText | None:
    """The text beside a model file, or None where there is none that fits the model.

    Args:
        model_path: the model file, in its run directory.
        model: what it holds.
    """
    path = RunDirectory(model_path.parent).text
    provenance = Provenance.read(model.provenance)
    train, holdout = provenance.train_characters, provenance.holdout_characters
    if train is None or holdout is None or not path.is_file():
        return None
    size = (train + holdout) * model.vocabulary.dtype.itemsize
    if size == 0 or path.stat().st_size != size:
        return None
    ids = open_ids(path, len(model.vocabulary))
    if int(ids.max()) >= len(model.vocabulary):
        return None
    return RunText(ids[:train], ids[train:])
