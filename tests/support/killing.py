"""A trainer that is killed and resumed, again and again, and what must hold of its run."""

import csv
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any
from unittest import TestCase

from textgen.storage.atomic import TEMPORARIES
from textgen.storage.model_file import load_model
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import has_state, read_state
from textgen.training.request import Request
from textgen.training.session import train

SOURCES = ("text.txt",)
GIVEN: dict[str, Any] = {"units": (16,), "seq_length": 32, "batch_size": 8, "patience": 1000}
# Trains as the command does, and saves 20 times a second instead of once in two minutes.
OFTEN_SAVING = """
import json, sys
from pathlib import Path
from support.killing import Trainer
name, how, given = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
Trainer(Path(), name, how, **given).finish_here()
"""
TIMES = {"seconds", "chars_per_second", "step_seconds", "step_targets", "log"}
START, STEP, SAVE = "start-up", "step or evaluation", "save"


class Trainer:
    """The run `name` in `folder`, trained on text.txt there with these settings.

    Attributes:
        how: what `start` does where there is a run: `resume` or `overwrite`.
    """

    def __init__(self, folder: Path, name: str, how: str = "resume", **given: Any):
        self.folder, self.name, self.how, self.given = folder, name, how, given

    @property
    def run(self) -> RunDirectory:
        """Its run directory."""
        return RunDirectory(self.folder / "checkpoints" / self.name)

    def start(self) -> subprocess.Popen[bytes]:
        """Begin or resume the run, in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", OFTEN_SAVING, self.name, self.how, json.dumps(self.given)],
            cwd=self.folder,
            # It finds this module whether a test or a benchmark runs.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def finish(self) -> None:
        """Let the run end by itself."""
        with self.start() as process:
            _, stderr = process.communicate()
        assert process.returncode == 0, stderr.decode()

    def finish_here(self) -> None:
        """Let the run end, in this process."""
        given = GIVEN | self.given
        with chdir(self.folder):
            resume = self.how == "resume"
            request = Request(SOURCES, self.name, resume, not resume, given=given)
            train(request, save_seconds=0.05)

    def began(self) -> int:
        """Changes when a process begins to train, after start-up: it writes log.csv then."""
        try:
            return self.run.log.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def saving(self) -> bool:
        """Whether a file is being written."""
        return any(self.run.path.glob(TEMPORARIES)) or any(self.run.samples.glob(TEMPORARIES))


def kill_once(trainer: Trainer, chance: random.Random, longest: float) -> str | None:
    """Start or resume, and kill -9: half of the times in `longest` seconds, half in a save.

    Returns:
        Where it fell: one of `START`, `STEP`, `SAVE`; None if the run ended before.
    """
    before = trainer.began()
    with trainer.start() as process:
        if chance.random() < 0.5:
            _wait(process, chance.uniform(0, longest), lambda: False)
        else:
            _wait(process, 600, lambda: trainer.began() != before)
            _wait(process, chance.uniform(0, longest / 4), lambda: False)
            _wait(process, 600, trainer.saving)
            time.sleep(chance.choice((0, 0, 0.0005, 0.001, 0.002, 0.005)))
        process.kill()
        _, stderr = process.communicate()
    if process.returncode == 0:
        return None
    assert process.returncode == -9, stderr.decode()
    if trainer.saving():
        return SAVE
    return START if trainer.began() == before else STEP


def _wait(process: subprocess.Popen[bytes], seconds: float, ready: Callable[[], bool]) -> None:
    """Wait until something is ready, the time is over or the process has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None and not ready():
        time.sleep(0.0003)


def check_loads(run: RunDirectory) -> None:
    """Whatever of the run is there must load, without a word about damage."""
    if os.path.lexists(run.model):
        load_model(run.model)
    if has_state(run.state):
        with TestCase().assertNoLogs("textgen"):
            read_state(run.state)


def contents(run: RunDirectory) -> dict[str, Any]:
    """All that a finished run holds, except times: equal for equal runs."""
    meta, arrays = read_state(run.state)
    model = load_model(run.model)
    with run.log.open() as file:
        rows = list(csv.DictReader(file))
    files = [path.relative_to(run.path) for path in run.path.rglob("*")]
    return {
        "files": sorted(map(str, files)),
        "progress": {name: value for name, value in meta.items() if name not in TIMES},
        "state": {name: array.tobytes() for name, array in arrays.items()},
        "weights": {name: array.tobytes() for name, array in model.weights.items()},
        "provenance": {k: value for k, value in model.provenance.items() if k not in TIMES},
        "log": [{k: value for k, value in row.items() if k not in TIMES} for row in rows],
        "samples": [path.read_bytes() for path in sorted(run.samples.iterdir())],
    }
