"""What `textgen sample` writes with a model of a list: items, one a line."""

from typing import TYPE_CHECKING

import click

from textgen.cli.pipe import TextPipe
from textgen.cli.terminal import json_line, note_on_stderr
from textgen.errors import TextgenError

if TYPE_CHECKING:
    from textgen.generation.items import Items
    from textgen.generation.sampling import Sample
    from textgen.generation.writing import Asked
    from textgen.library.writer import Writer

INTERRUPTED = 130
ADVICE = "Train the model longer, or try a higher --temperature."


def is_list(loaded: "Writer") -> bool:
    """Whether what writes is a model that was trained on a list."""
    from textgen.library.model import Model

    return isinstance(loaded, Model) and loaded.provenance.items is not None


def write_items(
    loaded: "Writer", asked: "Asked", count: int | None, new: bool, echo: bool, json: bool
) -> None:
    """Write items as they are found, and say what was left out.

    Args:
        loaded: the model.
        asked: how it writes.
        count: how many items; None for as many as is usual.
        new: whether to leave out items of the list, and repeats.
        echo: whether the prompt, with which each begins, is written too.
        json: whether each becomes a JSON object.

    Raises:
        TextgenError: the model has learned no list, or it wrote no item that is wanted.
    """
    from textgen.generation.items import USUAL
    from textgen.library.model import Model

    if not isinstance(loaded, Model):
        raise TextgenError("Items are written by one model. Name one, or give a length with -n.")
    if len(asked.temperatures) > 1 and asked.temperatures != loaded.sampling.temperatures:
        raise click.UsageError("Items are written at one --temperature.")
    count = USUAL if count is None else count
    items = loaded.written_items(asked, count, new)
    note_on_stderr(f"seed {items.seed}")
    pipe = TextPipe()
    try:
        for item in items:
            line = str(item) if echo else item.text
            pipe.write((text_line(item.sample, item.text, item.begin) if json else line) + "\n")
        pipe.flush()
    except KeyboardInterrupt:
        pipe.end_line()
        raise SystemExit(INTERRUPTED) from None
    if not items.found:
        raise TextgenError(f"No item was found: {left_out(items)}. {ADVICE}")
    if said := left_out(items):
        found = "" if items.found == count else f"Found {items.found:,} of {count:,}. "
        note_on_stderr(f"{found}Left out: {said}.")


def text_line(sample: "Sample", text: str, prompt: str) -> str:
    """A text that has ended, as a JSON object on one line."""
    return json_line(
        {
            "text": text,
            "prompt": prompt,
            "seed": sample.seed,
            "index": sample.index,
            "temperature": sample.temperature,
            "stopped_by": sample.stopped_by,
            "bpc": sample.bits / sample.characters if sample.characters else None,
        }
    )


def left_out(items: "Items") -> str:
    """What was tried and not written, in words; empty where nothing was left out."""
    reasons = (
        (items.known, "in the list"),
        (items.repeated, "repeated"),
        (items.endless, "without an end"),
    )
    return ", ".join(f"{count:,} {reason}" for count, reason in reasons if count)
