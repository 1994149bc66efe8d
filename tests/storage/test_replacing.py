"""A run that replaces another one, and what killed trainers left of that."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.tiny import write_tiny

from textgen.errors import TextgenError
from textgen.storage.replacing import (
    check_replaceable,
    put_back,
    repair,
    replace_run,
    unfinished_path,
)
from textgen.storage.run_folder import RunDirectory, find_model, lock_run, runs
from textgen.training.new_run import unfinished_run


def make(path: Path, model: bool = True) -> Path:
    """A folder like a run's; its name when it was made stands in its settings."""
    path.mkdir(parents=True)
    (path / "run.json").write_text(path.name)
    (path / "lock").touch()
    if model:
        write_tiny(path / "model.keras")
    return path


def names(root: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in root.iterdir())


def test_an_old_run_waits_until_the_new_one_has_a_model(tmp_path: Path) -> None:
    path, new = make(tmp_path / "x"), make(tmp_path / "y", model=False)
    replace_run(path, new)
    assert names(tmp_path) == [".old-x", "x"]
    assert (path / "run.json").read_text() == "y"
    repair(tmp_path)
    assert names(tmp_path) == [".old-x", "x"]
    assert find_model("x", tmp_path) == tmp_path / ".old-x" / "model.keras"
    assert runs(tmp_path) == []
    write_tiny(path / "model.keras")
    assert find_model("x", tmp_path) == path / "model.keras"
    repair(tmp_path)
    assert names(tmp_path) == ["x"]


def test_a_run_that_never_had_a_model_does_not_push_out_the_one_that_waits(tmp_path: Path) -> None:
    path = make(tmp_path / "x")
    for name in ("y", "z"):
        replace_run(path, make(tmp_path / name, model=False))
    assert names(tmp_path) == [".old-x", "x"]
    assert (path / "run.json").read_text() == "z"
    put_back(path)
    assert names(tmp_path) == ["x"]
    assert (path / "run.json").read_text() == "x"


def test_a_kill_between_the_two_renames_is_repaired(tmp_path: Path) -> None:
    make(tmp_path / ".old-x")
    make(unfinished_path(tmp_path), model=False)
    repair(tmp_path)
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x" / "run.json").read_text() == ".old-x"


def test_a_kill_while_a_folder_is_removed_is_repaired(tmp_path: Path) -> None:
    """Its lock may be gone already."""
    unfinished_path(tmp_path).mkdir()
    repair(tmp_path)
    assert names(tmp_path) == []


def test_a_run_with_a_model_waits_whatever_else_does(tmp_path: Path) -> None:
    path = make(tmp_path / "x")
    make(tmp_path / ".old-x")
    replace_run(path, make(tmp_path / "y", model=False))
    assert (tmp_path / ".old-x" / "run.json").read_text() == "x"
    assert names(tmp_path) == [".old-x", "x"]


def test_a_folder_that_only_has_such_a_name_is_left_alone(tmp_path: Path) -> None:
    make(tmp_path / "x")
    (tmp_path / ".old-x").mkdir()
    (tmp_path / ".old-x" / "chapter.tex").write_text("years of work")
    repair(tmp_path)
    with pytest.raises(OSError, match="not empty"):
        replace_run(tmp_path / "x", make(tmp_path / "y"))
    assert names(tmp_path / ".old-x") == ["chapter.tex"]
    assert (tmp_path / "x" / "run.json").read_text() == "x"


def test_what_another_process_does_now_is_not_repaired(tmp_path: Path) -> None:
    make(tmp_path / ".old-x")
    with lock_run(tmp_path / ".old-x"):
        repair(tmp_path)
    assert names(tmp_path) == [".old-x"]


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "link to a run"])
def test_what_is_no_run_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thesis"
    if kind == "file":
        path.touch()
    elif kind == "link to a run":
        path.symlink_to(make(tmp_path / "x"))
    else:
        path.mkdir()
    with pytest.raises(TextgenError, match="is no run"):
        check_replaceable(path)


@contextmanager
def repairing(root: Path) -> Iterator[None]:
    """Meanwhile others start and remove what nobody holds."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            repair(root)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_new_run_is_not_removed_by_others_that_start(tmp_path: Path) -> None:
    with repairing(tmp_path):
        for _ in range(300):
            with unfinished_run(tmp_path) as folder:
                folder.text.write_bytes(b"ids")
                assert folder.lock.exists()
    repair(tmp_path)
    assert names(tmp_path) == []


def test_trainers_with_the_same_process_id_make_runs_of_their_own(tmp_path: Path) -> None:
    """As in two containers that share a folder."""
    with unfinished_run(tmp_path) as one, unfinished_run(tmp_path) as other:
        assert one.lock.exists()
        assert other.lock.exists()
        assert one.path != other.path


def test_a_folder_that_was_removed_meanwhile_is_not_locked(tmp_path: Path) -> None:
    """Its lock file can still be open, and locked, when it has no name any more."""
    run = RunDirectory(make(tmp_path / "x"))
    opened = os.open

    def open_and_remove(path: Path, *flags: int) -> int:
        descriptor = opened(path, *flags)
        run.lock.unlink()
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", open_and_remove)
        with pytest.raises(TextgenError, match="was removed"):
            lock_run(run.path).__enter__()
