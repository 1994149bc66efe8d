"""A stream of text becomes a file of ids and a vocabulary, in one pass over the text."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from textgen.text.vocabulary import Vocabulary, code_points, id_dtype

CODE_POINTS = 0x110000
REMAP_BLOCK = 1 << 22  # ids that are renumbered at a time


@dataclass(frozen=True)
class Part:
    """A part of a text that has a hold-out of its own.

    Attributes:
        characters: its length, hold-out included.
        holdout: characters of it that are held out.
    """

    characters: int
    holdout: int


@dataclass(frozen=True)
class EncodedText:
    """What is known of a text once its ids are on disk.

    Attributes:
        vocabulary: its distinct characters.
        characters: its length.
        sha256: of its UTF-8 bytes, in hexadecimal.
        lengths: of the texts that it is made of, where these are known.
    """

    vocabulary: Vocabulary
    characters: int
    sha256: str
    lengths: tuple[int, ...] = ()


class _Numbering:
    """Numbers characters in the order in which they first appear."""

    def __init__(self) -> None:
        self.unseen = np.uint32(CODE_POINTS)
        self.ids = np.full(CODE_POINTS, self.unseen, dtype=np.uint32)
        self.points = np.empty(0, dtype=np.uint32)
        self.counts = np.zeros(0, dtype=np.int64)

    def number(self, text: str) -> np.ndarray:
        """Ids (characters,) uint32 of one chunk; new characters get new numbers."""
        points = code_points(text)
        ids = self.ids[points]
        if ids.max() == self.unseen:
            new = np.unique(points[ids == self.unseen])
            self.ids[new] = np.arange(len(self.points), len(self.points) + len(new))
            self.points = np.concatenate([self.points, new])
            ids = self.ids[points]
        counts = np.bincount(ids, minlength=len(self.points))
        counts[: len(self.counts)] += self.counts
        self.counts = counts
        return ids


def write_ids(chunks: Iterable[str], path: Path) -> EncodedText | None:
    """Write the ids of a text to `path`, a raw array in the vocabulary's dtype.

    Memory does not grow with the text: characters are numbered as they first appear, in
    the smallest dtype that holds them so far, and renumbered in place in the end.

    Args:
        chunks: the text, piece by piece.
        path: the file to write; an existing one is replaced.

    Returns:
        What is known of the text, or None if it is empty.
    """
    numbering = _Numbering()
    sha256 = hashlib.sha256()
    characters = 0
    dtype = np.dtype(np.uint8)
    with path.open("wb+") as file:
        for chunk in filter(None, chunks):
            ids = numbering.number(chunk)
            if id_dtype(len(numbering.points)) != dtype:
                dtype = _widen(path, file.tell(), dtype, len(numbering.points))
                file.seek(0, 2)
            file.write(ids.astype(dtype).tobytes())
            file.flush()
            sha256.update(chunk.encode())
            characters += len(chunk)
    if not characters:
        return None
    return EncodedText(_in_order(path, dtype, numbering), characters, sha256.hexdigest())


def append_ids(
    chunks: Iterable[str], path: Path, vocabulary: Vocabulary, most: int
) -> tuple[int, int]:
    """Append a text to the ids of another one, as far as its characters are known.

    Args:
        chunks: the text, piece by piece.
        path: the file of the ids.
        vocabulary: which they are in.
        most: characters that are read of it.

    Returns:
        How many were appended, and how many are unknown.
    """
    read = appended = 0
    with path.open("ab") as file:
        for chunk in chunks:
            ids = vocabulary.lookup(chunk[: most - read])
            known = ids[ids < len(vocabulary)].astype(vocabulary.dtype)
            file.write(known.tobytes())
            read, appended = read + len(ids), appended + len(known)
            if read == most:
                break
    return appended, read - appended


def _widen(path: Path, size: int, old: np.dtype, vocabulary_size: int) -> np.dtype:
    """Rewrite `size` bytes of ids in the dtype that a grown vocabulary needs."""
    new = id_dtype(vocabulary_size)
    count = size // old.itemsize
    with path.open("ab") as file:
        # Not a hole: on a full disk, filling one through a memory map would end the process.
        for start in range(size, count * new.itemsize, REMAP_BLOCK):
            file.write(bytes(min(REMAP_BLOCK, count * new.itemsize - start)))
    if not count:
        return new
    # Back to front, so that no id is overwritten before it is read.
    narrow = np.memmap(path, dtype=old, mode="r", shape=(count,))
    wide = np.memmap(path, dtype=new, mode="r+", shape=(count,))
    for stop in range(count, 0, -REMAP_BLOCK):
        start = max(0, stop - REMAP_BLOCK)
        wide[start:stop] = np.array(narrow[start:stop])
    wide.flush()
    return new


def renumber(path: Path, old: Vocabulary, new: Vocabulary) -> None:
    """Renumber the ids of a text in place.

    Args:
        path: the ids, in the dtype of `old`.
        old: the vocabulary that they are in.
        new: one that has its characters, and more.
    """
    if new.dtype != old.dtype:
        _widen(path, path.stat().st_size, old.dtype, len(new))
    _replace(path, new.lookup(old.characters).astype(new.dtype))


def _in_order(path: Path, dtype: np.dtype, numbering: _Numbering) -> Vocabulary:
    """Renumber the ids in place so that they follow code point order."""
    order = np.argsort(numbering.points)
    rank = np.empty(len(order), dtype=dtype)
    rank[order] = np.arange(len(order), dtype=dtype)
    _replace(path, rank)
    characters = "".join(map(chr, numbering.points[order]))
    return Vocabulary(characters, chr(numbering.points[int(numbering.counts.argmax())]))


def _replace(path: Path, new: np.ndarray) -> None:
    """Replace each id by `new[id]`, of the dtype of the file."""
    ids = np.memmap(path, dtype=new.dtype, mode="r+")
    for start in range(0, len(ids), REMAP_BLOCK):
        block = ids[start : start + REMAP_BLOCK]
        block[:] = new[block]
    ids.flush()


def open_ids(file: Path | BinaryIO, vocabulary_size: int) -> np.ndarray:
    """The ids (characters,) on disk as a read-only memory map."""
    return np.memmap(file, dtype=id_dtype(vocabulary_size), mode="r").view(np.ndarray)
