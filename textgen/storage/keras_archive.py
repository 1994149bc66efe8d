"""The archive that Keras makes of a model: what stays between two saves, and where weights lie.

Keras stores each weight as one plain block of little-endian float32 inside
`model.weights.h5`. So the archive is made once, and later weights are patched into it.
"""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from textgen.config import ModelConfig

WEIGHTS = "model.weights.h5"
METADATA = "metadata.json"
FLOAT = np.dtype("<f4")
# What Keras calls a layer of each cell inside its weight file.
KERAS_NAMES = {"lstm": "lstm", "gru": "gru", "rnn": "simple_rnn"}


@dataclass(frozen=True)
class KerasArchive:
    """The members of a Keras archive, into which any weights can be put.

    Attributes:
        members: contents by name; of the same architecture always the same bytes.
        shapes: of the weights, by their names in `ModelConfig.weight_shapes`.
        offsets: of each weight inside the member `WEIGHTS`, in bytes.
    """

    members: Mapping[str, bytes]
    shapes: Mapping[str, tuple[int, ...]]
    offsets: Mapping[str, int]

    @classmethod
    def read(cls, data: bytes, config: ModelConfig, vocabulary_size: int) -> "KerasArchive":
        """Take apart what `keras.Model.save` wrote.

        Raises:
            ValueError: it is not of this architecture, or a weight is not a plain block.
        """
        import zipfile  # in training only

        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            members = {name: opened.read(name) for name in opened.namelist()}
        metadata = json.loads(members[METADATA])
        metadata.pop("date_saved", None)
        members[METADATA] = json.dumps(metadata).encode()
        shapes = config.weight_shapes(vocabulary_size)
        return cls(members, shapes, _find_weights(members[WEIGHTS], keras_paths(config), shapes))

    def with_weights(self, weights: Mapping[str, np.ndarray]) -> dict[str, bytes]:
        """The members of the archive that holds these weights.

        Args:
            weights: float32, of the names and shapes in `shapes`.

        Raises:
            ValueError: their names or shapes are others.
        """
        if {name: array.shape for name, array in weights.items()} != dict(self.shapes):
            raise ValueError("The weights are not those of the archive's architecture.")
        patched = bytearray(self.members[WEIGHTS])
        for name, offset in self.offsets.items():
            block = np.ascontiguousarray(weights[name], FLOAT).data.cast("B")
            patched[offset : offset + len(block)] = block
        return {**self.members, WEIGHTS: bytes(patched)}


def keras_paths(config: ModelConfig) -> dict[str, str]:
    """Where Keras keeps each weight inside its HDF5 file, by our name for it."""
    paths = {}
    for layer in range(config.num_layers):
        group = KERAS_NAMES[config.cell] + (f"_{layer}" if layer else "")
        for place, name in enumerate(("kernel", "recurrent_kernel", "bias")):
            paths[f"layer_{layer}/{name}"] = f"layers/{group}/cell/vars/{place}"
    return {**paths, "logits/kernel": "layers/dense/vars/0", "logits/bias": "layers/dense/vars/1"}


def _find_weights(
    weight_file: bytes, paths: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, int]:
    """Byte offset of each weight in Keras's HDF5 file."""
    import h5py

    offsets = {}
    with h5py.File(io.BytesIO(weight_file), "r") as file:
        for name, shape in shapes.items():
            dataset = file.get(paths[name])
            if dataset is None or dataset.shape != shape or dataset.dtype != FLOAT:
                raise ValueError(f"Keras did not store {name} as float32 {shape}.")
            start = dataset.id.get_offset()
            size = math.prod(shape) * FLOAT.itemsize
            if start is None or dataset[()].tobytes() != weight_file[start : start + size]:
                raise ValueError(f"Keras did not store {name} as one plain block.")
            offsets[name] = start
    return offsets
