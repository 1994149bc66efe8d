"""Opening a run directory: a new one, checked before it is named, or an earlier one."""

import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from textgen.analysis.baselines import baselines
from textgen.config import PRESETS, Cleaning, ModelConfig, Preset, TrainConfig
from textgen.errors import TextgenError
from textgen.messages import shown
from textgen.storage.atomic import not_written
from textgen.storage.model_file import check_size
from textgen.storage.run import (
    Run,
    adjusted,
    check_length,
    check_memory,
    differences,
    read_run,
    write_run,
)
from textgen.storage.run_folder import ROOT, RunDirectory, default_run_name, lock_run
from textgen.text.encoding import EncodedText, open_ids, write_ids
from textgen.training import recipe

UNFINISHED = ".new-"  # folders of runs whose text is still being read
VERIFY_BLOCK = 1 << 20  # ids that are checked at a time

Config = TypeVar("Config", ModelConfig, TrainConfig)


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        corpus: names of the sources.
        stem: what the run is called if it is given no name.
        name: the name given, or None.
        overwrite: whether a run of that name may be replaced.
        preset: a name in `PRESETS`, `default`, or None where none was given.
        cleaning: how the text is cleaned.
        given: settings given explicitly, by their names in `ModelConfig`, `TrainConfig` and
            `Cleaning`.
        replicas: devices that share each batch.
        workers: processes that share the devices.
    """

    corpus: tuple[str, ...]
    stem: str
    name: str | None
    overwrite: bool
    preset: str | None
    cleaning: Cleaning
    given: dict[str, Any]
    replicas: int = 1
    workers: int = 1


@contextmanager
def new_run(
    request: Request, chunks: Iterable[str], root: Path = ROOT
) -> Iterator[tuple[RunDirectory, Run, str | None]]:
    """Make a run directory from a text and hold its lock.

    Args:
        request: what the user asked for.
        chunks: the clean text, piece by piece.
        root: where runs are.

    Yields:
        The directory, the run, and what the recipe chose and why, if it chose.

    Raises:
        TextgenError: a name that is taken, a folder that cannot be written, a text that
            cannot be trained on. Nothing is left then, and an older run is as it was.
    """
    check_name(request, root)
    remove_unfinished(root)  # in a container the process ids of all trainers may be the same
    folder = root / f"{UNFINISHED}{os.getpid()}"
    had_root = root.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)  # a trainer killed here left it empty
    except OSError as error:
        raise TextgenError(
            f"Could not make a run in {shown(root)}: {error.strerror or error}. "
            "Make the folder writable or work in another one."
        ) from error
    with lock_run(folder):
        try:
            encoded = encode(chunks, folder)
            run, choice = plan(request, encoded)
            run = replace(run, baselines=measure_baselines(folder, run))
            write_run(RunDirectory(folder).settings, run)
            path = place(folder, request, root)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if not had_root:
                with suppress(OSError):  # another trainer may have a run there by now
                    root.rmdir()
            if isinstance(error, OSError):
                raise not_written(error.filename2 or error.filename or folder, error) from error
            raise
        yield RunDirectory(path), run, choice


def check_name(request: Request, root: Path) -> None:
    """Refuse a name that is taken or is no name, before any text is read."""
    name = request.name
    if name is None:
        return
    if not name or name.startswith(".") or Path(name).name != name or not name.isprintable():
        raise TextgenError(
            f"A run cannot be called {name!a}. Use letters, digits, '-' and '_' in --name."
        )
    if os.path.lexists(root / name) and not request.overwrite:
        raise TextgenError(
            f"The run {shown(root / name)} exists. Continue it with --resume, replace it with "
            "--overwrite, or choose another --name."
        )


def encode(chunks: Iterable[str], folder: Path) -> EncodedText:
    """Write text.ids.

    Raises:
        TextgenError: an empty text, one distinct character, or a file that cannot be written.
    """
    try:
        encoded = write_ids(chunks, RunDirectory(folder).text)
    except OSError as error:
        raise TextgenError(
            f"Could not write the text to {shown(folder)}: {error.strerror or error}. "
            "Free some space or work in another folder."
        ) from error
    if encoded is None:
        raise TextgenError("The text is empty, so there is nothing to learn from.")
    if len(encoded.vocabulary) == 1:
        raise TextgenError(
            f"The text has one distinct character, {encoded.vocabulary.characters!r}, so there "
            "is nothing to learn from. Give another text."
        )
    return encoded


def plan(request: Request, encoded: EncodedText) -> tuple[Run, str | None]:
    """The run: the preset or the recipe, with what was given explicitly."""
    given = request.given
    budget = None
    if request.preset in PRESETS:
        preset = PRESETS[request.preset]
    else:
        budget = recipe.budget(encoded.characters, given.get("minutes"), given.get("epochs"))
        preset = divisible(recipe.fit(budget), request.replicas)
    if given.get("minutes") and not budget:
        given = {"epochs": None} | given
    elif given.get("optimizer", preset.train.optimizer) != preset.train.optimizer:
        given = {"learning_rate": recipe.LEARNING_RATES[given["optimizer"]]} | given
    model, train = with_given(preset.model, given), with_given(preset.train, given)
    check_length(encoded.characters, model, train)
    check_size(model, len(encoded.vocabulary))
    check_division(train, request.replicas)
    check_memory(model, train, len(encoded.vocabulary), request.workers)
    run = Run(
        preset=request.preset or "default",
        model=model,
        train=train,
        cleaning=request.cleaning,
        sampling=preset.sampling,
        vocabulary=encoded.vocabulary,
        characters=encoded.characters,
        sha256=encoded.sha256,
        corpus=request.corpus,
        baselines={},
    )
    return run, budget.line(model, train) if budget else None


def divisible(preset: Preset, replicas: int) -> Preset:
    """The preset, its batch made larger where the devices could not divide it."""
    rows = math.ceil(preset.train.batch_size / replicas) * replicas
    return replace(preset, train=replace(preset.train, batch_size=rows))


def check_division(train: TrainConfig, replicas: int) -> None:
    """See that each device gets as many rows of a batch."""
    if train.batch_size % replicas:
        raise TextgenError(
            f"A batch of {train.batch_size} rows cannot be divided among {replicas} devices. "
            f"Give a --batch-size that is a multiple of {replicas}, or other --devices."
        )


def measure_baselines(folder: Path, run: Run) -> dict[str, float]:
    """Bits per character of simple models on the run's hold-out, by name."""
    ids = open_ids(RunDirectory(folder).text, len(run.vocabulary))
    text, holdout = ids[: run.train_characters], ids[run.train_characters :]
    return baselines(text, holdout, len(run.vocabulary)).as_dict()


def with_given(config: Config, given: dict[str, Any]) -> Config:
    """The configuration with what was given explicitly."""
    names = {field.name for field in fields(config)}
    return replace(config, **{name: value for name, value in given.items() if name in names})


def place(folder: Path, request: Request, root: Path) -> Path:
    """Give the finished folder its name; its lock stays held."""
    if request.name is None:
        while True:
            path = root / default_run_name(request.stem, root)
            try:
                return folder.rename(path)
            except OSError:
                if not os.path.lexists(path):  # else another trainer took the name first
                    raise
    path = root / request.name
    if not os.path.lexists(path):
        return folder.rename(path)
    check_name(request, root)
    with lock_run(path):
        old = path.rename(root / f"{UNFINISHED}{os.getpid()}-old")
    folder.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    return path


def remove_unfinished(root: Path) -> None:
    """Remove what killed processes left: folders whose lock nobody holds."""
    for lock in root.glob(f"{UNFINISHED}*/lock"):
        with suppress(TextgenError), lock_run(lock.parent):
            shutil.rmtree(lock.parent, ignore_errors=True)


@contextmanager
def earlier_run(
    request: Request, read: Callable[[Cleaning], Iterable[str]] | None, root: Path = ROOT
) -> Iterator[tuple[RunDirectory, Run]]:
    """Open a run to continue it, and hold its lock.

    Args:
        request: what the user asked for; what is given must be the run's own, except what
            may change when a run is continued.
        read: gives the text again, cleaned as the run's was; None where no source was named.
        root: where runs are.

    Raises:
        TextgenError: no such run, another process trains it, its files are damaged, or
            another text or setting was asked for (the difference is named).
    """
    directory = RunDirectory(earlier_path(request.name, root))
    with lock_run(directory.path):
        run = read_run(directory.settings)
        settings = request.given | ({"preset": request.preset} if request.preset else {})
        if found := differences(settings, run):
            raise TextgenError(
                f"The run {directory.name} cannot be continued otherwise than it began: "
                f"{'; '.join(found)}. Leave these options out, or begin anew with another --name."
            )
        if read is not None:
            check_same_text(read(run.cleaning), run, directory)
        check_ids(run, directory)
        check_division(run.train, request.replicas)
        check_memory(run.model, run.train, len(run.vocabulary), request.workers)
        run = adjusted(run, request.given)
        write_run(directory.settings, run)
        yield directory, run


def earlier_path(name: str | None, root: Path) -> Path:
    """The folder of the run `name`, or of the one that was saved last."""
    if name is not None:
        if RunDirectory(root / name).settings.is_file():
            return root / name
        raise TextgenError(f"There is no run {shown(root / name)} to continue. Leave out --resume.")
    found = sorted(
        (path for path in root.glob("[!.]*") if RunDirectory(path).settings.exists()),
        key=lambda path: max(other.stat().st_mtime_ns for other in path.iterdir()),
    )
    if not found:
        raise TextgenError(f"There is no run in {shown(root)} to continue. Leave out --resume.")
    return found[-1]


def check_same_text(chunks: Iterable[str], run: Run, directory: RunDirectory) -> None:
    """Refuse to continue a run with another text."""
    digest, characters = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk.encode("utf-8", "surrogatepass"))
        characters += len(chunk)
    if digest.hexdigest() != run.sha256:
        raise TextgenError(
            f"The run {directory.name} was begun with another text ({run.characters:,} characters, "
            f"sha256 {run.sha256[:12]}; this one has {characters:,}, {digest.hexdigest()[:12]}). "
            "Leave out the source, or begin anew with another --name."
        )


def check_ids(run: Run, directory: RunDirectory) -> None:
    """See that text.ids is still the text that run.json describes."""
    path = directory.text
    try:
        size = path.stat().st_size
        good = size == run.characters * run.vocabulary.dtype.itemsize
        good = good and text_sha256(path, run) == run.sha256
    except OSError as error:
        raise TextgenError(
            f"Could not read {shown(path)}: {error.strerror or error}. Begin anew with --overwrite."
        ) from error
    if not good:
        raise TextgenError(
            f"{shown(path)} is not the text that this run was begun with. "
            "Begin anew with --overwrite."
        )


def text_sha256(path: Path, run: Run) -> str | None:
    """The hash of the text that the ids stand for, None if one stands for nothing."""
    ids = open_ids(path, len(run.vocabulary))
    digest = hashlib.sha256()
    for start in range(0, len(ids), VERIFY_BLOCK):
        block = ids[start : start + VERIFY_BLOCK]
        if int(block.max()) >= len(run.vocabulary):
            return None
        digest.update(run.vocabulary.decode(block).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
