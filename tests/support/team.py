"""Real workers on 127.0.0.1: processes of `textgen train` that train together."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

SECONDS = 240  # after which a worker is ended, whatever it does

Worker = subprocess.Popen[bytes]


def free_addresses(number: int) -> list[str]:
    """Addresses of this machine where nobody listens."""
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)
        ]
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


TRAIN = ("textgen", "train")


def worker(
    index: int,
    addresses: Sequence[str],
    *options: str | Path,
    cwd: Path,
    tf_config: bool = False,
    program: Sequence[str] = TRAIN,
) -> Worker:
    """Start one worker, which learns of the others by options or by TF_CONFIG."""
    environment = dict(os.environ)
    where: list[str] = []
    if tf_config:
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment["TF_CONFIG"] = json.dumps(cluster)
    else:
        where = ["--workers", ",".join(addresses), "--worker-index", str(index)]
    return subprocess.Popen(
        [sys.executable, "-m", *program, *options, *where],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@contextmanager
def two_workers(
    *options: str | Path,
    cwd: Path,
    other: Path | None = None,
    program: Sequence[str] = TRAIN,
    others: Sequence[str | Path] | None = None,
) -> Iterator[tuple[Worker, Worker]]:
    """Two workers, the chief first; they are ended with the block.

    Args:
        options: of `textgen train`.
        cwd: the chief's folder.
        other: the second worker's folder, if it is another.
        program: the second worker's module and what comes first after it, if it is another.
        others: the second worker's options, if they are others.
    """
    addresses = free_addresses(2)
    started: list[Worker] = []
    try:
        started.append(worker(0, addresses, *options, cwd=cwd, tf_config=True))
        started.append(
            worker(
                1,
                addresses,
                *(options if others is None else others),
                cwd=other or cwd,
                program=program,
            )
        )
        yield started[0], started[1]
    finally:
        for process in started:
            process.kill()
            process.communicate()


def ended(process: Worker) -> tuple[int, str, str]:
    """The exit status, stdout and stderr of a worker that ends by itself."""
    out, stderr = process.communicate(timeout=SECONDS)
    assert b"Traceback" not in stderr, stderr.decode()
    return process.returncode, out.decode(), stderr.decode()
