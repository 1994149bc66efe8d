"""Whether a run that is continued still has its text."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from textgen.errors import TextgenError
from textgen.messages import shown
from textgen.storage.run import Run
from textgen.storage.run_folder import RunDirectory
from textgen.text.encoding import open_ids
from textgen.text.vocabulary import Vocabulary

BLOCK = 1 << 20  # ids that are checked at a time
LARGE = 1 << 30  # bytes; to hash more takes many seconds


def check_same_text(chunks: Iterable[str], run: Run, directory: RunDirectory) -> None:
    """Refuse to continue a run with another text."""
    digest, characters = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk.encode())
        characters += len(chunk)
    if digest.hexdigest() != run.sha256:
        raise TextgenError(
            f"The run {shown(directory.name)} was started with another text "
            f"({run.characters:,} characters, sha256 {run.sha256[:12]}; this one has "
            f"{characters:,}, {digest.hexdigest()[:12]}). "
            "Leave out the source, or start a new run with another --name."
        )


def check_ids(run: Run, directory: RunDirectory) -> None:
    """See that text.ids is still the text that run.json describes."""
    path = directory.text
    try:
        size = path.stat().st_size
        good = size == run.characters * run.vocabulary.dtype.itemsize
        good = good and not (size > LARGE and has_hole(path))
        good = good and text_sha256(path, run.vocabulary) == (run.ids_sha256 or run.sha256)
    except OSError as error:
        raise TextgenError(
            f"Could not read {shown(path)}: {error.strerror or error}. "
            "Train it again with --overwrite."
        ) from error
    if not good:
        raise TextgenError(
            f"{shown(path)} is not the text that this run was started with. "
            "Train it again with --overwrite."
        )


def has_hole(path: Path) -> bool:
    """Whether a file has a part that nobody wrote; False where the system cannot say."""
    if not hasattr(os, "SEEK_HOLE"):
        return False
    with path.open("rb") as file:
        return os.lseek(file.fileno(), 0, os.SEEK_HOLE) < os.fstat(file.fileno()).st_size


def text_sha256(path: Path, vocabulary: Vocabulary) -> str | None:
    """The hash of the text that the ids stand for, None if one stands for nothing."""
    ids = open_ids(path, len(vocabulary))
    digest = hashlib.sha256()
    for start in range(0, len(ids), BLOCK):
        block = ids[start : start + BLOCK]
        if int(block.max()) >= len(vocabulary):
            return None
        digest.update(vocabulary.decode(block).encode())
    return digest.hexdigest()
