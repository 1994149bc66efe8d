"""Options of `textgen train` that say where it trains, and what they mean."""

import faulthandler
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.errors import TextgenError
from textgen.training.distributed.cluster import Cluster, check_addresses, cluster_of_environment
from textgen.training.stopping import Stopping

if TYPE_CHECKING:
    from textgen.training.distributed.devices import Devices

MOST_DEVICES = 16


class DeviceCount(click.ParamType):
    """A number of devices, or `all`."""

    name = "N|all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """`2` to 2."""
        if value == "all":
            return value
        try:
            number = int(value)
        except ValueError:
            number = 0
        if not 1 <= number <= MOST_DEVICES:
            self.fail(f"{value!r} is neither a number from 1 to {MOST_DEVICES} nor 'all'.")
        return number


class Addresses(click.ParamType):
    """The addresses of all workers."""

    name = "HOST:PORT,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """`a:1,b:1` to (a:1, b:1)."""
        try:
            return check_addresses(value.split(","))
        except TextgenError as error:
            self.fail(str(error), param, ctx)


_OPTIONS = (
    click.option(
        "--devices", type=DeviceCount(), help="How many devices of this machine to train on."
    ),
    click.option(
        "--workers", type=Addresses(), help="Addresses of all machines that train, the chief first."
    ),
    click.option(
        "--worker-index",
        type=click.IntRange(0),
        help="Which of --workers this machine is, counted from 0.",
    ),
    click.option(
        "--join-timeout",
        type=click.FloatRange(0, 1e6, min_open=True),
        default=60,
        show_default=True,
        help="Seconds to wait for the other workers to start.",
    ),
)


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `devices`, `workers`, `worker_index` and `join_timeout`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def cluster_of(workers: tuple[str, ...] | None, index: int | None) -> Cluster | None:
    """The workers that were asked for, by options or TF_CONFIG; None where there is one.

    Raises:
        click.UsageError: the options do not fit together.
        TextgenError: TF_CONFIG cannot be used.
    """
    if (workers is None) != (index is None):
        raise click.UsageError("--workers and --worker-index must be given together.")
    from_environment = cluster_of_environment()
    if workers is None or index is None:
        return from_environment
    if index >= len(workers):
        raise click.UsageError(
            f"--worker-index {index} is out of range: {len(workers)} --workers count from 0."
        )
    asked = Cluster(workers, index)
    if from_environment not in (None, asked):
        raise click.UsageError(
            "TF_CONFIG and --workers describe different clusters. Leave out --workers, or unset "
            "TF_CONFIG."
        )
    return asked if len(workers) > 1 else None


@contextmanager
def process_ends_after(seconds: float) -> Iterator[None]:
    """End the process if what is entered takes longer.

    TensorFlow holds Python's lock while it connects, so no thread of ours could end that wait.
    """
    with Path(os.devnull).open("w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def find_devices(
    cluster: Cluster | None, wanted: int | str | None, join_timeout: float, stop: Stopping
) -> "Devices | None":
    """The devices to train on; None for one, for which TensorFlow need not be asked yet."""
    if cluster is None and wanted in (None, 1):
        return None
    with stop.at_once():
        from textgen.training.distributed.devices import START_SECONDS, joined, several

        if cluster is None:
            assert wanted is not None
            return several(wanted)
        return joined(cluster, wanted, join_timeout, process_ends_after(START_SECONDS))
