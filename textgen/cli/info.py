"""`textgen info`: what a model file is, and which runs there are."""

import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.options import complete_run
from textgen.cli.tables import bpc, duration, file_size, table
from textgen.cli.terminal import json_line, one_blas_thread, say, utf8_stdout
from textgen.errors import TextgenError
from textgen.messages import bits, nats, printable, quoted, shown

if TYPE_CHECKING:
    from textgen.analysis.by_text import TextBits
    from textgen.analysis.copying import CopiedItems
    from textgen.storage.model_file import Model
    from textgen.storage.provenance import Provenance
    from textgen.storage.run_folder import RunDirectory

WIDEST = 32  # characters of a text's name in the list of runs


@click.command()
@click.argument("model", required=False, shell_complete=complete_run)
@click.option("--json", is_flag=True, help="Print one JSON object per line.")
def info(model: str | None, json: bool) -> None:
    """Describe a model and how good it is, or list the runs.

    MODEL is the name of a run, a run directory or a .keras file. Without it, list the runs,
    newest first, with the loss on the hold-out in bits per character.
    """
    utf8_stdout()
    from textgen.analysis.baselines import with_xz
    from textgen.analysis.by_text import bits_by_text
    from textgen.storage.model_file import load_model
    from textgen.storage.run_folder import find_model, runs

    if model is None:
        found = runs()
        if json:
            for run in found:
                say(json_line(list_entry(run)))
        else:
            say("\n".join(list_of_runs(found)))
        return
    path = find_model(model)
    loaded = load_model(path)
    baselines, texts = with_xz(path, loaded), bits_by_text(path, loaded)
    copied = copied_items(path, loaded)
    if json:
        say(json_line(facts(path, loaded, baselines, copied, texts)))
    else:
        say("\n".join(description(path, loaded, baselines, copied, texts)))


def copied_items(path: Path, model: "Model") -> "CopiedItems | None":
    """How many items that a model writes are in its list; None where it has none at hand."""
    from textgen.analysis.copying import count_copied_items
    from textgen.generation.items import items_of
    from textgen.generation.mixing import Part
    from textgen.generation.network import Network

    if items_of(model) is None:
        return None
    one_blas_thread()
    return count_copied_items(Part(path, model, Network(model.config, model.weights)))


def facts(
    path: Path,
    model: "Model",
    baselines: dict[str, float],
    copied: "CopiedItems | None",
    texts: "Sequence[TextBits]",
) -> dict[str, Any]:
    """All that is known of a model, as one JSON object."""
    from textgen.storage.provenance import Provenance
    from textgen.storage.run_folder import model_name

    provenance = Provenance.read(model.provenance)
    items = provenance.items
    return {
        "name": model_name(path),
        "file": str(path),
        "bytes": status_of(path).st_size,
        "val_loss": provenance.val_loss,
        "val_bpc": provenance.val_bpc,
        "train_loss": provenance.train_loss,
        "vocabulary": len(model.vocabulary),
        "parameters": model.parameters,
        "baselines": baselines,
        "copied_items": None if copied is None else asdict(copied),
        "texts": [asdict(text) for text in texts],
        "characters": model.vocabulary.characters,
        "commonest": model.vocabulary.commonest,
        "architecture": asdict(model.config),
        "cleaning": asdict(model.cleaning),
        "sampling": asdict(model.sampling),
        "default_prompt": model.default_prompt,
        "items": None if items is None else {"count": items.items, "longest": items.longest},
        # Without the hashes of a list, which may be 50,000.
        "provenance": {k: v for k, v in model.provenance.items() if k != "items"},
    }


def description(
    path: Path,
    model: "Model",
    baselines: dict[str, float],
    copied: "CopiedItems | None",
    texts: "Sequence[TextBits]",
) -> Iterator[str]:
    """What a model is, for a person to read."""
    from textgen.analysis.baselines import sentences
    from textgen.storage.provenance import Provenance
    from textgen.storage.run_folder import model_argument, model_name

    provenance = Provenance.read(model.provenance)
    stat = status_of(path)
    age = duration(max(0.0, time.time() - stat.st_mtime))
    argument = quoted(model_argument(path))
    yield f"{printable(model_name(path))}: {kind(model)}, {model.parameters:,} parameters"
    yield f"{printable(str(path))}, {file_size(stat.st_size)}, {age} old"
    yield ""
    yield from architecture(model)
    yield ""
    yield from table([*origin(model, provenance)], "<<")
    yield ""
    yield from losses(provenance, baselines)
    if texts:
        yield ""
        yield from table([("text", "characters", "held out", "bits"), *map(row_of, texts)], "<>>>")
    found = sentences(provenance) + ([str(copied)] if copied else [])
    if found:
        yield ""
        yield from found
    yield ""
    yield "Use it:"
    yield f"  textgen sample --model {argument}"
    yield f"  textgen score --model {argument} FILE"
    yield f"  textgen inspect --model {argument} FILE"


def status_of(path: Path) -> os.stat_result:
    """Size and time of a model file that was just read.

    Raises:
        TextgenError: it is gone.
    """
    try:
        return path.stat()
    except OSError as error:
        raise TextgenError(f"{shown(path)} is gone: {error.strerror or error}.") from error


def architecture(model: "Model") -> list[str]:
    """The layers as a table: what each is, how wide, and how many numbers it has."""
    config = model.config
    shapes = config.weight_shapes(len(model.vocabulary))
    rows = [("layer", "kind", "output", "parameters")]
    rows.append(("input", "one-hot characters", f"{len(model.vocabulary):,}", "0"))
    kind = config.cell.upper() + (f", dropout {config.dropout:g}" if config.dropout else "")
    for layer, units in enumerate(config.units):
        count = count_of(shapes, f"layer_{layer}/")
        rows.append((str(layer + 1), kind, f"{units:,}", f"{count:,}"))
    count = count_of(shapes, "logits/")
    rows.append(("output", "dense, logits", f"{len(model.vocabulary):,}", f"{count:,}"))
    rows.append(("total", "", "", f"{model.parameters:,}"))
    return table(rows, "<<>>")


def origin(model: "Model", provenance: "Provenance") -> Iterator[tuple[str, str]]:
    """Name and value of each fact about the training."""
    config = model.config
    if config.targets == "every":
        how = "character by character, carrying its state"
        yield "reads", f"{how}; trained on windows of {config.seq_length}"
    else:
        yield "reads", f"a window of {config.seq_length} characters, for the one after it"
    yield "vocabulary", f"{len(model.vocabulary):,} characters"
    for source in provenance.sources:
        size = "" if source.characters is None else f", {source.characters:,} characters"
        yield "corpus", printable(f"{source.name}{size}, sha256 {source.sha256[:12]}")
    for base in provenance.bases:
        licence = f", {base.licence}" if base.licence else ""
        yield "started from", printable(f"{base.name}{licence}, sha256 {base.sha256[:12]}")
    if provenance.licence is not None:
        yield "licence", printable(provenance.licence)
    if provenance.items is not None:
        yield "list", f"{provenance.items.items:,} items, one a line"
    yield "cleaning", cleaning(model)
    if provenance.train_characters is not None and provenance.holdout_characters is not None:
        yield (
            "split",
            f"{provenance.train_characters:,} characters for training, "
            f"{provenance.holdout_characters:,} held out"
            + (f", and {provenance.unknown:,} unknown ones" if provenance.unknown else ""),
        )
    if provenance.preset is not None:
        yield "preset", printable(provenance.preset)
    if provenance.seed is not None:
        yield "seed", str(provenance.seed)
    if provenance.step is not None and provenance.seconds is not None:
        yield "trained", f"{provenance.step:,} steps in {duration(provenance.seconds)}"
    if provenance.versions:
        yield "made with", printable(", ".join(f"{k} {v}" for k, v in provenance.versions.items()))


def losses(provenance: "Provenance", baselines: dict[str, float]) -> list[str]:
    """The model's losses beside the simple models', in nats and in bits per character."""
    rows = [("mean cost of a character", "nats", "bits")]
    if provenance.train_loss is not None:
        cost = provenance.train_loss
        rows.append(("this model, training text", f"{cost:.3f}", f"{bits(cost):.3f}"))
    if provenance.val_loss is not None:
        cost = provenance.val_loss
        rows.append(("this model, hold-out", f"{cost:.3f}", f"{bits(cost):.3f}"))
    rows += [
        (printable(f"{name}, hold-out"), f"{nats(cost):.3f}", f"{cost:.3f}")
        for name, cost in baselines.items()
    ]
    return table(rows, "<>>")


def row_of(text: "TextBits") -> tuple[str, ...]:
    """A text in the table of how well each was learned."""
    name, counts = printable(text.name), (text.characters, text.holdout)
    return name, *(f"{count:,}" for count in counts), bpc(text.bpc).strip()


def cleaning(model: "Model") -> str:
    """How the training text was cleaned, in words."""
    clean = model.cleaning
    parts = ["unchanged" if clean.normalize == "none" else clean.normalize.upper()]
    named = {
        "lower-cased": clean.lowercase,
        "ASCII only": clean.ascii,
        "tokenized": clean.tokenize,
        "without stopwords": clean.drop_stopwords,
    }
    return ", ".join(parts + [name for name, applies in named.items() if applies])


def list_of_runs(found: "list[RunDirectory]") -> list[str]:
    """The runs as a table."""
    from textgen.storage.run_folder import ROOT

    if not found:
        return [f"There are no runs in {shown(ROOT.absolute())}. Train one: textgen train"]
    rows = [("run", "text", "bits per character", "best n-gram", "model", "size", "age")]
    for run in found:
        entry = list_entry(run)
        if "error" in entry:
            rows.append((printable(run.name), "-", "-", "-", "cannot be read", "-", "-"))
            continue
        rows.append(
            (
                printable(run.name),
                shortened(printable(entry["text"])),
                bpc(entry["val_bpc"]),
                bpc(entry["ngram_bpc"]),
                entry["kind"],
                file_size(entry["bytes"]),
                duration(entry["age"]),
            )
        )
    return [
        *table(rows, "<<>><>>"),
        "",
        f"A run is a folder in {shown(ROOT.absolute())}: move it to rename it, delete it to remove "
        "it.",
    ]


def shortened(text: str) -> str:
    """A text that fits into a column."""
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def list_entry(run: "RunDirectory") -> dict[str, Any]:
    """A run in the list, as a JSON object; `error` instead where the model is damaged."""
    from textgen.analysis.baselines import best_ngram
    from textgen.storage.model_file import load_model
    from textgen.storage.provenance import Provenance

    try:
        model = load_model(run.model)
        stat = status_of(run.model)
    except TextgenError as error:
        return {"name": run.name, "error": str(error)}
    provenance = Provenance.read(model.provenance)
    best = best_ngram(provenance.baselines)
    return {
        "name": run.name,
        "text": " + ".join(source.name for source in provenance.sources),
        "val_loss": provenance.val_loss,
        "val_bpc": provenance.val_bpc,
        "ngram_bpc": best[1] if best else None,
        "kind": kind(model),
        "parameters": model.parameters,
        "bytes": stat.st_size,
        "age": round(max(0.0, time.time() - stat.st_mtime), 1),
    }


def kind(model: "Model") -> str:
    """The architecture, such as `LSTM 256-256`."""
    return f"{model.config.cell.upper()} {'-'.join(map(str, model.config.units))}"


def count_of(shapes: dict[str, tuple[int, ...]], prefix: str) -> int:
    """How many numbers the weights have whose names start with `prefix`."""
    return sum(math.prod(shape) for name, shape in shapes.items() if name.startswith(prefix))
