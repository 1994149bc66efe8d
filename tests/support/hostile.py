"""Hostile model files, one for each published kind of hole in loading Keras models.

Each maker takes a folder and writes one file there; its payload, where it has one, would
create the file `canary` in that folder. `HARMLESS` files are complete models whose hostile
part textgen never looks at; all others must be refused.
"""

import base64
import functools
import hashlib
import io
import json
import marshal
import os
import pickle
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from support.tiny import tiny_model, write_tiny

from textgen.storage import archive
from textgen.storage.model_file import Model

Maker = Callable[[Path], Path]
NOTES, WEIGHTS = "textgen.json", "model.weights.h5"


@functools.cache
def honest_members() -> dict[str, bytes]:
    """The members of an honest model file."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_tiny(Path(folder, "honest.keras"))
        with zipfile.ZipFile(path) as opened:
            return {name: opened.read(name) for name in opened.namelist()}


def forge(folder: Path, changes: dict[str, bytes]) -> Path:
    """A well-formed archive of an honest model with some members replaced."""
    path = folder / "model.keras"
    path.write_bytes(archive.pack({**honest_members(), **changes}))
    return path


def with_notes(folder: Path, notes: Any) -> Path:
    """A model file with another `textgen.json`."""
    data = notes if isinstance(notes, bytes) else json.dumps(notes).encode()
    return forge(folder, {NOTES: data})


def honest_notes() -> dict[str, Any]:
    """What `textgen.json` says in an honest model file."""
    notes: dict[str, Any] = json.loads(honest_members()[NOTES])
    return notes


# config.json: code that Keras could be made to run, files that it could be made to read


def config_with(layer: Callable[[str], dict[str, Any]]) -> Maker:
    """A model whose config.json has a hostile layer; `layer` is given the path of the canary."""

    def make(folder: Path) -> Path:
        config = {
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "config": {"name": "model", "layers": [layer(str(folder / "canary"))]},
        }
        return forge(folder, {"config.json": json.dumps(config).encode()})

    return make


def named(module: str, class_name: str, config: Any, **more: Any) -> dict[str, Any]:
    """An object as Keras serialises it."""
    return {"module": module, "class_name": class_name, "config": config, **more}


def lambda_bytecode(canary: str) -> dict[str, Any]:
    """CVE-2024-3660: a Lambda layer with marshalled bytecode."""
    code = compile(f"open({canary!r}, 'w')", "lambda", "eval")
    encoded = base64.b64encode(marshal.dumps(code)).decode()
    function = named("builtins", "__lambda__", {"code": encoded, "defaults": None, "closure": None})
    return named("keras.layers", "Lambda", {"name": "l", "function": function})


def named_function(canary: str) -> dict[str, Any]:
    """CVE-2025-1550: any module and function named in the configuration."""
    call = {"args": [f"touch {canary}"], "kwargs": {}}
    return named("os", "function", "system", registered_name="system", inbound_nodes=[call])


def gadget(canary: str) -> dict[str, Any]:
    """CVE-2025-8747: a function of Keras itself that downloads to a place of its choice."""
    call = {"args": ["x", f"file://{canary}"], "kwargs": {"cache_dir": "/tmp"}}
    return named("keras.utils", "function", "get_file", inbound_nodes=[call])


def unsafe_switch(canary: str) -> dict[str, Any]:
    """CVE-2025-9906: the configuration switches Keras's safe mode off, then runs a Lambda."""
    switch = named("keras.config", "function", "enable_unsafe_deserialization")
    return {**switch, "then": lambda_bytecode(canary)}


def saved_model_layer(canary: str) -> dict[str, Any]:
    """CVE-2026-1462: a TFSMLayer names a SavedModel with operations of its own."""
    return named("keras.layers", "TFSMLayer", {"name": "t", "filepath": str(Path(canary).parent)})


def vocabulary_file(canary: str) -> dict[str, Any]:
    """CVE-2025-12058: StringLookup reads its vocabulary from any file or address."""
    return named("keras.layers", "StringLookup", {"name": "s", "vocabulary": "/etc/hostname"})


class _Touch:
    """Unpickling creates a file."""

    def __init__(self, path: str):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.path, "w"))


def torch_pickle(canary: str) -> dict[str, Any]:
    """CVE-2025-49655: TorchModuleWrapper holds a pickle."""
    module = base64.b64encode(pickle.dumps(_Touch(canary))).decode()
    return named("keras.layers", "TorchModuleWrapper", {"name": "t", "module": module})


def nested_model(canary: str) -> dict[str, Any]:
    """A Lambda whose function is load_model with safe_mode off, fed with another file."""
    function = named("keras.models", "function", "load_model", registered_name="function")
    config = {"name": "l", "function": function, "arguments": {"safe_mode": False}}
    return named("keras.layers", "Lambda", config, inbound_nodes=[{"args": [canary]}])


# model.weights.h5: what HDF5 could be made to follow, allocate or inflate


def mended(folder: Path, write: Callable[[h5py.File], None], model: Model | None = None) -> Path:
    """Another HDF5 file, behind it honest weights, and a `textgen.json` that agrees."""
    parts, model, hdf5 = honest_members(), model or tiny_model(), io.BytesIO()
    with h5py.File(hdf5, "w") as file:
        write(file)
    data, notes, digest = hdf5.getvalue(), json.loads(parts[NOTES]), hashlib.sha256()
    for row in notes["weights"]:
        row["offset"] = len(data)
        block = model.weights[row["name"]].tobytes()
        digest.update(block)
        data += block
    notes["sha256"] = digest.hexdigest()
    return forge(folder, {WEIGHTS: data, NOTES: json.dumps(notes).encode()})


def external_storage(file: h5py.File) -> None:
    """CVE-2026-1669: a dataset whose bytes are another file's."""
    outside = [("/etc/hostname", 0, 16)]
    file.create_dataset("layers/lstm/cell/vars/0", (4,), "f4", external=outside)


def external_link(file: h5py.File) -> None:
    """A group that is a link into another file."""
    file["layers/lstm"] = h5py.ExternalLink("/etc/hostname", "/")


def soft_link_circle(file: h5py.File) -> None:
    """Links that lead to each other."""
    file["layers/lstm"] = h5py.SoftLink("/layers/dense")
    file["layers/dense"] = h5py.SoftLink("/layers/lstm")


def virtual_dataset(file: h5py.File) -> None:
    """A dataset composed of another file's."""
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    file.create_virtual_dataset("layers/lstm/cell/vars/0", layout)


def shape_bomb(file: h5py.File) -> None:
    """CVE-2026-0897: a few bytes that declare terabytes."""
    shape, chunks = (1 << 20, 1 << 20), (1024, 1024)
    file.create_dataset("layers/lstm/cell/vars/0", shape, "f4", chunks=chunks, fillvalue=1)


def filter_bomb(file: h5py.File) -> None:
    """A compressed dataset of zeros, a thousand times larger than its bytes."""
    zeros = np.zeros((1 << 20,), "f4")
    file.create_dataset("layers/lstm/cell/vars/0", data=zeros, compression="gzip")


def hdf5_with(write: Callable[[h5py.File], None]) -> Maker:
    """A whole model around a hostile HDF5 file, all checksums mended."""
    return lambda folder: mended(folder, write)


HARMLESS: dict[str, Maker] = {
    "Lambda bytecode": config_with(lambda_bytecode),
    "module and function named": config_with(named_function),
    "gadget of Keras": config_with(gadget),
    "safe mode switched off": config_with(unsafe_switch),
    "TFSMLayer": config_with(saved_model_layer),
    "vocabulary from a file": config_with(vocabulary_file),
    "pickle in TorchModuleWrapper": config_with(torch_pickle),
    "load_model inside": config_with(nested_model),
    "config that is no JSON": lambda folder: forge(folder, {"config.json": b"{" * 10_000}),
    "external HDF5 storage": hdf5_with(external_storage),
    "external HDF5 link": hdf5_with(external_link),
    "circle of HDF5 links": hdf5_with(soft_link_circle),
    "virtual HDF5 dataset": hdf5_with(virtual_dataset),
    "HDF5 shape bomb": hdf5_with(shape_bomb),
    "HDF5 filter bomb": hdf5_with(filter_bomb),
}


# Other formats


def written(data: Callable[[Path], bytes]) -> Maker:
    """A file of these bytes."""

    def make(folder: Path) -> Path:
        path = folder / "model.keras"
        path.write_bytes(data(folder))
        return path

    return make


def legacy_h5(folder: Path) -> bytes:
    """CVE-2025-9905: the legacy format, in which safe mode is ignored."""
    hdf5 = io.BytesIO()
    with h5py.File(hdf5, "w") as file:
        file.attrs["model_config"] = json.dumps(lambda_bytecode(str(folder / "canary")))
    return hdf5.getvalue()


def pickled(folder: Path) -> bytes:
    """A pickle under the name of a model."""
    return pickle.dumps(_Touch(str(folder / "canary")))


def object_arrays(folder: Path) -> bytes:
    """NumPy's own archive with a pickled object array."""
    data = io.BytesIO()
    np.savez(data, a=np.array([_Touch(str(folder / "canary"))], dtype=object))
    return data.getvalue()


def tar_archive(folder: Path) -> bytes:
    """CVE-2025-12060 and CVE-2025-12638: an archive that unpacks outside its folder."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as opened:
        opened.addfile(tarfile.TarInfo("../canary"))
    return data.getvalue()


def plain_keras(folder: Path) -> bytes:
    """An archive of Keras that has no textgen.json."""
    return zipped({name: data for name, data in honest_members().items() if name != NOTES})


# Zip


def zipped(parts: dict[str, bytes], **options: Any) -> bytes:
    """An archive as Python's zipfile makes it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", **options) as opened:
        for name, content in parts.items():
            opened.writestr(name, content)
    return data.getvalue()


def zip_bomb(folder: Path) -> bytes:
    """Deflated zeros."""
    parts = {**honest_members(), WEIGHTS: bytes(100 << 20)}
    return zipped(parts, compression=zipfile.ZIP_DEFLATED)


def overlapping_members(folder: Path) -> bytes:
    """Two directory entries for one member's bytes."""
    body, directory, count = split()
    last = directory[directory.rindex(b"PK\1\2") :]
    again = last.replace(NOTES.encode(), b"textgen.jsom")
    return joined(body, directory + again, count + 1, len(body))


def duplicate_members(folder: Path) -> bytes:
    """Two members of one name, of which readers could choose different ones."""
    parts = honest_members()
    other = archive.pack({**parts, "textgen.jsom": parts[NOTES].replace(b'"seed"', b'"evil"')})
    return other.replace(b"textgen.jsom", NOTES.encode())


def extra_member(name: str) -> Maker:
    """A model with one more member."""
    return written(lambda folder: archive.pack({**honest_members(), name: b"x"}))


def patched(pattern: bytes, offset: int, value: bytes) -> Maker:
    """A model with bytes replaced at `offset` behind the first `pattern`."""

    def data(folder: Path) -> bytes:
        whole = archive.pack(honest_members())
        place = whole.index(pattern) + offset
        return whole[:place] + value + whole[place + len(value) :]

    return written(data)


def zip64(folder: Path) -> bytes:
    """A 64-bit directory that disagrees with the plain one."""
    data = archive.pack(honest_members())
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 10**9, 10**9, 10**9, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(data) - 22, 1)
    return data[:-22] + end64 + locator + data[-22:]


def split() -> tuple[bytes, bytes, int]:
    """Members, directory, and number of entries of an honest archive."""
    data = archive.pack(honest_members())
    start = struct.unpack_from("<L", data, len(data) - 6)[0]
    return data[:start], data[start:-22], len(honest_members())


def joined(body: bytes, directory: bytes, count: int, start: int) -> bytes:
    """An archive of these parts, whose end says that the directory begins at `start`."""
    fields = (b"PK\5\6", 0, 0, count, count, len(directory), start, 0)
    return body + directory + struct.pack("<4s4H2LH", *fields)


def gap(folder: Path) -> bytes:
    """Bytes between the members and the directory."""
    body, directory, count = split()
    return joined(body + b"hidden", directory, count, len(body) + 6)


def slack(folder: Path) -> bytes:
    """A directory with bytes behind its last entry."""
    body, directory, count = split()
    return joined(body, directory + b"hidden", count, len(body))


def directory_elsewhere(folder: Path) -> bytes:
    """An end that sends readers to another place than just before itself."""
    body, directory, count = split()
    return joined(body, directory, count, len(body) - 60)


def many_members(folder: Path) -> bytes:
    """A directory of 60,000 entries."""
    return archive.pack({**honest_members(), **{f"m{number}": b"" for number in range(60_000)}})


def sparse(folder: Path) -> Path:
    """5 GB of nothing, with a directory at its end."""
    path = forge(folder, {})
    data = path.read_bytes()
    with path.open("wb") as file:
        file.seek(5 << 30)
        file.write(data)
    return path


def sparse_member(name: str) -> Maker:
    """A member of nearly 2 GB which takes no place on the disk."""

    def make(folder: Path) -> Path:
        size, path = (1 << 31) - 20_000, folder / "model.keras"
        parts = honest_members()
        small = archive.pack({**{n: d for n, d in parts.items() if n != name}, name: b""})
        start = struct.unpack_from("<L", small, len(small) - 6)[0]
        directory = bytearray(small[start:-22])
        local = bytearray(small[small.rindex(b"PK\3\4") : start])
        entry = directory.rindex(b"PK\1\2")
        struct.pack_into("<2L", local, 18, size, size)
        struct.pack_into("<2L", directory, entry + 20, size, size)
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 4, 4, len(directory), start + size, 0)
        with path.open("wb") as file:
            file.write(small[: start - len(local)] + local)
            file.seek(start + size)
            file.write(directory + end)
        return path

    return make


# textgen.json


def notes_of(data: bytes) -> Maker:
    """A model whose textgen.json is `data`."""
    return lambda folder: with_notes(folder, data)


def architecture_bomb(folder: Path) -> Path:
    """Layers of 8,192 units, 30 GB of weights, in a file of a few kB."""
    notes = honest_notes()
    notes["architecture"]["units"] = [8192] * 16
    return with_notes(folder, notes)


def huge_vocabulary(folder: Path) -> Path:
    """All of Unicode as the vocabulary."""
    notes = honest_notes()
    points = (point for point in range(1, 0x110000) if not 0xD800 <= point < 0xE000)
    notes["vocabulary"]["characters"] = "".join(map(chr, points))
    return with_notes(folder, json.dumps(notes, ensure_ascii=False).encode())


def escapes(folder: Path) -> Path:
    """Keys that would move a terminal's cursor if they were printed."""
    notes = honest_notes()
    return with_notes(folder, {**notes, "\x1b[2J\x1b]0;owned\x07\n" + "x" * 10_000: 1})


def pipe(folder: Path) -> Path:
    """A pipe into which nobody writes."""
    os.mkfifo(folder / "model.keras")
    return folder / "model.keras"


# How it is made, and why it is refused.
REFUSED: dict[str, tuple[Maker, str]] = {
    "legacy h5": (written(legacy_h5), "a legacy HDF5 file"),
    "pickle": (written(pickled), "cut short or not an archive"),
    "npz of objects": (written(object_arrays), "has no textgen.json"),
    "tar that leaves its folder": (written(tar_archive), "cut short or not an archive"),
    "Keras archive without textgen.json": (written(plain_keras), "has no textgen.json"),
    "zip bomb": (written(zip_bomb), "packed by another program"),
    "overlapping members": (written(overlapping_members), "packed by another program"),
    "duplicate members": (written(duplicate_members), "packed by another program"),
    "path traversal": (extra_member("../canary"), "packed by another program"),
    "path traversal inside": (extra_member("assets/../../canary"), "packed by another program"),
    "absolute path": (extra_member("/tmp/canary"), "packed by another program"),
    "backslashes": (extra_member("..\\canary"), "packed by another program"),
    "drive letter": (extra_member("C:canary"), "packed by another program"),
    "member name with a line break": (extra_member("a\nb"), "packed by another program"),
    "member name with an escape": (extra_member("\x1b[2J"), "packed by another program"),
    "empty member name": (extra_member(""), "packed by another program"),
    "encrypted flag": (patched(b"PK\1\2", 8, b"\1"), "packed by another program"),
    "compressed method": (patched(b"PK\1\2", 10, b"\x08"), "packed by another program"),
    "symbolic link": (
        patched(b"PK\1\2", 38, struct.pack("<L", 0o120777 << 16)),
        "packed by another program",
    ),
    "local name differs": (patched(b"metadata.json", 0, b"metadatA"), "packed by another program"),
    "local size differs": (patched(b"PK\3\4", 18, b"\0\0\0\0"), "packed by another program"),
    "4 GB declared": (patched(b"PK\1\2", 20, b"\xff" * 8), "packed by another program"),
    "directory of 4 GB": (patched(b"PK\5\6", 12, b"\xff" * 4), "cut short or not an archive"),
    "another disk": (patched(b"PK\5\6", 4, b"\1"), "cut short or not an archive"),
    "comment declared": (patched(b"PK\5\6", 20, b"\xff\xff"), "cut short or not an archive"),
    "zip64": (written(zip64), "cut short or not an archive"),
    "60,000 members": (written(many_members), "too many members"),
    "directory elsewhere": (written(directory_elsewhere), "cut short or not an archive"),
    "gap before the directory": (written(gap), "bytes that belong to no member"),
    "bytes behind the directory": (written(slack), "bytes that belong to no member"),
    "bytes before the archive": (
        written(lambda f: b"#!/bin/sh\n" + archive.pack(honest_members())),
        "cut short or not an archive",
    ),
    "bytes after the archive": (
        written(lambda f: archive.pack(honest_members()) + b"x"),
        "cut short or not an archive",
    ),
    "5 GB file": (sparse, "it is larger than"),
    "2 GB of weights": (sparse_member(WEIGHTS), "not of the size of its architecture"),
    "2 GB of textgen.json": (sparse_member(NOTES), "textgen.json is larger than"),
    "2 GB of config": (sparse_member("config.json"), "config.json is larger than"),
    "JSON: 100,000 brackets deep": (notes_of(b"[" * 99_000), "nested too deeply"),
    "JSON: objects 30,000 deep": (notes_of(b'{"a":' * 30_000), "nested too deeply"),
    "JSON: a million values": (notes_of(b"[" + b"{}," * 1_000_000 + b"{}]"), "too many values"),
    "JSON: one string of 6 MB": (
        notes_of('"🙂'.encode() + b"a" * (6 << 20) + b'"'),
        "textgen.json is larger than",
    ),
    "JSON: a number of a million digits": (
        notes_of(b'{"format":' + b"9" * 1_000_000 + b"}"),
        "holds the number",
    ),
    "JSON: 1e999": (notes_of(b'{"format": 1e999}'), "holds the number '1e999'"),
    "JSON: NaN": (notes_of(b'{"format": NaN}'), "holds NaN"),
    "JSON: UTF-16": (notes_of('{"format": 1}'.encode("utf-16")), "cannot be read"),
    "JSON: not UTF-8": (notes_of(b'{"format": "\xff"}'), "cannot be read"),
    "JSON: key twice": (notes_of(b'{"format": 1, "format": 1}'), "repeats a key"),
    "JSON: a list": (notes_of(b"[1]"), "not an object"),
    "JSON: null": (notes_of(b"null"), "not an object"),
    "JSON: empty": (notes_of(b""), "cannot be read"),
    "architecture bomb": (architecture_bomb, "not of the size of its architecture"),
    "all of Unicode": (huge_vocabulary, "not of the size of its architecture"),
    "terminal escapes": (escapes, "unknown key"),
    "pipe": (pipe, "not a regular file"),
    "endless device": (lambda folder: Path("/dev/zero"), "not a regular file"),
    "folder": (lambda folder: folder, "not a regular file"),
    "empty file": (written(lambda folder: b""), "too short"),
}

PUBLISHED = (
    "Lambda bytecode",
    "module and function named",
    "gadget of Keras",
    "safe mode switched off",
    "TFSMLayer",
    "vocabulary from a file",
    "pickle in TorchModuleWrapper",
    "external HDF5 storage",
    "external HDF5 link",
    "HDF5 shape bomb",
    "legacy h5",
    "pickle",
    "zip bomb",
    "overlapping members",
    "duplicate members",
    "path traversal",
    "4 GB declared",
    "5 GB file",
    "JSON: 100,000 brackets deep",
    "architecture bomb",
    "terminal escapes",
    "endless device",
)
