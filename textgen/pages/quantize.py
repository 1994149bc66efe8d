"""Weights in few bits: 8 with a scale for each column, or 16, and what that costs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from textgen.analysis.scoring import holdout_bits
from textgen.config import ModelConfig
from textgen.generation.network import Network
from textgen.generation.sampling import Sample, Settings, whole_texts
from textgen.messages import nats
from textgen.storage.model_file import Model

# Nats a character that a page may lose against float32.
TOLERANCE = 0.002
# Characters on which the loss is measured; windows cost seq_length steps each.
MEASURED = {"every": 20_000, "last": 2_000}
WRITTEN = 2_000  # where there is no hold-out, of a text that the model writes
LARGEST = 127  # an 8-bit weight is -127 to 127 times its column's scale
LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Packed:
    """The weights as a page holds them.

    Attributes:
        bits: of a weight, 8 or 16; biases are float32 always.
        data: all weights, one after the other in the order of `ModelConfig.weight_shapes`. A
            kernel is stored column by column: in 8 bits the scales of its columns (float32)
            come first.
        weights: what the page reads from that, float32 arrays by name.
        loss: nats a character more than float32; NaN before it is measured.
    """

    bits: int
    data: bytes
    weights: dict[str, np.ndarray]
    loss: float = float("nan")


def pack(weights: Mapping[str, np.ndarray], bits: int) -> Packed:
    """Put weights into 8 or 16 bits each.

    Args:
        weights: float32 arrays by name, in the order of `ModelConfig.weight_shapes`.
        bits: 8 or 16.
    """
    parts, read = [], {}
    for name, weight in weights.items():
        if name.endswith("bias"):
            parts.append(weight.astype("<f4").tobytes())
            read[name] = weight
        elif bits == 16:
            half = np.clip(weight, -LARGEST_HALF, LARGEST_HALF).astype("<f2")
            parts.append(half.T.tobytes())
            read[name] = half.astype(np.float32)
        else:
            scales = np.abs(weight).max(axis=0) / np.float32(LARGEST)
            whole = np.rint(weight / np.where(scales > 0, scales, 1)).astype(np.int8)
            parts += [scales.astype("<f4").tobytes(), whole.T.tobytes()]
            read[name] = whole * scales
    return Packed(bits, b"".join(parts), read)


def packed_size(config: ModelConfig, vocabulary_size: int, bits: int) -> int:
    """How many bytes `pack` makes of a model."""
    size = 0
    for name, shape in config.weight_shapes(vocabulary_size).items():
        if name.endswith("bias"):
            size += 4 * int(np.prod(shape))
        else:
            size += bits // 8 * shape[0] * shape[1] + (4 * shape[1] if bits == 8 else 0)
    return size


def pack_as_small_as_harmless(model: Model, holdout: np.ndarray | None) -> Packed:
    """The weights in 8 bits, or in 16 where 8 make the loss more than `TOLERANCE` worse.

    Args:
        model: whose weights.
        holdout: ids (characters,) on which the loss is measured; None to measure it on a text
            that the model writes.
    """
    text = written(model) if holdout is None else holdout
    text = text[: MEASURED[model.config.targets]]
    exact = loss(model, model.weights, text)
    for bits in (8, 16):
        packed = pack(model.weights, bits)
        worse = loss(model, packed.weights, text) - exact
        if worse <= TOLERANCE:
            break
    return Packed(bits, packed.data, packed.weights, worse)


def loss(model: Model, weights: Mapping[str, np.ndarray], ids: np.ndarray) -> float:
    """Nats a character of a text (characters,) under a model with other weights."""
    bits = holdout_bits(Network(model.config, weights), ids)
    return nats(float(np.nanmean(bits))) if np.isfinite(bits).any() else 0.0


def written(model: Model) -> np.ndarray:
    """Ids (characters,) of a text by the model itself."""
    network = Network(model.config, model.weights)
    prompt = model.vocabulary.encode(model.default_prompt)
    settings = Settings(model.vocabulary.characters)
    (text,) = whole_texts(network, prompt, [Sample(0, 1.0, WRITTEN, seed=0)], settings)
    return model.vocabulary.encode(text)
