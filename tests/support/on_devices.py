"""A program for tests: trains the same run on one and on two logical devices.

`python -m support.on_devices FOLDER` keeps runs there: `one` and `two`, which never stopped, and
`moved`, which began on one and ended on two.
"""

import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.small_run import STORY
from support.training import Interrupt, StopAt, train

from textgen.training.distributed.devices import Devices, several
from textgen.training.stopping import Interrupted

STEPS = 100
# A callback ends it then, long before its last pass.
EVALUATIONS = 4
# Rows that one device takes in one part, so that two must add otherwise than it does.
GIVEN: dict[str, Any] = {
    "units": (12,),
    "seq_length": 16,
    "batch_size": 12,
    "dropout": 0.3,
    "input_dropout": 0.1,
    "weight_dropout": 0.2,
    "epochs": 40,
}
TEXT = STORY[:5200]


def main(root: Path) -> None:
    """Train all runs."""
    two, one = several(2), Devices()
    train(root, "one", TEXT, StopAt(EVALUATIONS), devices=one, **GIVEN)
    train(root, "two", TEXT, StopAt(EVALUATIONS), devices=two, **GIVEN)
    with suppress(Interrupted):
        train(root, "moved", TEXT, Interrupt(17, signal.SIGTERM), devices=one, **GIVEN)
    train(root, "moved", None, StopAt(EVALUATIONS), devices=two)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
