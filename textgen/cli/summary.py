"""What `textgen train` prints when a run is over."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from textgen.cli.bar import whole_lines
from textgen.cli.tables import bpc
from textgen.messages import bits, printable, quoted, shown

if TYPE_CHECKING:
    from textgen.analysis.by_text import TextBits
    from textgen.training.session import Trained

# A last hold-out loss above the best one by this factor is no chance.
RISEN = 1.01
# Bits per character by which a model must be better than the best n-gram to be called so.
SPELLS, FLUENT = 0.05, 0.4
# Of what the model writes, that are shown.
LINES, ITEMS = 3, 10


def summary(trained: "Trained") -> dict[str, Any]:
    """The summary as it is printed with --json; losses in nats a character."""
    run, progress = trained.run, trained.progress
    assert progress.best is not None
    return {
        "run": trained.directory.name,
        "model": str(trained.directory.model),
        "steps": progress.step,
        "seconds": round(trained.seconds, 2),
        "train_loss": progress.best_train_loss,
        "val_loss": progress.best,
        "val_bpc": bits(progress.best),
        "parameters": run.model.parameters(len(run.vocabulary)),
        "chars_per_second": round(progress.chars_per_second, 1),
        "baselines": run.baselines,
        "bases": [asdict(base) for base in run.bases],
        "texts": [asdict(text) for text in texts_of(trained)],
    }


def texts_of(trained: "Trained") -> "list[TextBits]":
    """How well each of several texts was learned."""
    from textgen.analysis.by_text import bits_by_text
    from textgen.storage.model_file import load_model

    path = trained.directory.model
    return bits_by_text(path, load_model(path)) if len(trained.run.parts) > 1 else []


def summary_lines(trained: "Trained", figures: dict[str, Any]) -> Iterator[str]:
    """The summary for a person, from that for a program."""
    from textgen.analysis.baselines import overfitting, sample_note, verdict
    from textgen.storage.run_folder import ENGLISH

    run, progress = trained.run, trained.progress
    if lines := written(trained):
        yield from ["", "It writes now:", *(f"    {line}" for line in lines)]
        yield f"More of it, from each evaluation: {shown(trained.directory.samples)}"
        yield ""
    yield in_words(trained)
    yield (
        f"hold-out {figures['val_loss']:.3f} nats, {figures['val_bpc']:.3f} bits a character; "
        f"training {figures['train_loss']:.3f} nats"
    )
    simple = ", ".join(f"{name} {value:.3f}" for name, value in run.baselines.items())
    yield f"simpler models: {simple} bits"
    yield verdict(figures["val_bpc"], run.baselines)
    for text in figures["texts"]:
        cost = "too little of it" if text["bpc"] is None else f"{bpc(text['bpc'])} bits a character"
        yield f"held out of {printable(text['name'])}: {cost}"
    if run.bases:
        name = run.bases[0].name
        works = " (docs/base.md)" if name == ENGLISH else ""
        yield f"It started from {shown(name)}; on what that was trained on{works}, figures flatter."
    if note := sample_note(run.train_characters, run.holdout_characters):
        yield note
    assert progress.val_loss is not None and progress.best is not None
    if progress.val_loss > RISEN * progress.best:
        yield (
            f"The hold-out loss was higher in the last {progress.waited} evaluations; "
            "the model is the best one, from before them."
        )
    if note := overfitting(figures["train_loss"], figures["val_loss"]):
        yield note
    if run.items is not None:
        yield from copied(trained)
    yield (
        f"{figures['steps']:,} steps, {figures['parameters']:,} parameters, "
        f"{figures['chars_per_second']:,.0f} characters/s, {figures['seconds']:,.0f} s"
    )
    yield shown(trained.directory.model)
    yield f"Next: textgen sample --model {quoted(trained.directory.name)}"


def written(trained: "Trained") -> list[str]:
    """Three lines that the best model wrote, or ten items; none where they cannot be read."""
    best = trained.progress.evaluations - trained.progress.waited
    try:
        text = (trained.directory.samples / f"evaluation-{best:04}.txt").read_text("utf-8")
    except (OSError, ValueError):
        return []
    is_list = trained.run.items is not None
    return whole_lines(text, ITEMS if is_list else LINES, is_list)


def copied(trained: "Trained") -> Iterator[str]:
    """How many items that the best model writes are in its list, in a sentence."""
    from textgen.analysis.copying import count_copied_items
    from textgen.library.model import Model

    if found := count_copied_items(Model(trained.directory.model).part()):
        yield str(found)


def in_words(trained: "Trained") -> str:
    """How good the model is, and what would help, in one sentence."""
    from textgen.analysis.baselines import best_ngram

    progress, name = trained.progress, quoted(trained.directory.name)
    train = trained.run.train
    assert progress.best is not None
    best = best_ngram(trained.run.baselines)
    lead = best[1] - bits(progress.best) if best else 0.0
    if lead < SPELLS:
        quality = "It has learned which letters follow which, but hardly any words"
    elif lead < FLUENT:
        quality = "It spells but does not make sense yet"
    else:
        quality = "It spells, and its phrases hang together"
    if progress.waited:
        return (
            f"{quality}; it was best before the end, so more text would help more than more time."
        )
    if train.minutes and train.epochs:  # the recipe would not use more time
        return (
            f"{quality}; it has read the text {train.epochs} times, so more text would help more "
            "than more time."
        )
    return (
        f"{quality}; ten minutes more would help: textgen train --resume --name {name} --minutes 10"
    )
