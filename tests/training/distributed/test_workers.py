"""Several workers, real processes, are one trainer."""

import json
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Command
from support.on_devices import EVALUATIONS, STEPS, TEXT
from support.team import SECONDS, Worker, ended, free_addresses, two_workers
from support.training import StopAt, train

from textgen.errors import TextgenError
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import read_state
from textgen.training.distributed.cluster import Cluster, meet

SMALL = ("--units", "12", "--seq-length", "16", "--batch-size", "12")
TRAIN = ("text.txt", *SMALL, "--name", "x")


def wait_for(ready: Callable[[], bool], *processes: Worker) -> None:
    """Wait until something is ready, while none of the processes ends."""
    end = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < end, "it takes too long"
        for process in processes:
            assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the text of the runs of `on_devices`."""
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


def run_of(folder: Path) -> RunDirectory:
    return RunDirectory(folder / "checkpoints/x")


def one_error(stderr: str) -> str:
    """The one line that a worker says."""
    (line,) = stderr.splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.mark.timeout(900)
def test_stopped_and_resumed_two_workers_end_as_two_devices(folder: Path, runs: Path) -> None:
    """One gets a signal to stop, and later a callback of one ends training for both."""
    dropouts = ("--dropout", "0.3", "--input-dropout", "0.1", "--weight-dropout", "0.2")
    with two_workers(*TRAIN, *dropouts, "--epochs", "40", cwd=folder) as (chief, second):
        wait_for(run_of(folder).state.exists, chief, second)
        second.send_signal(signal.SIGTERM)
        for process in (second, chief):
            status, out, stderr = ended(process)
            assert (status, out) == (143, "")
            assert stderr.endswith("Stopped. Continue: textgen train --resume --name x\n")
    assert 0 < read_state(run_of(folder).state)[0]["step"] < STEPS
    alone = folder / "alone"
    shutil.copytree(run_of(folder).path, alone / "x")

    stopping = ("support.stopping_worker", "x", str(EVALUATIONS))
    with two_workers("--resume", "--json", cwd=folder, program=stopping, others=[]) as workers:
        status, out, stderr = ended(workers[0])
        assert status == 0, stderr
        summary = json.loads(out)
        assert ended(workers[1])[0] == 0
    assert summary["steps"] == STEPS
    own, whole = (read_state(run.state)[1] for run in (run_of(folder), RunDirectory(runs / "two")))
    assert own.keys() == whole.keys()
    assert all(array.tobytes() == whole[name].tobytes() for name, array in own.items())

    progress = train(alone, "x", None, StopAt(EVALUATIONS)).progress
    assert progress.best == pytest.approx(summary["val_loss"], abs=1e-3)


@pytest.mark.parametrize("victim", [0, 1])
def test_one_is_killed(folder: Path, victim: int) -> None:
    options = (*TRAIN, "--epochs", "1000", "--patience", "1000")
    with two_workers(*options, cwd=folder) as workers:
        wait_for(run_of(folder).model.exists, *workers)
        workers[victim].kill()
        status, _, stderr = ended(workers[1 - victim])
    assert status == 1
    last = stderr.splitlines()[-1]
    assert last.startswith(f"Error: Lost worker {victim} (127.0.0.1:")
    assert "--resume" in last
    if victim == 0:
        assert stderr.count("\n") == 1
    assert read_state(run_of(folder).state)[0]["step"] > 0


def test_one_never_comes() -> None:
    addresses = free_addresses(2)
    with pytest.raises(TextgenError, match=f"no answer from worker 1 .{addresses[1]}"):
        meet(Cluster(tuple(addresses), 0), 0.5)


def test_a_port_that_is_taken() -> None:
    addresses = free_addresses(2)
    with (
        socket.create_server(("127.0.0.1", int(addresses[0].rpartition(":")[2]))),
        pytest.raises(TextgenError, match=f"listen as worker 0 .{addresses[0]}"),
    ):
        meet(Cluster(tuple(addresses), 0), 60)


def test_another_text_is_refused(tmp_path: Path, story: str) -> None:
    """Of workers that share no folder; the second one says why, the chief says who."""
    folders = [tmp_path / "chief", tmp_path / "other"]
    for folder, text in zip(folders, (story, story[:-1] + "?"), strict=True):
        folder.mkdir()
        (folder / "text.txt").write_text(text)
    options = ("text.txt", *SMALL, "--epochs", "1", "--name", "x")
    with two_workers(*options, cwd=folders[0], other=folders[1]) as (chief, second):
        status, out, stderr = ended(chief)
        assert (status, out) == (1, "")
        assert "because of worker 1 (127.0.0.1:" in stderr.splitlines()[-1]
        status, out, stderr = ended(second)
        assert (status, out) == (1, "")
        assert "Give all workers the same sources" in one_error(stderr)
    assert not (folders[1] / "checkpoints").exists()
    assert not run_of(folders[0]).state.exists()


def test_a_name_that_is_taken(folder: Path) -> None:
    run_of(folder).path.mkdir(parents=True)
    with two_workers(*TRAIN, cwd=folder) as (chief, second):
        status, _, stderr = ended(chief)
        assert status == 1
        assert "exists" in one_error(stderr)
        status, _, stderr = ended(second)
        assert status == 1
        assert "because of worker 0 (127.0.0.1:" in one_error(stderr)
        assert "exists" in stderr
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["x"]


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
