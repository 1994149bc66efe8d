"""Several workers, real processes, are one trainer."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.commands import Command, run_textgen
from support.team import SECONDS, Worker, ended, free_addresses, two_workers, worker

from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import read_state

# 8 rows for each of two: one part each, on any machine.
SMALL = ("--units", "12,8", "--seq-length", "32", "--batch-size", "16", "--dropout", "0.3")
STORY = ("builtin:runaway-echo", *SMALL, "--epochs", "4", "--name", "x")


def wait_for(ready: Callable[[], bool], *processes: Worker) -> None:
    """Wait until something is ready, while none of the processes ends."""
    end = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < end, "it takes too long"
        for process in processes:
            assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run x, trained on two devices of one process."""
    folder = tmp_path_factory.mktemp("whole")
    done = run_textgen("train", *STORY, "--devices", "2", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return folder


def run_of(folder: Path) -> RunDirectory:
    return RunDirectory(folder / "checkpoints/x")


def arrays(folder: Path) -> dict[str, np.ndarray]:
    return read_state(run_of(folder).state)[1]


def one_error(told: str) -> str:
    """The one line that a worker says."""
    (line,) = told.splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.mark.timeout(900)
def test_one_is_told_to_stop_and_two_or_one_go_on(
    tmp_path: Path, invoke: Command, whole: Path
) -> None:
    """Stopped and resumed, two workers end with the bytes of two devices that never stopped."""
    with two_workers(*STORY, cwd=tmp_path) as (chief, second):
        wait_for(run_of(tmp_path).state.exists, chief, second)
        second.send_signal(signal.SIGTERM)
        for process in (second, chief):
            status, out, told = ended(process)
            assert (status, out) == (143, "")
            assert told.endswith("Stopped. Continue: textgen train --resume --name x\n")
    stopped = read_state(run_of(tmp_path).state)[0]["step"]
    assert 0 < stopped < read_state(run_of(whole).state)[0]["step"]
    alone = tmp_path / "alone"
    shutil.copytree(tmp_path / "checkpoints", alone / "checkpoints")

    with two_workers("--resume", "--json", cwd=tmp_path) as (chief, second):
        status, out, told = ended(chief)
        assert status == 0, told
        summary = json.loads(out)
        assert ended(second) == (0, "", "")
    assert summary["steps"] > stopped
    one, other = arrays(tmp_path), arrays(whole)
    assert {name: array.tobytes() for name, array in one.items()} == {
        name: array.tobytes() for name, array in other.items()
    }

    done = invoke("train", "--resume", "--json", cwd=alone)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["val_loss"] == pytest.approx(summary["val_loss"], abs=1e-3)


@pytest.mark.parametrize("victim", [0, 1])
def test_one_is_killed(tmp_path: Path, victim: int) -> None:
    options = (*STORY, "--epochs", "1000", "--patience", "1000")
    with two_workers(*options, cwd=tmp_path) as workers:
        wait_for(run_of(tmp_path).model.exists, *workers)
        workers[victim].kill()
        status, _, told = ended(workers[1 - victim])
    assert status == 1
    last = told.splitlines()[-1]
    assert last.startswith(f"Error: Lost worker {victim} (127.0.0.1:")
    assert "--resume" in last
    if victim == 0:
        assert told.count("\n") == 1
    assert read_state(run_of(tmp_path).state)[0]["step"] > 0


def test_one_never_comes(tmp_path: Path) -> None:
    addresses = free_addresses(2)
    chief = worker(0, addresses, *STORY, "--join-timeout", "1", cwd=tmp_path)
    try:
        status, out, told = ended(chief)
    finally:
        chief.kill()
    assert (status, out) == (1, "")
    assert addresses[1] in one_error(told)
    assert not (tmp_path / "checkpoints").exists()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    import socket

    addresses = free_addresses(2)
    with socket.create_server(("127.0.0.1", int(addresses[0].rpartition(":")[2]))):
        chief = worker(0, addresses, *STORY, cwd=tmp_path)
        try:
            status, _, told = ended(chief)
        finally:
            chief.kill()
    assert status == 1
    assert addresses[0] in one_error(told)


def test_another_text_is_refused(tmp_path: Path, story: str) -> None:
    """Of workers that share no folder; the second one says why, the chief says who."""
    folders = [tmp_path / "chief", tmp_path / "other"]
    for folder, text in zip(folders, (story, story[:-1] + "?"), strict=True):
        folder.mkdir()
        (folder / "text.txt").write_text(text)
    options = ("text.txt", *SMALL, "--epochs", "1", "--name", "x")
    with two_workers(*options, cwd=folders[0], other=folders[1]) as (chief, second):
        status, out, told = ended(chief)
        assert (status, out) == (1, "")
        assert "because of worker 1 (127.0.0.1:" in told.splitlines()[-1]
        status, out, told = ended(second)
        assert (status, out) == (1, "")
        assert "Give all workers the same sources" in one_error(told)
    assert not (folders[1] / "checkpoints").exists()
    assert not run_of(folders[0]).state.exists()


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    run_of(tmp_path).path.mkdir(parents=True)
    with two_workers(*STORY, cwd=tmp_path) as (chief, second):
        status, _, told = ended(chief)
        assert status == 1
        assert "exists" in one_error(told)
        status, _, told = ended(second)
        assert status == 1
        assert "because of worker 0 (127.0.0.1:" in one_error(told)
        assert "exists" in told
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "a:1,b:2"], "--worker-index"),
        (["--worker-index", "0"], "--workers"),
        (["--workers", "a:1,b:2", "--worker-index", "2"], "count from 0"),
        (["--workers", "a:1,b", "--worker-index", "0"], "host:port"),
        (["--workers", "a:1,a:1", "--worker-index", "0"], "Two workers"),
        (["--workers", "a:70000,b:1", "--worker-index", "0"], "host:port"),
        (["--devices", "0"], "all"),
    ],
)
def test_wrong_usage(invoke: Command, options: list[str], said: str) -> None:
    done = invoke("train", *options)
    assert done.returncode == 2
    assert said in done.stderr.decode()


TASK = {"type": "worker", "index": 0}


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ("{", 1),
        ("[]", 1),
        (json.dumps({"cluster": {"worker": ["a"]}, "task": TASK}), 1),
        (json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": TASK | {"index": 2}}), 1),
        (json.dumps({"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": TASK}), 1),
        (json.dumps({"cluster": {"worker": ["a:1"]}, "task": TASK | {"type": "evaluator"}}), 1),
    ],
)
def test_a_wrong_tf_config(invoke: Command, config: str, status: int) -> None:
    done = invoke("train", TF_CONFIG=config)
    assert done.returncode == status
    assert "TF_CONFIG" in done.stderr.decode() or "host:port" in done.stderr.decode()
    one_error(done.stderr.decode())


def test_options_that_contradict_tf_config(invoke: Command) -> None:
    config = json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": TASK})
    done = invoke("train", "--workers", "a:1,b:1", "--worker-index", "1", TF_CONFIG=config)
    assert done.returncode == 2
    assert b"TF_CONFIG" in done.stderr
