"""What several devices and workers cost: steps a second, losses, bytes exchanged a step.

    python benchmarks/workers.py --units 256,256 --batch-size 32

The same run of `textgen train` on the story that ships with it: one device, two logical devices of
one process, one worker, two workers. All share this machine's cores, so two of anything can be no
faster than one; the table shows what keeping them in step costs. Bytes are what a worker sends for
each step: by the arithmetic of a ring, and as the loopback interface counted them, which includes
the weights and states sent at the beginning and at each save.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

CASES = ("1 device", "2 devices", "1 worker", "2 workers")
SEQ_LENGTH = 64


def addresses(number: int) -> str:
    """Addresses of this machine where nobody listens."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("", 0))) for _ in range(number)]
        return ",".join(f"127.0.0.1:{each.getsockname()[1]}" for each in taken)


def sent() -> int:
    """Bytes that this machine has sent to itself."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[8])
    raise SystemExit("This system does not count the bytes of its loopback interface.")


def run(case: str, options: list[str], folder: str) -> dict[str, float]:
    """The JSON summary of a run, and the bytes sent meanwhile as `sent`."""
    command = [sys.executable, "-m", "textgen", "train", "--quiet", "--json", *options]
    number, kind = case.split()
    before = sent()
    if kind.startswith("worker"):
        workers = ["--workers", addresses(int(number))]
        processes = [
            subprocess.Popen(
                [*command, *workers, "--worker-index", str(index)],
                cwd=folder,
                stdout=subprocess.PIPE,
            )
            for index in range(int(number))
        ]
    else:
        processes = [
            subprocess.Popen([*command, "--devices", number], cwd=folder, stdout=subprocess.PIPE)
        ]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"{case} failed")
    return json.loads(outputs[0]) | {"sent": sent() - before}


def main() -> None:
    """Run all cases and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", default="256,256")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    given = ["--units", options.units, "--batch-size", str(options.batch_size)]
    given += ["--seq-length", str(SEQ_LENGTH), "--epochs", str(options.epochs)]
    print(f"{os.cpu_count()} cores, {' '.join(given)}\n")
    print("| | steps/s | training loss | hold-out loss | sent a step, MB | measured, MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            summary = run(case, given, folder)
        steps = summary["chars_per_second"] / options.batch_size / SEQ_LENGTH
        workers = int(case.split()[0]) if "worker" in case else 1
        ring = 4 * summary["parameters"] * 2 * (workers - 1) / workers
        measured = summary["sent"] / workers / summary["steps"]
        sent = f"{ring / 1e6:.2f} | {measured / 1e6:.2f}" if workers > 1 else "0 | "
        losses = f"{summary['train_loss']:.5f} | {summary['val_loss']:.5f}"
        print(f"| {case} | {steps:.1f} | {losses} | {sent} |", flush=True)


if __name__ == "__main__":
    main()
