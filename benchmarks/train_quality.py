"""How good a model is after some minutes: hold-out loss against time, beside an n-gram.

    python benchmarks/train_quality.py FILE --minutes 1.4

Runs the real command in a temporary folder; the clock includes start-up and compilation.
Other options are passed to `textgen train`.
"""

import argparse
import csv
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Train, then print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, required=True)
    arguments, options = parser.parse_known_args()

    command = [sys.executable, "-m", "textgen", "train", str(arguments.file.resolve())]
    command += ["--minutes", str(arguments.minutes), "--json", *options]
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True)
        seconds = time.monotonic() - begun
        summary = json.loads(done.stdout)
        rows = list(csv.DictReader((Path(folder) / summary["model"]).with_name("log.csv").open()))

    print(f"{'seconds':>8} {'passes':>7} {'train':>7} {'hold-out':>8} {'bpc':>6}")
    for row in rows:
        loss = float(row["val_loss"])
        print(
            f"{float(row['seconds']):8.1f} {float(row['passes']):7.2f} "
            f"{float(row['train_loss']):7.3f} {loss:8.4f} {loss / math.log(2):6.3f}"
        )
    for name, bits in summary["baselines"].items():
        print(f"{name:>16} {'':7} {bits * math.log(2):8.4f} {bits:6.3f}")
    print(
        f"best {summary['val_loss']:.4f} nats; {summary['parameters']:,} parameters; "
        f"{summary['chars_per_second']:,.0f} characters/s; {seconds:.1f} s of wall clock "
        f"for --minutes {arguments.minutes:g} ({seconds / arguments.minutes / 60 - 1:+.1%})"
    )


if __name__ == "__main__":
    main()
