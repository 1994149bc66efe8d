"""What a large corpus costs: encoding rate, step rate and resident memory at 10 MB to 1 GB.

    python benchmarks/scale.py FILE --megabytes 10 100 1000
    python benchmarks/scale.py FILE --megabytes --items 20000 10000000

The corpus is FILE over and over, with a random word out of place every hundred words, so
that no two copies are alike. Memory is the peak of `textgen train`, beside that of a
process that only imports TensorFlow and compiles the same step on 1 MB. A list has so many
invented names, one a line.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

STEPS = ("--units", "128", "--dropout", "0", "--weight-dropout", "0", "--minutes", "1.5")
SYLLABLES = [c + v for c in "bcdfglmnprstvz" for v in ("a", "e", "i", "o", "u", "an", "el")]


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


def write_list(items: int, path: Path) -> None:
    """A list of so many names."""
    random_ = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(items):
            name = "".join(random_.choices(SYLLABLES, k=random_.choice((2, 3, 4))))
            file.write(f"{name.capitalize()}\n")


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
    parser.add_argument("--megabytes", type=int, nargs="*", default=[1, 10, 100, 1000])
    parser.add_argument("--items", type=int, nargs="*", default=[])
    arguments = parser.parse_args()
    text = arguments.file.read_text(encoding="utf-8")

    print(f"{'':>14} {'encode MB/s':>12} {'characters/s':>13} {'peak MB':>8} {'seconds':>8}")
    for megabytes in arguments.megabytes:
        measure(f"{megabytes} MB", partial(write_corpus, text, megabytes))
    for items in arguments.items:
        measure(f"{items:,}", partial(write_list, items), "--list")


def measure(name: str, write: Callable[[Path], None], *options: str) -> None:
    """Print the row of a corpus that is written for it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.txt"
        write(path)
        rate = encoding_rate(path, folder)
        command = [sys.executable, "-m", "textgen", "train", str(path), "--quiet", "--json"]
        begun = time.monotonic()
        summary, peak = peak_of([*command, *STEPS, *options], folder)
        seconds = time.monotonic() - begun
    print(
        f"{name:>14} {rate:12.0f} {summary['chars_per_second']:13,.0f} {peak:8.0f} {seconds:8.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
