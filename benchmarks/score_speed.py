"""How fast texts are measured: scoring, baselines, copying and xz.

    python benchmarks/score_speed.py [TEXT]

Without TEXT the story that ships with textgen is read 30 times over (1 MB). The model has
2 x 256 units and random weights; what it costs to run does not depend on them.
"""

import os
import sys
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the commands do

import numpy as np

from textgen.analysis import scoring
from textgen.analysis.baselines import baselines, xz_of_ids
from textgen.analysis.copying import measure_copying
from textgen.config import ModelConfig
from textgen.cores import available_cores
from textgen.generation.network import Network
from textgen.text.vocabulary import Vocabulary

SCORED = 260_000  # characters


def rate(name: str, characters: int, task: Callable[[], object]) -> None:
    """Time a task and print a row."""
    begun, used = time.perf_counter(), time.process_time()
    task()
    wall, cpu = time.perf_counter() - begun, time.process_time() - used
    print(f"{name:<34}{characters / wall:>12,.0f}{characters / cpu:>16,.0f}{wall:>9.2f} s")


def main() -> None:
    """Print the table."""
    if sys.argv[1:]:
        text = Path(sys.argv[1]).read_text(encoding="utf-8")
    else:
        story = resources.files("textgen.corpora").joinpath("runaway-echo.txt")
        text = story.read_text("utf-8") * 30
    vocabulary = Vocabulary("".join(sorted(set(text))))
    ids = vocabulary.encode(text)
    train, holdout = np.split(ids, [len(ids) * 9 // 10])
    config, size = ModelConfig(units=(256, 256)), len(vocabulary)
    generator = np.random.default_rng(0)
    shapes = config.weight_shapes(size)
    weights = {n: generator.normal(0, 0.05, s).astype("f4") for n, s in shapes.items()}
    network = Network(config, weights)

    print(f"{len(text):,} characters, {size} different; {available_cores()} cores")
    print(f"{'':<34}{'chars/s':>12}{'chars/cpu-s':>16}{'time':>11}")
    scored = ids[:SCORED]
    rate("score, 2 x 256", len(scored), lambda: scoring.holdout_bits(network, scored))
    rate("n-grams of orders 1 to 6", len(ids), lambda: baselines(train, holdout, size))
    rate("copying", len(ids), lambda: measure_copying(holdout, train, size))
    rate("xz -9e", len(ids), lambda: xz_of_ids(train, holdout, vocabulary))


if __name__ == "__main__":
    main()
