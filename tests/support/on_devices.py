"""A program for tests: trains the same run on one and on two logical devices.

`python -m support.on_devices FOLDER` keeps runs there: `one` and `two`, which never stopped, and
`moved`, which began on two, continued on one and ended on two.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import keras
from support.small_run import STORY

from textgen.cli.bar import Reporter
from textgen.cli.signals import Stopped
from textgen.config import Cleaning
from textgen.text.encoding import open_ids
from textgen.training.distributed.devices import Devices, several
from textgen.training.loop import Training
from textgen.training.new_run import Request, earlier_run, new_run

STEPS = 50
# Rows that one device takes in one part, so that two must add otherwise than it does.
GIVEN: dict[str, Any] = {
    "units": (12,),
    "seq_length": 16,
    "batch_size": 12,
    "dropout": 0.3,
    "input_dropout": 0.1,
    "weight_dropout": 0.2,
    "epochs": 2,
}
TEXT = STORY[:5200]


class Interrupt(keras.callbacks.Callback):
    """A real SIGTERM after so many steps of this session."""

    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.steps -= 1
        if self.steps == 0:
            os.kill(os.getpid(), signal.SIGTERM)


def train(root: Path, name: str, devices: Devices, interrupt: int = 0, **given: Any) -> None:
    """Begin or continue the run `name`."""
    request = Request(("test",), "test", name, False, None, Cleaning(), given, devices.replicas)
    opened = new_run(request, [TEXT], root) if given else earlier_run(request, None, root)
    with opened as (directory, run, *_):
        ids = open_ids(directory.text, len(run.vocabulary))
        callbacks = [Interrupt(interrupt)] if interrupt else []
        training = Training(directory, run, ids, time.monotonic(), Reporter(), callbacks, devices)
        try:
            training.train()
        except Stopped:
            assert interrupt


def main(root: Path) -> None:
    """Train all runs."""
    two, one = several(2), Devices()
    train(root, "one", one, **GIVEN)
    train(root, "two", two, **GIVEN)
    train(root, "moved", two, interrupt=17, **GIVEN)
    train(root, "moved", one, interrupt=13)
    train(root, "moved", two)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
