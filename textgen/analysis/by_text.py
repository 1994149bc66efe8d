"""How well a model learned each of the texts that it was trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textgen.analysis.scoring import holdout_bits
from textgen.generation.network import Network
from textgen.storage.model_file import Model
from textgen.storage.provenance import Provenance
from textgen.storage.run_folder import read_run_text

MEASURED = 40_000  # characters in all, which takes a second or so


@dataclass(frozen=True)
class TextBits:
    """What a text costs under a model that was trained on it.

    Attributes:
        name: of the text.
        characters: its length, hold-out included.
        holdout: how many of them are held out.
        bpc: bits per character of the beginning of its hold-out; None where that is too short.
    """

    name: str
    characters: int
    holdout: int
    bpc: float | None


def bits_by_text(path: Path, model: Model) -> list[TextBits]:
    """Measure each text on its own hold-out; nothing where there is one hold-out of all.

    Args:
        path: the model file, with the text beside it.
        model: what it holds.
    """
    parts = Provenance.read(model.provenance).parts
    text = read_run_text(path, model) if parts else None
    if text is None:
        return []
    network, start, found = Network(model.config, model.weights), 0, []
    for part in parts:
        held = text.holdout[start : start + min(part.holdout, MEASURED // len(parts))]
        start += part.holdout
        found.append(TextBits(part.name, part.characters, part.holdout, _bpc(network, held)))
    return found


def _bpc(network: Network, ids: np.ndarray) -> float | None:
    """Bits per counted character of a hold-out (characters,)."""
    bits = holdout_bits(network, ids) if len(ids) else ids
    counted = bits[~np.isnan(bits)]
    return float(counted.mean()) if len(counted) else None
