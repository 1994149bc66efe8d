"""A new run in the place of an old one, which is there until the new one has a model.

Meanwhile the old one waits beside it, under a hidden name.
"""

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from textgen.errors import TextgenError
from textgen.messages import shown
from textgen.storage.run_folder import REPLACED, RunDirectory, is_run, lock_run

UNFINISHED = ".new-"  # folders of runs whose text is still being read


def unfinished_path(root: Path) -> Path:
    """A hidden name that nobody has."""
    return root / f"{UNFINISHED}{secrets.token_hex(8)}"


def check_replaceable(path: Path) -> None:
    """Refuse to replace what is no run.

    Raises:
        TextgenError: there is something else.
    """
    if path.is_symlink() or not is_run(path):
        raise TextgenError(
            f"{shown(path)} is no run, so it is not replaced. Move it away, or choose another "
            "--name."
        )


def replace_run(path: Path, new: Path) -> None:
    """Give a new run the name of an earlier one, which then waits beside it.

    Raises:
        TextgenError: another process trains the earlier one.
        OSError: a folder cannot be renamed.
    """
    with lock_run(path):  # which goes with it, so that nobody repairs what is being done
        run = RunDirectory(path)
        if run.model.is_file():
            forget_replaced(path)
        if is_run(run.replaced):  # so this one never had a model
            discard(path)
        else:
            path.rename(run.replaced)
        new.rename(path)


def discard(path: Path) -> None:
    """Remove a folder, its name at once."""
    doomed = unfinished_path(path.parent)
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def forget_replaced(path: Path) -> None:
    """Remove the run that waits beside the one at `path`, which has a model now."""
    if is_run(RunDirectory(path).replaced):
        with suppress(OSError):  # another process may do the same
            discard(RunDirectory(path).replaced)


def put_back(path: Path) -> None:
    """Remove the run at `path` and give its name back to the one that waits, if one does."""
    if is_run(RunDirectory(path).replaced):
        with suppress(OSError):  # the next start repairs it
            discard(path)
            RunDirectory(path).replaced.rename(path)


def repair(root: Path) -> None:
    """Finish what killed trainers began under `root`."""
    for waiting in filter(is_run, root.glob(f"{REPLACED}*")):
        path = root / waiting.name.removeprefix(REPLACED)
        with suppress(TextgenError, OSError), lock_run(waiting):
            if not os.path.lexists(path):
                waiting.rename(path)
            elif RunDirectory(path).model.is_file():
                forget_replaced(path)
    for folder in root.glob(f"{UNFINISHED}*"):
        with suppress(TextgenError), lock_run(folder):
            shutil.rmtree(folder, ignore_errors=True)
