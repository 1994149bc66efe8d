"""Run directories: what lies in them, which one is meant, their lock and their text."""

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

import numpy as np

from textgen.errors import TextgenError
from textgen.messages import note, shown
from textgen.storage.atomic import remove_temporaries
from textgen.storage.model_file import Model
from textgen.storage.plain import open_or_note
from textgen.storage.provenance import Provenance
from textgen.text.encoding import open_ids

ROOT = Path("checkpoints")
BUILTIN = "builtin:"
ENGLISH = f"{BUILTIN}english"  # the model to start from
REPLACED = ".old-"  # before the name of a run that another one replaces
# A larger text.ids is trained on, but not searched or counted: that would take minutes.
MAX_TEXT = 1 << 32


@dataclass(frozen=True)
class RunDirectory:
    """The names of what lies in a run directory."""

    path: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def model(self) -> Path:
        """The best model so far."""
        return self.path / "model.keras"

    @property
    def settings(self) -> Path:
        """What the run trains, and how."""
        return self.path / "run.json"

    @property
    def state(self) -> Path:
        """What resuming needs."""
        return self.path / "state"

    @property
    def text(self) -> Path:
        """The encoded training text."""
        return self.path / "text.ids"

    @property
    def log(self) -> Path:
        """One row an evaluation."""
        return self.path / "log.csv"

    @property
    def samples(self) -> Path:
        """The folder of texts that the model wrote while it learned."""
        return self.path / "samples"

    @property
    def lock(self) -> Path:
        """Held by the process that trains here."""
        return self.path / "lock"

    @property
    def replaced(self) -> Path:
        """Where the run waits that this one replaces once it has a model."""
        return self.path.with_name(REPLACED + self.name)


def is_run(path: Path) -> bool:
    """Whether a folder holds a run that this user can read, with a model or without."""
    return os.path.isfile(RunDirectory(path).settings)  # noqa: PTH113 - false also where forbidden


def runs(root: Path = ROOT) -> list[RunDirectory]:
    """All runs under `root` that have a model, newest model first."""
    try:
        folders = [folder for folder in root.iterdir() if not folder.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise TextgenError(f"Could not list {shown(root)}: {error.strerror or error}.") from error
    found = []
    for run in map(RunDirectory, folders):
        with suppress(OSError):  # gone by now, or somebody else's
            status = run.model.stat()
            if stat.S_ISREG(status.st_mode):
                found.append((status.st_mtime_ns, run.name, run))
    return [run for _, _, run in sorted(found, key=lambda item: item[:2], reverse=True)]


def default_run_name(stem: str, root: Path = ROOT) -> str:
    """A free name made of a source's stem: stem, stem-2, stem-3 and so on."""
    base = name = first_name(stem)
    number = 2
    while os.path.lexists(root / name):
        name, number = f"{base}-{number}", number + 1
    return name


def first_name(stem: str) -> str:
    """The name that a run after a source has if it is free."""
    return re.sub(r"[^\w.+-]+", "-", stem)[:80].strip("-.") or "run"


def find_model(name_or_path: str | Path | None, root: Path = ROOT) -> Path:
    """The model file that is meant.

    Args:
        name_or_path: the name of a run under `root`; a run directory; a model file;
            `builtin:NAME`, or NAME where nothing else is called so, for a model that ships
            with textgen; or None for the newest run.
        root: where the runs are.

    Raises:
        TextgenError: there is none.
    """
    if name_or_path is None:
        if newest := _newest_model(root):
            return newest
        raise TextgenError(
            f"There is no model in {shown(root.absolute())} yet. Train one first: textgen train"
        )
    name = os.fspath(name_or_path)
    if name.startswith(BUILTIN) and (shipped := _shipped(name.removeprefix(BUILTIN))):
        return shipped
    given = Path(name)
    candidates = [RunDirectory(given).model, given]
    if len(given.parts) == 1 and given.name not in ("", ".."):
        run = RunDirectory(root / given)
        candidates = [run.model, RunDirectory(run.replaced).model, *candidates]
    for candidate in candidates:
        if os.path.isfile(candidate):  # noqa: PTH113 - false for names that no system allows
            return candidate
    if shipped := _shipped(name):
        return shipped
    raise TextgenError(_not_found(given, root))


def is_model(name: str) -> bool:
    """Whether a name or path is that of a model."""
    try:
        find_model(name)
    except TextgenError:
        return False
    return True


def default_model(root: Path = ROOT) -> Path:
    """The model of the newest run; where there is none yet, the English one, and a note."""
    if newest := _newest_model(root):
        return newest
    note(f"There is no run in {shown(root)} yet, so {ENGLISH} writes.")
    return find_model(ENGLISH)


def _newest_model(root: Path) -> Path | None:
    """The newest model that this user may read."""
    effective = os.access in os.supports_effective_ids
    models = (run.model for run in runs(root))
    return next((m for m in models if os.access(m, os.R_OK, effective_ids=effective)), None)


def _shipped(name: str) -> Path | None:
    """The file of a model that ships with textgen, None if there is none of that name."""
    (folder,) = import_module("textgen.models").__path__
    return {path.stem: path for path in Path(folder).glob("*.keras")}.get(name)


def model_name(path: Path) -> str:
    """What a person calls a model file: its run's name, that of a shipped one, else the file's."""
    if _has_shipped(path):
        return BUILTIN + path.stem
    run = RunDirectory(path.parent)
    return run.name if path == run.model and run.name else path.name


def model_argument(path: Path) -> str:
    """What names a model file to a command: its run's name where that will do, else the path."""
    if _has_shipped(path):
        return model_name(path)
    run = RunDirectory(ROOT / path.parent.name)
    return run.name if path == run.model else str(path)


def page_path(path: Path, name: str) -> Path:
    """Where a page about a model goes: beside its file; of one that ships, into this folder."""
    return Path(name) if _has_shipped(path) else path.parent / name


def _has_shipped(path: Path) -> bool:
    """Whether a file is a model that ships with textgen."""
    return path.parent.name == "models" and path == _shipped(path.stem)


def _not_found(given: Path, root: Path) -> str:
    """Why `given` is not a model, and what might have been meant."""
    if os.path.isdir(given):  # noqa: PTH112 - as above
        return f"{shown(given)} has no model.keras (yet)."
    if os.path.exists(given):  # noqa: PTH110 - as above
        return f"{shown(given)} is not a regular file."
    names = [shown(run.name) for run in runs(root)]
    close = get_close_matches(given.name, names, n=1)
    there = f"Runs in {shown(root.absolute())}: {', '.join(names[:10]) or 'none'}."
    hint = f"Did you mean {close[0]}?" if close else there
    return f"There is no run and no model file {shown(given)}. {hint}"


@contextmanager
def lock_run(directory: Path) -> Iterator[None]:
    """Hold a run directory, so that only one process trains in it.

    The lock belongs to the open file, so it ends with the process, however that dies.
    What killed writers left is removed. On systems without `flock` nothing is locked.

    Raises:
        TextgenError: another process holds it (its id and host are named), the lock file
            cannot be used, or the directory holds more than files and folders.
    """
    path = RunDirectory(directory).lock
    try:
        _refuse_links(directory)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise TextgenError(f"Could not lock {shown(path)}: {error.strerror or error}.") from error
    try:
        _take(descriptor, directory)
        remove_temporaries(directory)
        remove_temporaries(RunDirectory(directory).samples)
        yield
    finally:
        os.close(descriptor)


def _refuse_links(directory: Path) -> None:
    """Check that nothing in a run, which may come from anybody, leads out of it."""
    for folder, folders, files in os.walk(directory):
        for name in (*folders, *files):
            path = Path(folder, name)
            with suppress(FileNotFoundError):  # a temporary that was just renamed
                if stat.S_IFMT(path.lstat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
                    raise TextgenError(
                        f"{shown(path)} is not a plain file but a link, a pipe or a device. "
                        "Remove it, or train in another run."
                    )


def _take(descriptor: int, directory: Path) -> None:
    """Take the lock and note who has it."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise TextgenError(
            f"{_owner(descriptor)} is training in {shown(directory)}. "
            "Wait for it, stop it, or choose another --name."
        ) from None
    if not os.fstat(descriptor).st_nlink:
        raise TextgenError(f"{shown(directory)} was removed.")
    with suppress(OSError):  # on a full disk the lock holds without a name
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps([os.getpid(), os.uname().nodename]).encode(), 0)


def _owner(descriptor: int) -> str:
    """Who wrote the lock file, as far as it can be known."""
    try:
        process, host = json.loads(os.pread(descriptor, 1000, 0))
        return f"Process {int(process)} on {ascii(host)[1:-1]}"
    except (ValueError, TypeError):
        return "Another process"


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

    A note says why a text that is there cannot be used.

    Args:
        model_path: the model file, in its run directory.
        model: what it holds.
    """
    path = RunDirectory(model_path.parent).text
    provenance = Provenance.read(model.provenance)
    train, holdout = provenance.train_characters, provenance.holdout_characters
    if train is None or holdout is None:
        return None
    opened = open_or_note(path, MAX_TEXT)
    if opened is None:
        return None
    file, size = opened
    with file:
        if size != (train + holdout) * model.vocabulary.dtype.itemsize:
            return None
        ids = open_ids(file, len(model.vocabulary))
    if int(ids.max()) >= len(model.vocabulary):
        return None
    return RunText(ids[:train], ids[train:])
