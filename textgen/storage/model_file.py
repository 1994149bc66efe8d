"""The model file: Keras's archive with `textgen.json` beside it, read without Keras and HDF5.

`textgen.json` notes where each weight lies inside `model.weights.h5`; `load_model` reads
these blocks and never interprets HDF5, whose library is not made for hostile bytes, nor
Keras's `config.json`, which can name any code.
"""

import codecs
import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from textgen.config import Cleaning, ModelConfig, SampleConfig
from textgen.errors import TextgenError
from textgen.messages import quoted, shown
from textgen.storage import archive, schema
from textgen.storage.atomic import atomic_write
from textgen.storage.keras_archive import FLOAT, WEIGHTS, KerasArchive
from textgen.storage.plain import open_plain
from textgen.storage.schema import Refused
from textgen.text.vocabulary import Vocabulary

FORMAT = 1
NOTES = "textgen.json"

MAX_CHARACTERS = 0x110000  # all there are; models of textgen 0.1.0 may know them
# With sums of 8,192 products this keeps every logit far inside float32.
MAX_WEIGHT = 1e6
# The largest vocabulary in UTF-8, the longest prompt and the provenance fit.
MAX_NOTES = 6 << 20
MAX_PROVENANCE = 512 << 10
# What HDF5 adds to the weights: about 8 kB a layer.
MAX_OVERHEAD = 1 << 20


@dataclass(frozen=True, eq=False)
class Model:
    """What a model file holds.

    Attributes:
        config: the architecture.
        vocabulary: characters and their ids.
        cleaning: how the training text was cleaned.
        weights: float32 arrays, names and shapes of `config.weight_shapes`.
        sampling: the defaults for `sample`.
        default_prompt: 1 to `seq_length` characters of the vocabulary.
        provenance: where the model came from; plain JSON values.
    """

    config: ModelConfig
    vocabulary: Vocabulary
    cleaning: Cleaning
    weights: Mapping[str, np.ndarray]
    sampling: SampleConfig
    default_prompt: str
    provenance: dict[str, Any]

    @property
    def parameters(self) -> int:
        """How many numbers the model learned."""
        return self.config.parameters(len(self.vocabulary))


def check_size(config: ModelConfig, vocabulary_size: int) -> None:
    """Check that a model fits into a model file, before anything of its size is allocated.

    Raises:
        TextgenError: it does not.
    """
    size = FLOAT.itemsize * config.parameters(vocabulary_size)
    if size > archive.MAX_BYTES - 2 * MAX_OVERHEAD - 2 * MAX_NOTES:
        raise TextgenError(
            f"Units {', '.join(map(str, config.units))} with {vocabulary_size:,} distinct "
            f"characters make {size:,} bytes of weights, more than a model file holds. "
            "Choose fewer --units."
        )


def load_model(path: str | Path) -> Model:
    """Read a model file that anybody may have made: no code runs, no other file is read.

    Memory is the size of the file, which is checked before anything is allocated.
    The weights are read-only views.

    Raises:
        TextgenError: the file is missing, damaged, or not one that `write_model` wrote.
    """
    try:
        file, size = open_plain(Path(path), archive.MAX_BYTES, follow=True)
        with file:
            return _read_model(file, size)
    except Refused as reason:
        raise TextgenError(
            f"{shown(path)} is not a usable model{_reason(Path(path), reason)}"
        ) from None
    except OSError as error:
        raise TextgenError(
            f"Could not read the model {shown(path)}: {error.strerror or error}."
        ) from error


def _reason(path: Path, reason: Refused) -> str:
    """Why a file is no model, and what to do."""
    if _is_text(path):
        return f" but a text. Train one on it: textgen train {quoted(str(path))}"
    return f": {reason}. Copy it again from its source, or train a new one."


def _is_text(path: Path) -> bool:
    """Whether a file begins like UTF-8 text."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(1000)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and "\0" not in text


def _read_model(file: BinaryIO, size: int) -> Model:
    members = archive.read_directory(file, size, NOTES)
    for name in members.keys() - {WEIGHTS}:
        if members[name].size > MAX_NOTES:
            raise Refused(f"its member {name} is larger than {MAX_NOTES:,} bytes")
        archive.read_member(file, members[name])  # compares the checksum
    notes = check_notes(schema.parse_json(archive.read_member(file, members[NOTES])))

    config = schema.settings(notes["architecture"], ModelConfig, "architecture")
    vocabulary = read_vocabulary(notes["vocabulary"])
    shapes = config.weight_shapes(len(vocabulary))
    if WEIGHTS not in members:
        raise Refused(f"it has no {WEIGHTS}")
    places = _places(notes["weights"], shapes, members[WEIGHTS].size)
    weights = _cut(archive.read_member(file, members[WEIGHTS]), places, shapes)
    _check_values(weights)
    if _sha256(weights) != notes["sha256"]:
        raise Refused("its weights are not those that were saved (sha256 differs)")
    return Model(
        config,
        vocabulary,
        schema.settings(notes["cleaning"], Cleaning, "cleaning"),
        weights,
        schema.settings(notes["sampling"], SampleConfig, "sampling"),
        _prompt(notes["default_prompt"], config, vocabulary),
        _provenance(notes["provenance"]),
    )


def check_notes(notes: Any) -> dict[str, Any]:
    """The top level of `textgen.json`; the format first, because a newer one may differ."""
    if isinstance(notes, dict) and type(notes.get("format")) is int and notes["format"] > FORMAT:
        raise Refused(
            f"it was made by a newer textgen (format {notes['format']}; this one reads "
            f"{FORMAT}; upgrade textgen)"
        )
    keys = ("format", "architecture", "vocabulary", "cleaning", "sampling", "default_prompt")
    schema.closed(notes, (*keys, "provenance", "weights", "sha256"), NOTES)
    schema.integer(notes["format"], FORMAT, FORMAT, "format")
    return notes


def read_vocabulary(value: Any) -> Vocabulary:
    """A vocabulary from JSON; raises `Refused`."""
    value = schema.closed(value, ("characters", "commonest"), "vocabulary")
    characters = schema.text(value["characters"], MAX_CHARACTERS, "characters")
    if any(left >= right for left, right in pairwise(characters)):
        raise Refused("characters are not distinct and in code point order")
    commonest = schema.text(value["commonest"], 1, "commonest")
    if commonest not in characters:
        raise Refused(f"commonest is {schema.brief(commonest)}, not one of the characters")
    return Vocabulary(characters, commonest)


def _prompt(value: Any, config: ModelConfig, vocabulary: Vocabulary) -> str:
    prompt = schema.text(value, config.seq_length, "default_prompt")
    if (vocabulary.lookup(prompt) == len(vocabulary)).any():
        raise Refused("default_prompt has a character that is not in the vocabulary")
    return prompt


def _provenance(value: Any) -> dict[str, Any]:
    provenance = schema.free_object(value, "provenance")
    if len(json.dumps(provenance)) > MAX_PROVENANCE:
        raise Refused(f"provenance is larger than {MAX_PROVENANCE:,} bytes")
    return provenance


def _places(table: Any, shapes: Mapping[str, tuple[int, ...]], size: int) -> dict[str, int]:
    """Offset of each weight inside the weight member of `size` bytes, checked to fit."""
    lengths = {name: math.prod(shape) * FLOAT.itemsize for name, shape in shapes.items()}
    if not 0 <= size - sum(lengths.values()) <= MAX_OVERHEAD:
        raise Refused(f"its {WEIGHTS} of {size:,} bytes is not of the size of its architecture")
    rows = schema.items(table, len(shapes), "weights")
    if len(rows) != len(shapes):
        raise Refused(f"weights has {len(rows)} rows, not {len(shapes)}")
    places = {}
    for row, (name, shape) in zip(rows, shapes.items(), strict=True):
        schema.closed(row, ("name", "shape", "offset"), "a row of weights")
        if row["name"] != name or row["shape"] != list(shape):
            raise Refused(f"the weight {name} is missing or has another shape than {shape}")
        places[name] = schema.integer(row["offset"], 0, size - lengths[name], f"offset of {name}")
    return places


def _cut(
    member: bytes, places: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Views of the weights inside the weight member."""
    return {
        name: np.frombuffer(member, FLOAT, math.prod(shape), places[name]).reshape(shape)
        for name, shape in shapes.items()
    }


def _check_values(weights: Mapping[str, np.ndarray]) -> None:
    for name, array in weights.items():
        low, high = float(array.min()), float(array.max())
        if not (low >= -MAX_WEIGHT and high <= MAX_WEIGHT):  # NaN fails as well
            raise Refused(f"the weight {name} holds NaN, infinite or absurd values")


def _sha256(weights: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in weights.values():
        digest.update(np.ascontiguousarray(array, FLOAT).data)
    return digest.hexdigest()


def write_model(path: str | Path, model: Model, template: KerasArchive) -> None:
    """Write a Keras archive of the model, with `textgen.json` in it.

    The same model gives the same bytes.

    Args:
        path: the file to write, atomically.
        model: what to write.
        template: Keras's archive of the same architecture.

    Raises:
        TextgenError: the file cannot be written, the weights are not finite, or the model
            breaks a limit of the format.
        ValueError: the template is of another architecture.
    """
    members = template.with_weights(model.weights)
    try:
        _check_values(model.weights)
        data = archive.pack({**members, NOTES: _notes(model, template.offsets)})
        _read_model(io.BytesIO(data), len(data))  # never write what could not be read
    except Refused as reason:
        raise TextgenError(
            f"The model was not saved to {shown(path)}: {reason}. "
            "Lower the learning rate or choose a smaller model."
        ) from None
    atomic_write(path, data)


def _notes(model: Model, places: Mapping[str, int]) -> bytes:
    """The bytes of `textgen.json`."""
    shapes = model.config.weight_shapes(len(model.vocabulary))
    vocabulary = {
        "characters": model.vocabulary.characters,
        "commonest": model.vocabulary.commonest,
    }
    notes = {
        "format": FORMAT,
        "architecture": asdict(model.config),
        "vocabulary": vocabulary,
        "cleaning": asdict(model.cleaning),
        "sampling": asdict(model.sampling),
        "default_prompt": model.default_prompt,
        "provenance": model.provenance,
        "weights": [
            {"name": name, "shape": shape, "offset": places[name]} for name, shape in shapes.items()
        ],
        "sha256": _sha256({name: model.weights[name] for name in shapes}),
    }
    return json.dumps(notes, ensure_ascii=False, allow_nan=False, indent=1).encode("utf-8")
