"""`textgen train`."""

import os
import sys
import time
from importlib.util import find_spec
from json import dumps
from typing import Any

import click
from click.core import ParameterSource

from textgen.cli.bar import Bar, Lines, Notes, Quiet
from textgen.cli.machines import cluster_of, find_devices, machine_options
from textgen.cli.native import native_stderr_muted
from textgen.cli.options import cleaning_options, source_arguments
from textgen.cli.pipe import check_stdout
from textgen.cli.settings import setting_options
from textgen.cli.signals import Stopped, StopSignals, stop_on_signals
from textgen.cli.summary import summary, summary_lines
from textgen.cli.terminal import note_on_stderr, one_blas_thread, say
from textgen.config import PRESETS
from textgen.errors import TextgenError
from textgen.messages import notes_to
from textgen.training.stopping import Interrupted

# The command began when the interpreter did, about as long ago as the CPU time it has used.
STARTED = time.monotonic() - time.process_time()


@click.command()
@source_arguments(required=False)
@click.option("--name", help="What to call the run.  [default: after the source]")
@click.option("--resume", is_flag=True, help="Continue the run --name, or the newest one.")
@click.option("--overwrite", is_flag=True, help="Replace the run --name, once there is a model.")
@click.option(
    "--preset",
    type=click.Choice(["default", *PRESETS]),
    help="A complete configuration from a tutorial; other options override it.",
)
@click.option(
    "--from",
    "start_from",
    envvar="TEXTGEN_TRAIN_FROM",
    metavar="MODEL",
    help="Start from a model, a run or a file, and keep its network; none for nothing.  [default: "
    "auto, which takes builtin:english where it is worth it]",
)
@click.option(
    "--holdout",
    envvar="TEXTGEN_TRAIN_HOLDOUT",
    metavar="SOURCE",
    help="Hold out this text, and train on all of SOURCE.  [default: the end of each text]",
)
@setting_options(
    *("cell", "units", "dropout", "input_dropout", "weight_dropout", "seq_length", "step"),
    *("targets", "batch_size", "epochs", "minutes", "optimizer", "learning_rate"),
    *("validation_split", "list", "patience", "seed", "precision"),
    shown=("validation_split", "seed"),
)
@cleaning_options
@machine_options
@click.option("--tensorboard", is_flag=True, help="Write TensorBoard logs into the run directory.")
@click.option("--json", is_flag=True, help="Print the summary as one JSON object on stdout.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors on stderr.")
def train(
    sources: tuple[str, ...],
    name: str | None,
    resume: bool,
    overwrite: bool,
    start_from: str | None,
    holdout: str | None,
    devices: int | str | None,
    workers: tuple[str, ...] | None,
    worker_index: int | None,
    join_timeout: float,
    tensorboard: bool,
    json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a model on a text.

    SOURCE is a path, - for stdin, builtin:NAME, gutenberg:FILEID or cat-in-the-hat; of
    several, the end of each is held out. Without one, the built-in story is used. The run
    is kept in checkpoints/NAME; its model.keras holds the best weights so far.
    """
    check_together(resume, overwrite, holdout, options)
    if tensorboard and find_spec("tensorboard") is None:
        raise TextgenError(
            "--tensorboard needs the package tensorboard. "
            "Install it with: pip install 'textgen[tensorboard]'"
        )
    if json:
        check_stdout()
    cluster = cluster_of(workers, worker_index)
    one_blas_thread()
    chief = cluster is None or cluster.index == 0
    reporter = make_reporter(quiet, chief)
    stop = StopSignals(lambda: reporter.stopped(stop.saved))
    with stop.at_once():
        from textgen.training.request import AUTO, Request
        from textgen.training.session import train as train_run

    request = Request(
        sources=sources,
        name=name,
        resume=resume,
        overwrite=overwrite,
        start_from=start_from or AUTO,
        holdout=holdout,
        asked=STARTED,
        preset=options.pop("preset"),
        encoding=options.pop("encoding"),
        keep_boilerplate=options.pop("keep_boilerplate"),
        given={key: value for key, value in options.items() if value is not None},
    )
    stop_on_signals()
    with notes_to(reporter.note if chief else lambda line: None), native_stderr_muted():
        try:
            found = find_devices(cluster, devices, join_timeout, stop)
            trained = train_run(request, reporter, stop, found, tensorboard=tensorboard)
        except (Stopped, Interrupted) as stopped:
            reporter.stopped()
            # All is saved, and TensorFlow may take seconds to shut down.
            os._exit(128 + stopped.signal)
        except TextgenError as error:
            if cluster is None:
                raise
            # TensorFlow's threads do not end cleanly where another worker is gone.
            note_on_stderr(f"Error: {error}")
            os._exit(1)
    if chief:
        figures = summary(trained)
        for line in summary_lines(trained, figures):
            reporter.note(line)
        if json:
            say(dumps(figures))


def check_together(
    resume: bool, overwrite: bool, holdout: str | None, options: dict[str, Any]
) -> None:
    """Refuse options that make no sense together."""
    if options["minutes"] and options["epochs"]:
        raise click.UsageError("Use either --minutes or --epochs, not both.")
    if resume and overwrite:
        raise click.UsageError("Use either --resume or --overwrite, not both.")
    source = click.get_current_context().get_parameter_source("start_from")
    if resume and source is ParameterSource.COMMANDLINE:
        raise click.UsageError("--resume continues a run that has started: leave out --from.")
    if holdout is not None and resume:
        raise click.UsageError("--resume keeps what the run has held out: leave out --holdout.")
    if holdout is not None and (options["validation_split"] or options["list"]):
        other = "--list" if options["list"] else "--validation-split"
        raise click.UsageError(f"Use either --holdout or {other}: both say what is held out.")


def make_reporter(quiet: bool, chief: bool) -> Quiet:
    """A bar on a terminal, lines elsewhere; a worker that is not the chief shows no progress."""
    if quiet:
        return Quiet()
    if not chief:
        return Notes()
    return Bar() if sys.stderr.isatty() else Lines()
