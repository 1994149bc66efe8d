"""One call from a request to a trained run: open it, load Keras, train."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textgen.storage.run import Run
from textgen.storage.run_folder import RunDirectory
from textgen.training.new_run import Opened, open_run
from textgen.training.pace import Pace
from textgen.training.progress import Progress
from textgen.training.reporter import Reporter
from textgen.training.request import Request
from textgen.training.stopping import Stopping

if TYPE_CHECKING:
    import keras

    from textgen.training.distributed.devices import Devices


@dataclass(frozen=True)
class Trained:
    """A run that was trained.

    Attributes:
        directory: of the run.
        run: what was trained and how.
        progress: where it stands now.
        seconds: wall-clock time of the run, earlier sessions included.
    """

    directory: RunDirectory
    run: Run
    progress: Progress
    seconds: float


def train(
    request: Request,
    reporter: Reporter | None = None,
    stop: Stopping | None = None,
    devices: "Devices | None" = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
    tensorboard: bool = False,
    save_seconds: float | None = None,
) -> Trained:
    """Train a new run, or continue one.

    Keras and TensorFlow, whose import takes seconds, are loaded once the text has been read.

    Args:
        request: what the user asked for.
        reporter: is shown the name, every step and every evaluation.
        stop: how training is asked to stop.
        devices: where it trains; one device if None.
        callbacks: Keras callbacks; their epoch is an evaluation.
        tensorboard: whether TensorBoard logs are written into the run.
        save_seconds: between two saved states at most.

    Raises:
        TextgenError: the request, the text or a file cannot be used.
        Interrupted: `stop` asked for it, and the state is saved.
    """
    reporter, stop = reporter or Reporter(), stop or Stopping()
    pace = Pace(stop)
    with _opened(request, reporter, stop, devices, pace) as (directory, run, ids):
        with stop.at_once():
            from textgen.training.callbacks import SAVE_SECONDS, tensorboard_callback
            from textgen.training.loop import Training

            if tensorboard and (devices is None or devices.is_chief):
                callbacks = [*callbacks, tensorboard_callback(directory)]
            training = Training(
                directory,
                run,
                ids,
                request.asked,
                reporter,
                callbacks,
                devices,
                stop,
                pace,
                SAVE_SECONDS if save_seconds is None else save_seconds,
            )
        try:
            progress = training.train()
        finally:
            reporter.close()
    return Trained(directory, run, progress, training.clock.spent)


def _opened(
    request: Request,
    reporter: Reporter,
    stop: Stopping,
    devices: "Devices | None",
    pace: Pace,
) -> AbstractContextManager[Opened]:
    """The run to train, opened by the chief for all workers."""
    if devices is None:
        return open_run(request, reporter, pace=pace)
    opened = open_run(request, reporter, devices.replicas, devices.workers)
    if devices.alone:
        return opened
    from textgen.training.distributed.workers import open_together

    return open_together(devices, opened, request, reporter, stop)
