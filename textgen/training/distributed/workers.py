"""How the workers of one job open one run: the chief does, and the others learn of it."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from textgen.errors import TextgenError
from textgen.messages import shown
from textgen.storage.run import read_run
from textgen.storage.run_folder import RunDirectory
from textgen.text.encoding import open_ids, renumber
from textgen.training.distributed.devices import Devices
from textgen.training.division import divide_as
from textgen.training.new_run import Opened, encode
from textgen.training.reporter import Reporter
from textgen.training.request import Request
from textgen.training.stopping import Stopping


@contextmanager
def open_together(
    devices: Devices,
    opened: AbstractContextManager[Opened],
    request: Request,
    reporter: Reporter,
    stop: Stopping,
) -> Iterator[Opened]:
    """Open a run on the chief, and give all workers its settings and the same text.

    Args:
        devices: of all workers.
        opened: the run directory, the run and the ids of its text; entered by the chief only.
        request: what the user asked for, on this worker.
        reporter: is shown the name of the run.
        stop: how this worker is asked to stop.

    Raises:
        TextgenError: on all workers, if the chief cannot open it or a worker has another text.
    """
    with ExitStack() as stack:
        if devices.is_chief:
            mine = devices.together(lambda: stack.enter_context(opened))
            devices.bytes_of(0, _description(mine[0]))
            with stop.at_once():  # while it waits for the others, nothing can be lost
                devices.together(lambda: None)
        else:
            with stop.at_once():
                devices.together(lambda: None)
                description = devices.bytes_of(0, b"")
            mine = devices.together(lambda: _copy(description, request))
            reporter.opened(mine[0].name)
        yield mine


def _description(directory: RunDirectory) -> bytes:
    """What the others must know: the run's name, its text.ids from outside, and its run.json."""
    place = json.dumps([directory.name, *_mark(directory.text)])
    return place.encode() + b"\n" + directory.settings.read_bytes()


def _mark(path: Path) -> tuple[int, int]:
    """Size and time of a file, by which two machines know that they see the same one."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _copy(description: bytes, request: Request) -> Opened:
    """The run that the chief describes, with the text read here.

    The directory is only a name, unless the workers share a file system: then the ids are read
    there. Else they are written to a folder that is gone when this returns; they stay mapped.
    """
    place, settings = description.split(b"\n", 1)
    name, *mark = json.loads(place)
    directory = RunDirectory(request.root / name)
    with tempfile.TemporaryDirectory(prefix="textgen-") as temporary:
        folder = RunDirectory(Path(temporary))
        folder.settings.write_bytes(settings)
        run = read_run(folder.settings)
        if _shared(directory, settings, tuple(mark)):
            return directory, run, open_ids(directory.text, len(run.vocabulary))
        if request.resume and not request.sources:
            raise TextgenError(
                f"The text of the run {shown(directory.name)} is not here. Name the same source as "
                "on the chief, or let the workers share the folder."
            )
        encoded = encode(request.read(run.cleaning), folder)
        if encoded.sha256 != run.sha256:
            raise TextgenError(
                f"The text here differs from the chief's: {encoded.characters:,} characters, "
                f"sha256 {encoded.sha256[:12]}, and there {run.characters:,}, {run.sha256[:12]}. "
                "Give all workers the same sources."
            )
        divide_as(run, request, encoded, folder.text)
        renumber(folder.text, encoded.vocabulary, run.vocabulary)
        return directory, run, open_ids(folder.text, len(run.vocabulary))


def _shared(directory: RunDirectory, settings: bytes, mark: tuple[int, ...]) -> bool:
    """Whether the chief's run directory can be seen from here, by its settings and its ids."""
    try:
        same = directory.settings.read_bytes() == settings
        return same and _mark(directory.text) == mark
    except OSError:
        return False
