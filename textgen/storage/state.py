"""The resumable state of a run: one file of JSON and plain arrays, and the one before it.

magic          16 bytes
header length   8 bytes, little-endian
header          JSON: {"meta": ..., "arrays": [{"name", "dtype", "shape"}, ...]}
arrays          one after the other, C order, little-endian
sha256         32 bytes, over everything before
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from textgen.errors import TextgenError
from textgen.messages import note, shown
from textgen.storage import schema
from textgen.storage.atomic import atomic_write
from textgen.storage.plain import open_plain
from textgen.storage.schema import Refused

MAGIC = b"textgen state 1\n"
PREVIOUS = ".previous"
MAX_HEADER = 64 << 20
MAX_HEADER_VALUES = 1_000_000
MAX_STATE = 1 << 35
MAX_ARRAYS = 10_000
MAX_AXES = 8
MAX_LENGTH = 1 << 40
DTYPES = (
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)
_LENGTH = struct.Struct("<Q")
_START = len(MAGIC) + _LENGTH.size
_DIGEST = 32

SavedState = tuple[dict[str, Any], dict[str, np.ndarray]]


def previous_path(path: Path) -> Path:
    """Where the state before the newest is kept."""
    return path.with_name(path.name + PREVIOUS)


def write_state(
    path: str | Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a state; the one that stood at `path` is kept beside it as the previous one.

    Args:
        path: the state file.
        meta: plain JSON values, all numbers finite.
        arrays: any shapes, dtypes of `DTYPES`; no objects.

    Raises:
        TextgenError: it cannot be written; the last good state stays.
        TypeError, ValueError: meta or an array is not of the kind above.
    """
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header = json.dumps({"meta": meta, "arrays": _table(plain)}, allow_nan=False).encode("utf-8")
    schema.free_object(schema.parse_json(header, MAX_HEADER_VALUES)["meta"], "meta")
    path = Path(path)

    def fill(file: BinaryIO) -> None:
        digest = hashlib.sha256()
        blocks: list[bytes | memoryview] = [MAGIC, _LENGTH.pack(len(header)), header]
        for block in [*blocks, *map(_little, plain.values())]:
            digest.update(block)
            file.write(block)
        file.write(digest.digest())

    atomic_write(path, fill, keep=previous_path(path))


def _little(array: np.ndarray) -> memoryview:
    """The bytes of an array, little-endian."""
    plain = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return plain.reshape(-1).view(np.uint8).data


def _table(arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    for name, array in arrays.items():
        if array.dtype.name not in DTYPES:
            raise TypeError(f"The array {name} is of {array.dtype}, which a state cannot hold.")
    return [
        {"name": name, "dtype": array.dtype.name, "shape": array.shape}
        for name, array in arrays.items()
    ]


def read_state(path: str | Path) -> SavedState:
    """Read the newest good state: the file at `path`, or the previous one if it is damaged.

    Having to use the previous one is logged.

    Args:
        path: the state file.

    Returns:
        Meta and arrays as they were given to `write_state`; the arrays are writable.

    Raises:
        TextgenError: there is no undamaged state.
    """
    newest, previous = Path(path), previous_path(Path(path))
    reasons = []
    for candidate in (newest, previous):
        try:
            state = _read_one(candidate)
        except FileNotFoundError:
            continue
        except Refused as reason:
            reasons.append(f"{shown(candidate)} cannot be used: {reason}.")
        except OSError as error:
            reasons.append(f"{shown(candidate)} cannot be read: {error.strerror or error}.")
        else:
            if reasons:
                note(f"Note: {reasons[0]} Continuing from the state before it.")
            return state
    if not reasons:
        raise TextgenError(f"There is no saved state at {shown(newest)}, so nothing to resume.")
    raise TextgenError(" ".join([*reasons, "Train again under another --name."]))


def _read_one(path: Path) -> SavedState:
    file, size = open_plain(path, MAX_STATE)
    with file:
        digest = hashlib.sha256()
        header = _read_header(file, size, digest)
        arrays = _read_arrays(file, _rows(header["arrays"]), size, digest)
        if file.read(_DIGEST) != digest.digest():
            raise Refused("it is damaged (sha256 differs)")
    return schema.free_object(header["meta"], "meta"), arrays


def _read_header(file: BinaryIO, size: int, digest: Any) -> dict[str, Any]:
    start = file.read(_START)
    if not start.startswith(MAGIC) or len(start) != _START:
        raise Refused("it is not a state that this textgen wrote")
    (length,) = _LENGTH.unpack_from(start, len(MAGIC))
    if length > min(MAX_HEADER, size - _START - _DIGEST):
        raise Refused("it is cut short or damaged")
    data = file.read(length)
    digest.update(start)
    digest.update(data)
    return schema.closed(schema.parse_json(data, MAX_HEADER_VALUES), ("meta", "arrays"), "header")


def _rows(table: Any) -> list[tuple[str, np.dtype, tuple[int, ...]]]:
    """Names, dtypes and shapes, checked one by one."""
    if not isinstance(table, list) or len(table) > MAX_ARRAYS:
        raise Refused("its table of arrays is not a short list")
    rows = []
    for row in table:
        schema.closed(row, ("name", "dtype", "shape"), "a row of arrays")
        dtype = np.dtype(schema.choice(row["dtype"], DTYPES, "dtype")).newbyteorder("<")
        if not isinstance(row["shape"], list) or len(row["shape"]) > MAX_AXES:
            raise Refused("a shape is not a short list")
        shape = tuple(schema.integer(axis, 0, MAX_LENGTH, "axis") for axis in row["shape"])
        rows.append((schema.text(row["name"], 1000, "name"), dtype, shape))
    if len({name for name, _, _ in rows}) != len(rows):
        raise Refused("two arrays have one name")
    return rows


def _bytes(dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """The size of an array, in unbounded integers."""
    size = dtype.itemsize
    for axis in shape:
        size *= axis
    return size


def _read_arrays(
    file: BinaryIO, rows: list[tuple[str, np.dtype, tuple[int, ...]]], size: int, digest: Any
) -> dict[str, np.ndarray]:
    """The arrays, which together with the digest must fill the rest of the file."""
    if sum(_bytes(dtype, shape) for _, dtype, shape in rows) != size - file.tell() - _DIGEST:
        raise Refused("it is cut short or damaged")
    arrays = {}
    for name, dtype, shape in rows:
        block = bytearray(file.read(_bytes(dtype, shape)))
        if len(block) != _bytes(dtype, shape):
            raise Refused("it shrank while it was read")
        digest.update(block)
        arrays[name] = np.frombuffer(block, dtype).reshape(shape)
    return arrays


def check_arrays(arrays: Mapping[str, np.ndarray], like: Mapping[str, np.ndarray]) -> None:
    """Check that a state's arrays have the names, shapes and dtypes of those in `like`.

    Raises:
        TextgenError: they have not, so the state is not of this run.
    """
    found, wanted = _kinds(arrays), _kinds(like)
    if found != wanted:
        name = min(
            name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
        )
        raise TextgenError(
            f"The saved state is not of this run: the array {schema.brief(name)} is "
            f"{found.get(name, 'missing')}, not {wanted.get(name, 'expected')}. "
            "Train again under another --name."
        )


def _kinds(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    return {name: f"{array.dtype.name} {array.shape}" for name, array in arrays.items()}


def has_state(path: Path) -> bool:
    """Whether there is a state to resume from, damaged or not."""
    return any(os.path.lexists(candidate) for candidate in (path, previous_path(path)))
