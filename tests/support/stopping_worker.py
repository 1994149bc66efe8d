"""A program for tests: the second of two workers, which has a callback that ends training.

`python -m support.stopping_worker RUN EVALUATIONS --workers ADDRESS,ADDRESS --worker-index 1`
"""

import sys
from contextlib import nullcontext
from pathlib import Path

from support.training import StopAt, train

from textgen.training.distributed.cluster import Cluster
from textgen.training.distributed.devices import joined

if __name__ == "__main__":
    _, run, evaluations, _, addresses, _, index = sys.argv
    cluster = Cluster(tuple(addresses.split(",")), int(index))
    devices = joined(cluster, None, 60, nullcontext())
    train(Path("checkpoints"), run, None, StopAt(int(evaluations)), devices=devices)
