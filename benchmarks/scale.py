"""What a large corpus costs: encoding rate, step rate and resident memory at 10 MB to 1 GB.

    python benchmarks/scale.py FILE --megabytes 10 100 1000

The corpus is FILE over and over, with a random word out of place every hundred words, so
that no two copies are alike. Memory is the peak of `textgen train`, beside that of a
process that only imports TensorFlow and compiles the same step on 1 MB.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = ("--units", "128", "--dropout", "0", "--weight-dropout", "0", "--minutes", "1.5")


def perturbed(text: str, seed: int) -> str:
    """A copy of the text in which every hundredth word stands elsewhere."""
    random_ = random.Random(seed)
    words = text.split(" ")
    for place in range(0, len(words), 100):
        other = random_.randrange(len(words))
        words[place], words[other] = words[other], words[place]
    return " ".join(words)


def write_corpus(text: str, megabytes: int, path: Path) -> None:
    """A corpus of about so many megabytes."""
    size, seed = 0, 0
    with path.open("w", encoding="utf-8") as file:
        while size < megabytes * 1_000_000:
            size += file.write(perturbed(text, seed)[: megabytes * 1_000_000 - size])
            seed += 1


def peak_of(command: list[str], folder: str) -> tuple[dict[str, float], float]:
    """The JSON summary of a command and its peak resident memory in MB."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return json.loads(output), usage.ru_maxrss / 1024


def encoding_rate(path: Path, folder: str) -> float:
    """MB/s from a file to ids on disk, cleaning included."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from textgen.config import Cleaning\n"
        "from textgen.corpus.sources import open_sources\n"
        "from textgen.text.encoding import write_ids\n"
        "begun = time.perf_counter()\n"
        "write_ids(open_sources([sys.argv[1]], Cleaning()), Path('text.ids'))\n"
        "print(time.perf_counter() - begun)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=folder, capture_output=True, check=True
    )
    return path.stat().st_size / 1e6 / float(done.stdout)


def main() -> None:
    """Print a table, a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 10, 100, 1000])
    arguments = parser.parse_args()
    text = arguments.file.read_text(encoding="utf-8")

    print(f"{'MB':>6} {'encode MB/s':>12} {'characters/s':>13} {'peak MB':>8} {'seconds':>8}")
    for megabytes in arguments.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "corpus.txt"
            write_corpus(text, megabytes, path)
            rate = encoding_rate(path, folder)
            command = [sys.executable, "-m", "textgen", "train", str(path), "--quiet", "--json"]
            begun = time.monotonic()
            summary, peak = peak_of([*command, *STEPS], folder)
            seconds = time.monotonic() - begun
        print(
            f"{megabytes:6} {rate:12.0f} {summary['chars_per_second']:13,.0f} {peak:8.0f} "
            f"{seconds:8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
