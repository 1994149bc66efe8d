"""The workers of one job: their addresses, and how they meet before training."""

import json
import os
import re
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from textgen.errors import TextgenError

ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
KNOCK_SECONDS = 0.3  # between two attempts to reach a worker,
ANSWER_SECONDS = 2.0  # each of which takes at most so long,
KNOCKERS = 32  # and at most so many at once
MOST_WORKERS = 4096


@dataclass(frozen=True)
class Cluster:
    """The workers of one job.

    Attributes:
        addresses: `host:port` of each worker; the first one is the chief's.
        index: which of them this process is.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def here(self) -> int:
        """How many of the workers run on this one's machine, itself included."""
        hosts = [address.rpartition(":")[0] for address in self.addresses]
        return hosts.count(hosts[self.index])

    def unreachable(self) -> list[int]:
        """Which other workers do not answer now."""
        return self.silent(index for index in range(len(self.addresses)) if index != self.index)

    def silent(self, workers: Iterable[int]) -> list[int]:
        """Which of these workers do not answer now."""
        asked = list(workers)
        with ThreadPoolExecutor(KNOCKERS) as knockers:
            answers = list(knockers.map(reachable, (self.addresses[index] for index in asked)))
        return [index for index, answer in zip(asked, answers, strict=True) if not answer]

    def name(self, index: int) -> str:
        """What a person calls a worker."""
        return f"worker {index} ({self.addresses[index]})"


def check_addresses(addresses: Iterable[Any]) -> tuple[str, ...]:
    """The addresses as they are.

    Raises:
        TextgenError: one is not `host:port`, or two are the same.
    """
    checked = tuple(addresses)
    for address in checked:
        found = ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if found is None or not 1 <= int(found[2]) <= 65535:
            raise TextgenError(f"{address!a} is not the address of a worker, host:port.")
    if twice := [address for address in checked if checked.count(address) > 1]:
        raise TextgenError(f"Two workers have the address {twice[0]}. Give each one its own.")
    if len(checked) > MOST_WORKERS:
        raise TextgenError(f"There are {len(checked):,} workers. Use at most {MOST_WORKERS:,}.")
    return checked


def cluster_of_environment() -> Cluster | None:
    """The cluster that TF_CONFIG describes; None where there is none, or one worker only.

    Raises:
        TextgenError: it describes no cluster of workers, or not this process.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
        jobs = config.get("cluster") or {}
        task = config.get("task") or {}
        kind, index = task.get("type", "worker"), int(task.get("index", 0))
        unknown = [job for job in [*jobs, kind] if job not in ("chief", "worker", "master")]
        lists = {job: list(addresses) for job, addresses in jobs.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise TextgenError(
            "TF_CONFIG is not what TensorFlow describes: a JSON object with cluster and task. "
            "Correct it or unset it."
        ) from None
    if unknown:
        raise TextgenError(
            f"TF_CONFIG has a job {unknown[0]!a}, and textgen has only chief and worker. "
            "Start it without this job."
        )
    chiefs = [*lists.get("chief", []), *lists.get("master", [])]
    addresses = check_addresses([*chiefs, *lists.get("worker", [])])
    place = index + (len(chiefs) if kind == "worker" else 0)
    if addresses and not (index >= 0 and place < len(addresses)):
        raise TextgenError(
            f"TF_CONFIG says that this is {kind} {index}, and its cluster has "
            f"{len(addresses)} workers. Correct its task."
        )
    return Cluster(addresses, place) if len(addresses) > 1 else None


def meet(cluster: Cluster, seconds: float) -> None:
    """Wait until all workers can be reached; each of them listens at its address meanwhile.

    TensorFlow waits for ever for a worker that does not come, and cannot be interrupted.

    Raises:
        TextgenError: this worker cannot listen, or others have not come in time.
    """
    end = time.monotonic() + seconds
    with _listener(cluster):
        missing = [index for index in range(len(cluster.addresses)) if index != cluster.index]
        while missing := cluster.silent(missing):
            if time.monotonic() > end:
                names = ", ".join(cluster.name(index) for index in missing[:8])
                raise TextgenError(
                    f"After {seconds:g} s there was no answer from {names}. Start all workers "
                    "within --join-timeout, with the same addresses."
                )
            time.sleep(KNOCK_SECONDS)


def _listener(cluster: Cluster) -> socket.socket:
    """A socket where others can knock; the system answers for it."""
    port = int(cluster.addresses[cluster.index].rpartition(":")[2])
    both = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", port),
            family=socket.AF_INET6 if both else socket.AF_INET,
            backlog=MOST_WORKERS,
            dualstack_ipv6=both,
        )
    except OSError as error:
        raise TextgenError(
            f"Could not listen as {cluster.name(cluster.index)}: {error.strerror or error}. "
            "Is another worker or program using the port?"
        ) from None


def reachable(address: str) -> bool:
    """Whether something listens at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS):
            return True
    except (OSError, UnicodeError):  # UnicodeError: of a name that cannot be one
        return False
