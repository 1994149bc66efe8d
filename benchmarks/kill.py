"""Kill a training process with SIGKILL, many times over, and see that nothing is lost.

    python benchmarks/kill.py --kills 200

Half of the kills fall at random moments of the process's life, half while a file is being
written. After each the run directory must load; then the run is resumed. Each run that
comes to its end must equal one that was never stopped: weights, state, samples and log.csv
byte for byte, times excepted. LSTMs with dropout that predict every character and GRUs that
predict the one after a window take turns. Half of the runs replace one of the other kind with
`--overwrite`: there must always be a model of its name. After every third kill the state is taken
away for a moment: the run must not begin again then. Takes 10 to 15 s a kill on two cores.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.killing import SAVE, START, STEP, Trainer, check_loads, contents, kill_once

from textgen.corpus.sources import builtin_files
from textgen.storage.model_file import load_model
from textgen.storage.run import read_run
from textgen.storage.run_folder import find_model
from textgen.storage.state import previous_path

CHARACTERS = 6000
KINDS: dict[str, dict[str, Any]] = {
    "lstm": {"dropout": 0.3, "epochs": 60},
    "gru": {"cell": "gru", "targets": "last", "step": 5, "epochs": 16},
}


def main() -> None:
    """Kill as often as asked, print a table, and exit with 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="textgen-kill-") as folder:
        fell, failures, runs = kill_many(Path(folder), asked.kills, random.Random(asked.seed))
    print(
        f"{asked.kills} kills in {(time.monotonic() - begun) / 60:.0f} minutes, seed {asked.seed}"
    )
    for place in (START, STEP, SAVE):
        print(f"{fell[place]:6} {place}")
    print(f"{runs:6} runs that ended and were compared\n{len(failures):6} failures")
    sys.exit(1 if failures else 0)


def kill_many(
    folder: Path, kills: int, chance: random.Random
) -> tuple[Counter[str], list[str], int]:
    """Where the kills fell, what went wrong, and how many runs were compared."""
    story = builtin_files()["runaway-echo"].read_text("utf-8")
    (folder / "text.txt").write_text(story[:CHARACTERS])
    wholes = {}
    lives = []
    for kind, options in KINDS.items():
        begun = time.monotonic()
        whole = Trainer(folder, f"whole-{kind}", **options)
        whole.finish()
        wholes[kind] = contents(whole.run)
        lives.append(time.monotonic() - begun)
    print(f"a whole run takes {max(lives):.0f} s", file=sys.stderr, flush=True)

    fell: Counter[str] = Counter()
    failures: list[str] = []
    runs = 0
    while True:
        kind = list(KINDS)[runs % len(KINDS)]
        trainer = Trainer(folder, f"run-{runs}", **KINDS[kind])
        if runs // 2 % 2:
            trainer.how = "overwrite"
            other = list(KINDS)[(runs + 1) % len(KINDS)]
            shutil.copytree(trainer.run.path.with_name(f"whole-{other}"), trainer.run.path)
        last = kill_until_done(trainer, kills - fell.total(), chance, max(lives), fell, failures)
        runs += 1
        if differ(trainer, wholes[kind]):
            failures.append(f"{trainer.name} is not the run that was never stopped")
            print(failures[-1], file=sys.stderr, flush=True)
        if last:
            return fell, failures, runs


def kill_until_done(
    trainer: Trainer,
    kills: int,
    chance: random.Random,
    life: float,
    fell: Counter[str],
    failures: list[str],
) -> bool:
    """Kill a run until it ends, or so many times, and then let it; True if that was all."""
    for _ in range(kills):
        place = kill_once(trainer, chance, life)
        if place is None:
            return False
        fell[place] += 1
        print(f"\r{fell.total()} {dict(fell)}   ", end="", file=sys.stderr, flush=True)
        try:
            check_loads(trainer.run)
            if trainer.how == "overwrite":
                load_model(find_model(trainer.name, trainer.run.path.parent))
            if fell.total() % 3 == 0 and trainer.run.model.exists():
                check_without_state(trainer)
        except Exception as error:
            failures.append(f"{trainer.name} does not load after kill {fell.total()}: {error}")
            print(failures[-1], file=sys.stderr, flush=True)
        if trainer.how == "overwrite" and has_replaced(trainer):
            trainer.how = "resume"
    trainer.finish()
    return True


def has_replaced(trainer: Trainer) -> bool:
    """Whether the new run has its name already: the old one is of another kind."""
    settings = trainer.run.settings
    return settings.exists() and read_run(settings).model.cell == trainer.given.get("cell", "lstm")


def check_without_state(trainer: Trainer) -> None:
    """Without its state a run that has a model must not begin again."""
    state, how = trainer.run.state, trainer.how
    states = {path: path.read_bytes() for path in (state, previous_path(state)) if path.exists()}
    model = trainer.run.model.read_bytes()
    trainer.how = "resume"
    for path in states:
        path.unlink()
    with trainer.start() as process:
        process.communicate()
    for path, data in states.items():
        path.write_bytes(data)
    trainer.how = how
    assert process.returncode == 1, "it began again without its state"
    assert trainer.run.model.read_bytes() == model, "its model was replaced"


def differ(trainer: Trainer, whole: dict) -> bool:
    """Whether a run's contents are other than those of the run that was never stopped."""
    found = contents(trainer.run)
    for part, value in whole.items():
        if found[part] != value:
            print(f"{trainer.name}: {part} differs", file=sys.stderr)
    return found != whole


if __name__ == "__main__":
    main()
