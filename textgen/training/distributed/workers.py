"""How the workers of one job open one run: the chief does, and the others learn of it."""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import numpy as np

from textgen.cli.signals import ended_by_signals
from textgen.config import Cleaning
from textgen.errors import TextgenError
from textgen.storage.run import Run, read_run
from textgen.storage.run_folder import ROOT, RunDirectory
from textgen.text.encoding import open_ids
from textgen.training.distributed.devices import Devices
from textgen.training.new_run import encode

Opened = tuple[RunDirectory, Run, np.ndarray]


@contextmanager
def opened_together(
    devices: Devices,
    opened: AbstractContextManager[Opened],
    read: Callable[[Cleaning], Iterable[str]] | None,
) -> Iterator[Opened]:
    """Open a run on the chief, and give all workers its settings and the same text.

    Args:
        devices: of all workers.
        opened: the run directory, the run and the ids of its text; entered by the chief only.
        read: gives a worker's own copy of the text, cleaned; None where no source was named.

    Raises:
        TextgenError: on all workers, if the chief cannot open it or a worker has another text.
    """
    with ExitStack() as stack:
        if devices.is_chief:
            mine = devices.together(lambda: stack.enter_context(opened))
            devices.bytes_of(0, _told(mine[0]))
            with ended_by_signals():  # while it waits for the others, nothing can be lost
                devices.together(lambda: None)
        else:
            with ended_by_signals():
                devices.together(lambda: None)
                told = devices.bytes_of(0, b"")
            mine = devices.together(lambda: _copied(told, read))
        yield mine


def _told(directory: RunDirectory) -> bytes:
    """What the others must know: the run's name, its text.ids from outside, and its run.json."""
    place = json.dumps([directory.name, *_mark(directory.text)])
    return place.encode() + b"\n" + (directory.settings).read_bytes()


def _mark(path: Path) -> tuple[int, int]:
    """Size and time of a file, by which two machines know that they see the same one."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _copied(told: bytes, read: Callable[[Cleaning], Iterable[str]] | None) -> Opened:
    """The run of which the chief told, with the text read here.

    The directory is only a name, unless the workers share a file system: then the ids are read
    there. Else they are written to a folder that is gone when this returns; they stay mapped.
    """
    place, settings = told.split(b"\n", 1)
    name, *mark = json.loads(place)
    directory = RunDirectory(ROOT / name)
    with tempfile.TemporaryDirectory(prefix="textgen-") as temporary:
        folder = Path(temporary)
        (RunDirectory(folder).settings).write_bytes(settings)
        run = read_run(RunDirectory(folder).settings)
        if _shared(directory, settings, tuple(mark)):
            return directory, run, open_ids(directory.text, len(run.vocabulary))
        if read is None:
            raise TextgenError(
                f"The text of the run {directory.name} is not here. Name the same source as on "
                "the chief, or let the workers share the folder."
            )
        encoded = encode(read(run.cleaning), folder)
        if encoded.sha256 != run.sha256:
            raise TextgenError(
                f"The text here is another than the chief's: {encoded.characters:,} characters, "
                f"sha256 {encoded.sha256[:12]}, and there {run.characters:,}, {run.sha256[:12]}. "
                "Give all workers the same sources."
            )
        return directory, run, open_ids(RunDirectory(folder).text, len(run.vocabulary))


def _shared(directory: RunDirectory, settings: bytes, mark: tuple[int, ...]) -> bool:
    """Whether the chief's run directory can be seen from here, by its settings and its ids."""
    try:
        same = (directory.settings).read_bytes() == settings
        return same and _mark(directory.text) == mark
    except OSError:
        return False
