"""Load mutated model files, as many as are asked for, and count what becomes of them.

    python benchmarks/fuzz_model.py --files 100000

Checksums are mended after most mutations, so that they reach beyond the first check. A
file must be refused with a TextgenError, or load and run: then one network step must give
finite logits. Anything else counts as a failure: another exception, a warning of NumPy's,
a dead process, a file that takes longer than 20 seconds. File number N of a seed is always
the same; `--only N --keep PATH` writes it out.
"""

import argparse
import collections
import hashlib
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.tiny import tiny_model, write_tiny

from textgen.config import CELLS, TARGETS, ModelConfig
from textgen.errors import TextgenError
from textgen.generation.network import Network
from textgen.storage import archive
from textgen.storage.model_file import load_model

NOTES, WEIGHTS = "textgen.json", "model.weights.h5"
SLOWEST = 20.0  # seconds
ADDRESS_SPACE = 2 << 30
INTEGERS = (0, 1, -1, 2, 3, 7, 8, 255, 256, 65535, 65536, 1 << 31, (1 << 32) - 1, 1 << 63, 10**30)
ODD: tuple[Any, ...] = (None, True, 0.5, -0.0, 1e308, "", "\0", "\ud800", "a" * 300, [], {}, [[]])
SPECIAL = np.float32([np.nan, np.inf, -np.inf, 1e38, -1e6, 1e6, 1e-42, 0, 88.8, -104])

Members = dict[str, bytes]
Mutation = Callable[[random.Random, Members], bytes]


def mend(members: Members, notes: dict[str, Any]) -> bytes:
    """An archive whose sha256 and CRCs fit what it now holds, as far as that can be."""
    digest = hashlib.sha256()
    try:
        for row in notes["weights"]:
            if all(type(axis) is int for axis in row["shape"]):
                length = 4 * math.prod(row["shape"])
                digest.update(members[WEIGHTS][row["offset"] :][:length])
        notes["sha256"] = digest.hexdigest()
    except (KeyError, TypeError, ValueError, OverflowError):
        pass  # the mutation took away what the sum is made of
    return archive.pack({**members, NOTES: json.dumps(notes).encode("utf-8", "surrogatepass")})


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    inner = [
        place for _, child in items if isinstance(child, dict | list) for place in places(child)
    ]
    return [(value, key) for key, _ in items] + inner


def odd_value(choose: random.Random, old: Any, notes: dict[str, Any]) -> Any:
    """Something else in a value's place: near it, odd, or from elsewhere in the notes."""
    kind = choose.randrange(4)
    if kind == 0 and type(old) is int:
        return old + choose.choice((-8, -4, -1, 1, 4, 8))
    if kind == 1 and isinstance(old, str) and old:
        place = choose.randrange(len(old))
        return old[:place] + chr(choose.randrange(0x3000)) + old[place + choose.randrange(2) :]
    if kind == 2:
        container, key = choose.choice(places(notes))
        return json.loads(json.dumps(container[key]))
    return (
        choose.choice(INTEGERS)
        if choose.random() < 0.5
        else json.loads(json.dumps(choose.choice(ODD)))
    )


def change_notes(choose: random.Random, members: Members) -> bytes:
    """Replace, remove or add fields of `textgen.json`."""
    notes = json.loads(members[NOTES])
    for _ in range(choose.choice((1, 1, 1, 2, 3))):
        container, key = choose.choice(places(notes))
        action = choose.randrange(6)
        if action == 0:
            del container[key]
        elif action == 1 and isinstance(container, dict):
            container["extra"] = odd_value(choose, None, notes)
        elif action == 1:
            container.insert(choose.randrange(len(container) + 1), odd_value(choose, None, notes))
        else:
            container[key] = odd_value(choose, container[key], notes)
    return mend(members, notes)


def change_notes_bytes(choose: random.Random, members: Members) -> bytes:
    """Flip bytes of `textgen.json`, or splice pieces of JSON into it."""
    data = bytearray(members[NOTES])
    for _ in range(choose.choice((1, 2, 4))):
        place = choose.randrange(len(data))
        if choose.random() < 0.5:
            data[place] = choose.randrange(256)
        else:
            piece = choose.choice(
                (b"[" * 2000, b'{"a":', b"1e999", b"NaN", b'"', b"}", b",", b"9" * 50)
            )
            data[place : place + choose.randrange(4)] = piece
    return archive.pack({**members, NOTES: bytes(data)})


def move_weights(choose: random.Random, members: Members) -> bytes:
    """Put weights at other offsets."""
    notes = json.loads(members[NOTES])
    for row in choose.sample(notes["weights"], choose.randrange(1, 4)):
        row["offset"] = choose.randrange(len(members[WEIGHTS]))
    return mend(members, notes)


def change_weights(choose: random.Random, members: Members) -> bytes:
    """Change weights to awkward numbers, or bytes of the weight member to any."""
    data, notes = bytearray(members[WEIGHTS]), json.loads(members[NOTES])
    for _ in range(choose.choice((1, 10, 1000))):
        row = choose.choice(notes["weights"])
        if choose.random() < 0.1:
            data[choose.randrange(len(data))] = choose.randrange(256)
        else:
            place = row["offset"] + 4 * choose.randrange(int(np.prod(row["shape"])))
            choices = SPECIAL[3:] if choose.random() < 0.9 else SPECIAL
            data[place : place + 4] = choose.choice(list(choices)).tobytes()
    return mend({**members, WEIGHTS: bytes(data)}, notes)


def large_weights(choose: random.Random, members: Members) -> bytes:
    """Weights up to the largest that are allowed."""
    data, notes = bytearray(members[WEIGHTS]), json.loads(members[NOTES])
    generator = np.random.default_rng(choose.randrange(1 << 32))
    scale = 10.0 ** choose.randrange(-6, 8)
    for row in notes["weights"]:
        values = generator.uniform(-scale, scale, int(np.prod(row["shape"]))).astype("<f4")
        data[row["offset"] : row["offset"] + values.nbytes] = values.tobytes()
    return mend({**members, WEIGHTS: bytes(data)}, notes)


def change_members(choose: random.Random, members: Members) -> bytes:
    """Drop, rename, reorder, duplicate, cut or fill members."""
    names = list(members)
    choose.shuffle(names)
    parts = {name: members[name] for name in names}
    name, action = names[0], choose.randrange(5)
    if action == 0:
        del parts[name]
    elif action == 1:
        parts[choose.choice(("../x", "/x", "a" * 200, "x\0", "", "a/b", NOTES + "/"))] = parts.pop(
            name
        )
    elif action == 2:
        parts[name] = parts[name][: choose.randrange(len(parts[name]))]
    elif action == 3:
        parts[name] += bytes(choose.choice((1, 1000, 1 << 21)))
    else:
        parts.update({f"extra{number}": b"" for number in range(choose.randrange(30))})
    return archive.pack(parts)


def change_zip(choose: random.Random, members: Members) -> bytes:
    """Change bytes of the zip structure: headers, directory, end."""
    data = bytearray(archive.pack(members))
    marks = [data.index(b"PK\5\6"), data.index(b"PK\1\2"), data.rindex(b"PK\1\2")]
    marks += [0, data.rindex(b"PK\3\4")]
    for _ in range(choose.choice((1, 1, 2, 4))):
        place = choose.choice(marks) + choose.randrange(46)
        width = choose.choice((1, 2, 4))
        value = choose.choice(INTEGERS) % (1 << 8 * width)
        if place + width <= len(data):
            data[place : place + width] = value.to_bytes(width, "little")
    return bytes(data)


def cut_and_paste(choose: random.Random, members: Members) -> bytes:
    """Cut, repeat, insert or flip pieces of the whole file."""
    data = bytearray(archive.pack(members))
    here, there = sorted(choose.randrange(len(data)) for _ in range(2))
    action = choose.randrange(4)
    if action == 0:
        del data[here:]
    elif action == 1:
        del data[here:there]
    elif action == 2:
        data[here:here] = data[here:there]
    else:
        data[here] ^= 1 << choose.randrange(8)
    return bytes(data)


# After these, which mend nothing, a file that still loads must be the honest one.
UNMENDED = ("change_zip", "cut_and_paste")
MUTATIONS: tuple[Mutation, ...] = (
    change_notes,
    change_notes,
    change_notes_bytes,
    move_weights,
    change_weights,
    large_weights,
    change_members,
    change_zip,
    change_zip,
    cut_and_paste,
)


def honest_files() -> list[Members]:
    """Members of a tiny model of each cell and both targets."""
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for cell in CELLS:
            for targets in TARGETS:
                config = ModelConfig(cell=cell, units=(4, 3), seq_length=10, targets=targets)
                path = write_tiny(Path(folder, "model.keras"), tiny_model(config))
                with zipfile.ZipFile(path) as opened:
                    made.append({name: opened.read(name) for name in opened.namelist()})
    return made


def mutated(honest: list[Members], seed: int, number: int) -> tuple[str, bytes]:
    """File `number` of a seed, and the name of the mutation that made it."""
    choose = random.Random(f"{seed}:{number}")
    mutation = choose.choice(MUTATIONS)
    return mutation.__name__, mutation(choose, choose.choice(honest))


def outcome(path: Path) -> str:
    """What becomes of one file: refused, loaded, or the failure."""
    try:
        model = load_model(path)
    except TextgenError as error:
        return "refused" if str(error).isprintable() else f"FAILED message {str(error)!r}"
    network = Network(model.config, dict(model.weights))
    state = network.zero_state(2)
    ids = np.arange(16, dtype=np.int64).reshape(2, 8) % len(model.vocabulary)
    logits = network.run(ids, state)
    last = network.step(ids[:, 0], state)
    return "loaded" if np.isfinite(logits).all() and np.isfinite(last).all() else "FAILED logits"


def work(seed: int, start: int, end: int) -> None:
    """The child: load files one by one, telling the parent of each before and after."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    warnings.simplefilter("error")
    honest = honest_files()
    whole = {archive.pack(members) for members in honest}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mutated.keras")
        for number in range(start, end):
            name, data = mutated(honest, seed, number)
            path.write_bytes(data)
            print(number, flush=True)
            try:
                result = outcome(path)
                if result == "loaded" and name in UNMENDED and data not in whole:
                    result = "FAILED damage was not noticed"
            except Exception:
                result = "FAILED " + traceback.format_exc().splitlines()[-1]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            print(f"{number}\t{peak}\t{name}\t{result}", flush=True)


class Tally:
    """Counts of outcomes, and the failures."""

    def __init__(self) -> None:
        self.outcomes: dict[str, collections.Counter[str]] = collections.defaultdict(
            collections.Counter
        )
        self.failures: list[str] = []
        self.files = 0
        self.peak = 0

    def add(self, line: str) -> None:
        """Take one line of the child's."""
        number, peak, name, result = line.split("\t", 3)
        self.files, self.peak = self.files + 1, max(self.peak, int(peak))
        self.outcomes[name][result.split(" ", 1)[0]] += 1
        if result.startswith("FAILED"):
            self.failures.append(f"file {number}, {name}: {result}")

    def show(self, seconds: float) -> None:
        """Print the table."""
        print(f"{'mutation':<20}{'refused':>10}{'loaded':>10}{'failed':>10}")
        for name, counts in sorted(self.outcomes.items()):
            print(f"{name:<20}{counts['refused']:>10}{counts['loaded']:>10}{counts['FAILED']:>10}")
        print(f"{self.files:,} files in {seconds:.0f} s, peak memory {self.peak} MB,")
        print(f"{len(self.failures)} failures")
        print("\n".join(self.failures[:50]))


def watch(arguments: argparse.Namespace, start: int, until: float, tally: Tally) -> int:
    """Run one child until it ends, dies or hangs; the number of the next file."""
    command = [sys.executable, __file__, "--seed", str(arguments.seed)]
    command += ["--work", str(start), str(arguments.files)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
    assert child.stdout is not None
    os.set_blocking(child.stdout.fileno(), False)
    number, pending, last = start, b"", time.monotonic()
    while time.monotonic() < until:
        ended = child.poll() is not None
        fresh = child.stdout.read()
        if fresh:
            last = time.monotonic()
            *lines, pending = (pending + fresh).split(b"\n")
            for line in map(bytes.decode, lines):
                number = int(line.split("\t", 1)[0])
                if "\t" in line:
                    tally.add(line)
                    number += 1
        elif ended or time.monotonic() - last > SLOWEST:
            break
        time.sleep(0.05)
    else:
        child.kill()
        child.wait()
        return arguments.files
    if not ended:
        child.kill()
    if child.wait() != 0:
        tally.failures.append(f"file {number}: the process ended with {child.returncode}")
        number += 1
    return number


def main() -> None:
    """Fuzz until the files or the seconds are used up."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="make this file and nothing else")
    parser.add_argument("--keep", type=Path, help="where --only writes it")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.seed, *arguments.work)
    elif arguments.only is not None:
        name, data = mutated(honest_files(), arguments.seed, arguments.only)
        arguments.keep.write_bytes(data)
        print(name)
    else:
        tally, begun, number = Tally(), time.monotonic(), 0
        while number < arguments.files and len(tally.failures) < 50:
            number = watch(arguments, number, begun + arguments.seconds, tally)
        tally.show(time.monotonic() - begun)
        sys.exit(bool(tally.failures))


if __name__ == "__main__":
    main()
