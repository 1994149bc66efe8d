"""Opening a run directory: a new one, checked before it is named, or an earlier one."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from textgen.errors import TextgenError
from textgen.messages import note, quoted, shown
from textgen.storage.atomic import not_written
from textgen.storage.replacing import (
    check_replaceable,
    put_back,
    repair,
    replace_run,
    unfinished_path,
)
from textgen.storage.run import (
    Run,
    adjusted,
    check_memory,
    differences,
    read_run,
    write_run,
)
from textgen.storage.run_folder import (
    RunDirectory,
    default_run_name,
    first_name,
    is_run,
    lock_run,
)
from textgen.storage.state import has_state, previous_path, read_state
from textgen.text.encoding import EncodedText, open_ids, write_ids
from textgen.text.vocabulary import MOST_CHARACTERS
from textgen.training.pace import Pace
from textgen.training.plan import Plan, check_division, plan
from textgen.training.progress import Progress, write_start
from textgen.training.reporter import Reporter
from textgen.training.request import BUILTIN, Request
from textgen.training.same_text import check_ids, check_same_text

Opened = tuple[RunDirectory, Run, np.ndarray]


@contextmanager
def open_run(
    request: Request,
    reporter: Reporter,
    replicas: int = 1,
    workers: int = 1,
    pace: Pace | None = None,
) -> Iterator[Opened]:
    """The run to train, new or to be continued, with its lock held.

    Args:
        request: what the user asked for.
        reporter: is shown the name of the run.
        replicas: devices that share each batch.
        workers: processes that share the devices.
        pace: measures a training step; see `plan`.

    Yields:
        Its directory, the run, and the ids of its text (characters,), a memory map.

    Raises:
        TextgenError: see `new_run` and `earlier_run`.
    """
    repair(request.root)
    if continues(request):
        with earlier_run(request, replicas, workers) as (directory, run):
            reporter.opened(directory.name)
            note(f"Continuing the run {shown(directory.path)}.")
            yield directory, run, open_ids(directory.text, len(run.vocabulary))
        return
    with new_run(request, replicas, workers, pace) as (directory, planned):
        reporter.opened(directory.name)
        if request.name is None and directory.name != (first := first_name(request.stem)):
            note(
                f"This is the new run {shown(directory.name)}: {shown(first)} is there already. To "
                f"continue that one: textgen train --resume --name {quoted(first)}"
            )
        if not request.sources:
            note(f"No source given: training on {BUILTIN}.")
        for choice in planned.choices:
            note(choice)
        run = planned.run
        yield directory, run, open_ids(directory.text, len(run.vocabulary))


def continues(request: Request) -> bool:
    """Whether there is a run to be continued; one that is named with a source may be new."""
    if not request.resume:
        return False
    if not request.sources or request.name is None:
        return True
    return is_run(request.root / request.name)


@contextmanager
def new_run(
    request: Request, replicas: int = 1, workers: int = 1, pace: Pace | None = None
) -> Iterator[tuple[RunDirectory, Plan]]:
    """Make a run directory from a text and hold its lock; see `open_run`.

    What the run starts from is its first state, so that resuming needs nothing else.

    Yields:
        The directory and the plan.

    Raises:
        TextgenError: a name that is taken, a folder that cannot be written, a text that
            cannot be trained on. Nothing is left then, and an older run is as it was.
    """
    root = request.root
    check_name(request)
    texts = request.read(request.cleaning)
    had_root = root.exists()
    with unfinished_run(root) as folder:
        try:
            encoded = replace(encode(texts, folder), lengths=tuple(texts.lengths))
            planned = plan(request, encoded, folder.text, replicas, workers, pace)
            write_run(folder.settings, planned.run)
            if planned.weights:
                write_start(folder.state, planned.weights)
            path = place(folder.path, request)
        except BaseException as error:
            shutil.rmtree(folder.path, ignore_errors=True)
            if not had_root:
                with suppress(OSError):  # another trainer may have a run there by now
                    root.rmdir()
            if isinstance(error, OSError):
                place_of_error = error.filename2 or error.filename or folder.path
                raise not_written(place_of_error, error) from error
            raise
        try:
            yield RunDirectory(path), planned
        except TextgenError:
            state = RunDirectory(path).state
            if not (previous_path(state) if planned.weights else state).exists():
                put_back(path)  # nothing was learned
            raise


@contextmanager
def unfinished_run(root: Path) -> Iterator[RunDirectory]:
    """A new folder with a hidden name, locked.

    Raises:
        TextgenError: it cannot be made.
    """
    with ExitStack() as stack:
        for attempts_left in reversed(range(10)):
            folder = RunDirectory(unfinished_path(root))
            try:
                folder.path.mkdir(parents=True)
                stack.enter_context(lock_run(folder.path))
                break
            except TextgenError:  # another trainer took it for one that a killed one left
                shutil.rmtree(folder.path, ignore_errors=True)
                if not attempts_left:
                    raise
            except OSError as error:
                if isinstance(error, FileNotFoundError) and attempts_left:
                    continue  # another trainer removed the root, which was empty
                raise TextgenError(
                    f"Could not make a run in {shown(root)}: {error.strerror or error}. "
                    "Make the folder writable or work in another one."
                ) from error
        yield folder


def check_name(request: Request) -> None:
    """Refuse a name that is taken or is no name, before any text is read."""
    name, root = request.name, request.root
    if name is None:
        if request.overwrite:
            raise TextgenError("Name the run that is to be replaced: --overwrite needs --name.")
        return
    if not name or name.startswith(".") or Path(name).name != name or not name.isprintable():
        raise TextgenError(
            f"A run cannot be called {name!a}: a --name has no '/', no line break and no dot in "
            "front."
        )
    if os.path.lexists(root / name) and not request.overwrite:
        raise TextgenError(
            f"The run {shown(root / name)} exists. Continue it with --resume, replace it with "
            "--overwrite, or choose another --name."
        )
    if os.path.lexists(root / name):
        check_replaceable(root / name)


def encode(chunks: Iterable[str], folder: RunDirectory) -> EncodedText:
    """Write text.ids.

    Raises:
        TextgenError: an empty text, one distinct character or too many, or a file that cannot be
            written.
    """
    try:
        encoded = write_ids(chunks, folder.text)
    except OSError as error:
        raise TextgenError(
            f"Could not write the text to {shown(folder.path)}: {error.strerror or error}. "
            "Free some space or work in another folder."
        ) from error
    if encoded is None:
        raise TextgenError("The text is empty, so there is nothing to learn from.")
    if len(encoded.vocabulary) > MOST_CHARACTERS:
        raise TextgenError(
            f"The text has {len(encoded.vocabulary):,} distinct characters, and a model knows at "
            f"most {MOST_CHARACTERS:,} characters. Give it less text, or fold it with --ascii."
        )
    if len(encoded.vocabulary) == 1:
        raise TextgenError(
            f"The text has one distinct character, {encoded.vocabulary.characters!r}, so there "
            "is nothing to learn from. Give another text."
        )
    return encoded


def place(folder: Path, request: Request) -> Path:
    """Give the finished folder its name; its lock stays held."""
    root = request.root
    if request.name is None:
        while True:
            path = root / default_run_name(request.stem, root)
            try:
                return folder.rename(path)
            except OSError:
                if not os.path.lexists(path):  # else another trainer took the name first
                    raise
    path = root / request.name
    try:
        if not os.path.lexists(path):
            return folder.rename(path)
    except OSError:
        if not os.path.lexists(path):  # else another trainer took the name first
            raise
    check_name(request)
    replace_run(path, folder)
    return path


@contextmanager
def earlier_run(
    request: Request, replicas: int = 1, workers: int = 1
) -> Iterator[tuple[RunDirectory, Run]]:
    """Open a run to continue it, and hold its lock; see `open_run`.

    What is given must be the run's own, except what may change when a run is continued.

    Raises:
        TextgenError: no such run, another process trains it, its files are damaged, or
            another text or setting was asked for (the difference is named).
    """
    directory = RunDirectory(earlier_path(request.name, request.root))
    with lock_run(directory.path):
        run = read_run(directory.settings)
        settings = request.given | ({"preset": request.preset} if request.preset else {})
        if found := differences(settings, run):
            raise TextgenError(
                f"The run {shown(directory.name)} cannot be continued with other settings: "
                f"{'; '.join(found)}. Leave these options out, or start a new run with another "
                "--name."
            )
        if request.sources:
            check_same_text(request.read(run.cleaning), run, directory)
        check_begun(directory)
        check_ids(run, directory)
        check_division(run.train, replicas)
        check_memory(run.model, run.train, len(run.vocabulary), workers)
        run = adjusted(run, in_all(request.given, directory))
        write_run(directory.settings, run)
        yield directory, run


def in_all(given: dict[str, Any], directory: RunDirectory) -> dict[str, Any]:
    """What was given, with the minutes of the whole run: a finished run gets so many more."""
    if "minutes" not in given or not has_state(directory.state):
        return given
    progress = Progress.read(read_state(directory.state)[0])
    if not progress.finished:
        return given
    return given | {"minutes": progress.seconds / 60 + given["minutes"]}


def check_begun(directory: RunDirectory) -> None:
    """Refuse to begin a run again whose model or log would be replaced."""
    if has_state(directory.state):
        return
    log = directory.log
    if os.path.lexists(directory.model) or (log.exists() and log.stat().st_size):
        raise TextgenError(
            f"The run {shown(directory.path)} was trained, but its state is missing, so it cannot "
            "be continued. Start another run from its model with --from, or train it again with "
            "--overwrite."
        )


def earlier_path(name: str | None, root: Path) -> Path:
    """The folder of the run `name`, or of the one that was saved last."""
    if name is not None:
        if is_run(root / name):
            return root / name
        raise TextgenError(f"There is no run {shown(root / name)} to continue. Leave out --resume.")
    found = sorted(filter(is_run, root.glob("[!.]*")), key=last_change)
    if not found:
        raise TextgenError(f"There is no run in {shown(root)} to continue. Leave out --resume.")
    return found[-1]


def last_change(folder: Path) -> int:
    """When a file in a folder was last written, in nanoseconds; it may be written to now."""
    times = [0]
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                times.append(path.lstat().st_mtime_ns)
    return max(times)
