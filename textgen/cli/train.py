"""`textgen train`."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from json import dumps
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.machines import cluster_of, find_devices, machine_options
from textgen.cli.options import cleaning_of, cleaning_options, source_arguments
from textgen.cli.settings import setting_options
from textgen.cli.signals import Stopped, ended_by_signals, stop_on_signals
from textgen.cli.terminal import notes_to, one_blas_thread
from textgen.config import PRESETS, Cleaning
from textgen.errors import TextgenError
from textgen.training.native import native_stderr_muted

if TYPE_CHECKING:
    import numpy as np

    from textgen.cli.bar import Reporter
    from textgen.storage.run import Run
    from textgen.storage.run_folder import RunDirectory
    from textgen.training.distributed.devices import Devices
    from textgen.training.loop import Progress
    from textgen.training.new_run import Request

# The command began when the interpreter did, about as long ago as the CPU time it has used.
STARTED = time.monotonic() - time.process_time()
BUILTIN = "builtin:runaway-echo"
# A last hold-out loss above the best one by this factor is no chance.
TURNED_UP = 1.01


@click.command()
@source_arguments(required=False)
@click.option("--name", help="What to call the run.  [default: after the source]")
@click.option("--resume", is_flag=True, help="Continue the run --name, or the newest one.")
@click.option("--overwrite", is_flag=True, help="Replace the run --name.")
@click.option(
    "--preset",
    type=click.Choice(["default", *PRESETS]),
    help="A complete configuration from a tutorial; other options override it.",
)
@setting_options(
    *("cell", "units", "dropout", "input_dropout", "weight_dropout", "seq_length", "step"),
    *("targets", "batch_size", "epochs", "minutes", "optimizer", "learning_rate"),
    *("validation_split", "patience", "seed", "precision"),
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

    SOURCE is a path, - for stdin, builtin:NAME, gutenberg:FILEID or cat-in-the-hat; several
    are joined. Without one the built-in story is taken. The run is kept in checkpoints/NAME;
    its model.keras holds the best weights so far.
    """
    if options["minutes"] and options["epochs"]:
        raise click.UsageError("--minutes and --epochs cannot both say when to stop.")
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other.")
    if tensorboard and find_spec("tensorboard") is None:
        raise TextgenError(
            "--tensorboard needs the package tensorboard. "
            "Install it with: pip install 'textgen[tensorboard]'"
        )
    cluster = cluster_of(workers, worker_index)
    one_blas_thread()
    reporter = make_reporter(quiet, cluster is None or cluster.index == 0)
    stop_on_signals()
    with native_stderr_muted() if cluster or devices else nullcontext():
        found = find_devices(cluster, devices, join_timeout)
        try:
            with opened(sources, name, resume, overwrite, options, reporter, found) as run:
                progress, seconds = run_training(*run, reporter, tensorboard, found)
        except Stopped as stopped:
            os._exit(stopped.status)  # all is saved, and TensorFlow may take seconds to shut down
    if found is None or found.is_chief:
        tell(*run[:2], progress, seconds, reporter, json)


def tell(
    directory: "RunDirectory",
    run: "Run",
    progress: "Progress",
    seconds: float,
    reporter: "Reporter",
    json: bool,
) -> None:
    """Print the summary."""
    summary = summarize(directory, run, progress, seconds)
    for line in filter(None, summary_lines(directory, run, progress, summary)):
        reporter.note(line)
    if json:
        click.echo(dumps(summary))


def stopped_line(directory: "RunDirectory") -> str:
    """How to continue a run that was stopped."""
    return f"Stopped. Continue: textgen train --resume --name {quote(directory.name)}"


@contextmanager
def continuation_told(directory: "RunDirectory", reporter: "Reporter") -> "Iterator[None]":
    """While entered, a signal that ends the command lets it say how to continue."""
    try:
        yield
    except Stopped:
        reporter.note(stopped_line(directory))
        raise


def make_reporter(quiet: bool, speaks: bool) -> "Reporter":
    """A bar on a terminal, lines elsewhere; notes for a worker that does not speak for all."""
    from textgen.cli import bar as progress

    if quiet:
        return progress.Reporter()
    if not speaks:
        return progress.Notes()
    return progress.Bar() if sys.stderr.isatty() else progress.Lines()


@contextmanager
def opened(
    sources: tuple[str, ...],
    name: str | None,
    resume: bool,
    overwrite: bool,
    options: dict[str, Any],
    reporter: "Reporter",
    devices: "Devices | None",
) -> "Iterator[tuple[RunDirectory, Run, np.ndarray]]":
    """The run directory to train in, new or to be continued, with its lock held; and its ids."""
    with ended_by_signals():
        from textgen.corpus import open_sources, source_names, source_stem
        from textgen.training.new_run import Request

    unnamed = not sources and not resume
    if unnamed:
        sources = (BUILTIN,)
    encoding, keep = options.pop("encoding"), options.pop("keep_boilerplate")
    speaks = devices is None or devices.is_chief

    def read(cleaning: Cleaning) -> "Iterator[str]":
        with notes_to(reporter.note if speaks else lambda line: None):
            return open_sources(sources, cleaning, encoding, keep)

    given = {key: value for key, value in options.items() if value is not None and key != "preset"}
    preset = PRESETS.get(options["preset"])
    request = Request(
        corpus=tuple(source_names(sources)),
        stem=source_stem(sources) if sources else "",
        name=name,
        overwrite=overwrite,
        preset=options["preset"],
        cleaning=cleaning_of(
            click.get_current_context(), preset.cleaning if preset else Cleaning()
        ),
        given=given,
        replicas=devices.replicas if devices else 1,
        workers=devices.workers if devices else 1,
    )
    reading = read if sources else None
    run = opened_here(request, reading, resume, unnamed, reporter)
    if devices is not None and not devices.alone:
        from textgen.training.distributed.workers import opened_together

        run = opened_together(devices, run, reading)
    with run as mine:
        if speaks:
            yield mine
            return
        with continuation_told(mine[0], reporter):
            yield mine


@contextmanager
def opened_here(
    request: "Request",
    read: "Callable[[Cleaning], Iterator[str]] | None",
    resume: bool,
    unnamed: bool,
    reporter: "Reporter",
) -> "Iterator[tuple[RunDirectory, Run, np.ndarray]]":
    """The run of this process alone, or of the chief."""
    from textgen.storage.run_folder import ROOT, RunDirectory
    from textgen.text.encoding import open_ids
    from textgen.training.new_run import earlier_run, new_run

    name = request.name
    if resume and (read is None or name is None or RunDirectory(ROOT / name).settings.exists()):
        with earlier_run(request, read) as (directory, run), continuation_told(directory, reporter):
            reporter.note(f"Continuing the run {directory.path}.")
            yield directory, run, open_ids(directory.text, len(run.vocabulary))
        return
    assert read is not None
    with (
        new_run(request, read(request.cleaning)) as (directory, run, choice),
        continuation_told(directory, reporter),
    ):
        if unnamed:
            reporter.note(f"No source was named, so {BUILTIN} is taken.")
        if choice:
            reporter.note(choice)
        yield directory, run, open_ids(directory.text, len(run.vocabulary))


def run_training(
    directory: "RunDirectory",
    run: "Run",
    ids: "np.ndarray",
    reporter: "Reporter",
    tensorboard: bool,
    devices: "Devices | None",
) -> "tuple[Progress, float]":
    """Train with Keras, whose import takes seconds; returns the progress and seconds spent."""
    with native_stderr_muted():
        with ended_by_signals(lambda: reporter.note(stopped_line(directory))):
            from textgen.training.loop import Training, tensorboard_callback

            writes = devices is None or devices.is_chief
            callbacks = [tensorboard_callback(directory)] if tensorboard and writes else []
            training = Training(directory, run, ids, STARTED, reporter, callbacks, devices)
        try:
            return training.train(), training.spent
        finally:
            reporter.close()


def summarize(
    directory: "RunDirectory", run: "Run", progress: "Progress", seconds: float
) -> dict[str, Any]:
    """The summary as it is printed with --json; losses in nats a character."""
    assert progress.best is not None
    shapes = run.model.weight_shapes(len(run.vocabulary))
    return {
        "run": directory.name,
        "model": str(directory.model),
        "steps": progress.step,
        "seconds": round(seconds, 2),
        "train_loss": progress.best_train_loss,
        "val_loss": progress.best,
        "val_bpc": progress.best / math.log(2),
        "parameters": sum(math.prod(shape) for shape in shapes.values()),
        "chars_per_second": round(progress.chars_per_second, 1),
        "baselines": run.baselines,
    }


def summary_lines(
    directory: "RunDirectory", run: "Run", progress: "Progress", summary: dict[str, Any]
) -> "Iterator[str]":
    """The summary for a person."""
    from textgen.analysis.baselines import overfitting, sample_note, verdict

    yield (
        f"hold-out {summary['val_loss']:.3f} nats, {summary['val_bpc']:.3f} bits a character; "
        f"training {summary['train_loss']:.3f} nats"
    )
    simple = ", ".join(f"{name} {bits:.3f}" for name, bits in run.baselines.items())
    yield f"simpler models: {simple} bits"
    yield verdict(summary["val_bpc"], run.baselines)
    yield sample_note(run.train_characters, run.holdout_characters)
    if progress.val_loss and progress.best and progress.val_loss > TURNED_UP * progress.best:
        yield (
            f"The hold-out loss turned up {progress.waited} evaluations before the end; "
            "the model is the best one, from before that."
        )
    yield overfitting(summary["train_loss"], summary["val_loss"])
    yield (
        f"{summary['steps']:,} steps, {summary['parameters']:,} parameters, "
        f"{summary['chars_per_second']:,.0f} characters/s, {summary['seconds']:,.0f} s"
    )
    yield f"{directory.model}"
    yield f"Next: textgen sample --model {quote(directory.name)}"
