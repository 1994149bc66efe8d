"""Training survives: kills, signals, full disks, folders that vanish."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.commands import Command
from support.killing import Trainer, check_loads, contents, kill_once
from support.training import train

from textgen.errors import TextgenError
from textgen.storage.run_folder import RunDirectory
from textgen.training.learner import memory_errors_explained

Starter = Callable[..., subprocess.Popen[bytes]]
SMALL = ("--units", "16", "--seq-length", "16", "--batch-size", "32")
TINY: dict[str, Any] = {"units": (9,), "seq_length": 16, "batch_size": 8, "epochs": 4}


def wait(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    """Wait until something is ready; the process must not end before."""
    while not ready():
        assert process.poll() is None, "it ended too soon"
        time.sleep(0.01)


# Killed


def test_a_killed_run_ends_like_one_that_was_not(tmp_path: Path, story: str) -> None:
    (tmp_path / "text.txt").write_text(story[:3000])
    whole, broken = (Trainer(tmp_path, name, epochs=8) for name in ("whole", "broken"))
    chance = random.Random(5)  # in or after a save, both times
    for _ in range(2):
        assert kill_once(broken, chance, 2.0)
        check_loads(broken.run)
    for trainer in (broken, whole):
        trainer.finish_here()
    assert contents(broken.run) == contents(whole.run)


def test_what_killed_trainers_left_is_removed(invoke: Command, tmp_path: Path) -> None:
    """Their hidden folders, by the next one, whatever becomes of it."""
    for name in (".new-1", ".new-2-old"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / "checkpoints" / name / "lock").write_text("[1]")
    assert invoke("train", "-", stdin=b"x").returncode == 1
    assert not list(tmp_path.glob("checkpoints/*"))


# Stopped by signals


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[Starter]:
    """Start `textgen train` on the story; it is ended with the test."""
    started = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "textgen", "train", "--name", "my run", *options]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=tmp_path, stdin=pipe, stderr=pipe))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[bytes], number: signal.Signals) -> str:
    """Send a signal; what the process says then. It must have the status of that signal."""
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert b"Traceback" not in stderr
    return stderr.decode()


def test_a_signal_while_the_text_is_read_leaves_nothing(starting: Starter, tmp_path: Path) -> None:
    process = starting("-")
    wait(process, lambda: bool(list(tmp_path.glob("checkpoints/.new-*/text.ids"))))
    assert stopped(process, signal.SIGTERM) == ""
    assert not list(tmp_path.glob("checkpoints/*"))


def test_a_signal_while_the_step_is_measured_leaves_nothing(
    starting: Starter, tmp_path: Path
) -> None:
    """TensorFlow is imported and the step compiled before a run with a time has its name."""
    process = starting("--minutes", "1")
    wait(process, lambda: bool(list(tmp_path.glob("checkpoints/.new-*/text.ids"))))
    time.sleep(1)  # in which the text, which is short, has been read
    assert stopped(process, signal.SIGINT) == ""
    assert not list(tmp_path.glob("checkpoints/[!.]*"))


# What is there when a phase begins: TensorFlow is imported once the run has its name, the
# step is compiled after log.csv is written, and the state is saved before measuring.
@pytest.mark.parametrize(
    ("there", "number"),
    [("run.json", signal.SIGINT), ("log.csv", signal.SIGTERM), ("state", signal.SIGINT)],
    ids=["import", "compilation", "evaluation"],
)
def test_a_signal_says_how_to_continue(
    starting: Starter, tmp_path: Path, there: str, number: signal.Signals
) -> None:
    run = RunDirectory(tmp_path / "checkpoints/my run")
    process = starting("--batch-size", "64", "--validation-split", "0.5")
    wait(process, (run.path / there).exists)
    stderr = stopped(process, number)
    assert stderr.endswith("Continue: textgen train --resume --name 'my run'\n")
    check_loads(run)
    assert not run.model.exists()


def test_a_second_signal_ends_at_once(starting: Starter, tmp_path: Path) -> None:
    """Also while compiling, when Python's own handlers do not run."""
    process = starting("--units", "256,256,256")
    wait(process, (tmp_path / "checkpoints/my run/log.csv").exists)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)  # two signals of one kind that come together are one
    stopped(process, signal.SIGTERM)


# The disk


class Break(keras.callbacks.Callback):
    """Does something to the run after its second evaluation."""

    def __init__(self, action: Callable[[], object]):
        super().__init__()
        self.action = action

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch == 1:
            self.action()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> None:
    """Write until nothing more fits."""
    with (disk / "filling").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1024)):
                pass
        except OSError:
            pass


def test_a_disk_that_fills_up(small_disk: Path, story: str) -> None:
    with pytest.raises(TextgenError, match=r"No space left.*unharmed"):
        train(small_disk, "x", story[:3000], Break(lambda: fill(small_disk)), **TINY)
    check_loads(RunDirectory(small_disk / "x"))
    (small_disk / "filling").unlink()
    assert train(small_disk, "x", None).progress.evaluations == 4


def test_a_disk_that_is_too_small_for_the_text(small_disk: Path, invoke: Command) -> None:
    """Many kinds of characters come late, so the ids are widened on disk."""
    text = "A quick brown fox. " * 30_000 + "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    done = invoke("train", "-", cwd=small_disk, stdin=text.encode())
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"No space left" in done.stderr
    assert not list(small_disk.glob("checkpoints/*"))


def test_a_folder_that_becomes_read_only(tmp_path: Path, story: str) -> None:
    run = RunDirectory(tmp_path / "x")
    protect, free = ["chmod", "a-w", str(run.path)], ["chmod", "u+w", str(run.path)]
    if os.geteuid() == 0:
        protect, free = ["chattr", "+i", str(run.path)], ["chattr", "-i", str(run.path)]
        if subprocess.run(f"chattr -i {tmp_path}", shell=True, check=False).returncode:
            pytest.skip("root writes where it likes, and this disk has no immutable folders")
    with pytest.raises(TextgenError, match="Make the folder writable"):
        train(
            tmp_path,
            "x",
            story[:3000],
            Break(lambda: subprocess.run(protect, check=True)),
            **TINY,
        )
    subprocess.run(free, check=True)
    check_loads(run)
    assert train(tmp_path, "x", None).progress.evaluations == 4


def put_a_file_in_the_way(run: RunDirectory) -> None:
    """Where the folder of samples should be."""
    shutil.rmtree(run.samples)
    run.samples.touch()


def test_a_log_that_is_deleted_is_written_again(tmp_path: Path, story: str) -> None:
    run = RunDirectory(tmp_path / "x")
    train(tmp_path, "x", story[:3000], Break(run.log.unlink), **TINY)
    assert len(run.log.read_text().splitlines()) == 1 + TINY["epochs"]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (lambda run: shutil.rmtree(run.path), "The folder is gone"),
        (lambda run: run.path.rename(run.path.parent / "y"), "The folder is gone"),
        (put_a_file_in_the_way, "samples"),
    ],
    ids=["deleted", "moved", "with a file for a folder"],
)
def test_a_run_that_changes_under_the_trainer(
    tmp_path: Path, story: str, action: Callable[[RunDirectory], object], expected: str
) -> None:
    run = RunDirectory(tmp_path / "x")
    with pytest.raises(TextgenError, match=expected) as caught:
        train(tmp_path, "x", story[:3000], Break(lambda: action(run)), **TINY)
    assert "\n" not in str(caught.value)
    check_loads(run)


def test_files_that_may_not_grow(starting: Starter, tmp_path: Path) -> None:
    """A real process, and the way of a full disk that needs no root."""
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("this system cannot limit another process")
    run = RunDirectory(tmp_path / "checkpoints/my run")
    process = starting(*SMALL, "--epochs", "500")
    wait(process, run.model.exists)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Could not write" in stderr.decode().splitlines()[-1]
    assert b"Traceback" not in stderr
    check_loads(run)


# Losses that are no numbers


class Ruin(keras.callbacks.Callback):
    """Sets a weight to NaN: after the second step, or just before the hold-out is measured."""

    def __init__(self, at_evaluation: bool):
        super().__init__()
        self.at_evaluation = at_evaluation

    def ruin(self) -> None:
        """Set the biases of the logits."""
        self.model.logits.bias.assign(np.full(self.model.logits.bias.shape, np.nan, "f4"))

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if batch == 1 and not self.at_evaluation:
            self.ruin()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        if self.at_evaluation:
            self.ruin()


@pytest.mark.parametrize(
    ("at_evaluation", "named"),
    [(False, "The loss became nan at step 3"), (True, "The hold-out loss became nan")],
)
def test_a_loss_that_is_no_number_stops(
    tmp_path: Path, story: str, at_evaluation: bool, named: str
) -> None:
    with pytest.raises(TextgenError, match=named) as caught:
        train(tmp_path, "x", story[:3000], Ruin(at_evaluation), **TINY)
    assert "--learning-rate below" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x/model.keras").exists()


def exhausted() -> None:
    """What TensorFlow raises; a real lack lets its allocator wait for ten seconds."""
    raise tf.errors.ResourceExhaustedError(None, None, "out of memory")


@pytest.mark.parametrize("ask", [lambda: np.empty(1 << 55), exhausted])
def test_a_lack_of_memory_is_one_line(ask: Callable[[], object]) -> None:
    with pytest.raises(TextgenError, match="fewer --units"), memory_errors_explained():
        ask()
