"""A page that writes: one HTML file with the model inside."""

import base64
import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from textgen.analysis.baselines import sentences
from textgen.analysis.copying import count_copied_items
from textgen.corpus.cleaning import TYPEWRITER
from textgen.errors import TextgenError
from textgen.generation.items import LONGER
from textgen.generation.mixing import Part
from textgen.generation.network import Network
from textgen.generation.relatives import relatives
from textgen.generation.units import MOST, SENTENCES
from textgen.messages import shown
from textgen.pages.lists import item_hashes, list_facts
from textgen.pages.pages import render, source
from textgen.pages.quantize import Packed, pack_as_small_as_harmless, packed_size
from textgen.pages.report import shared_texts
from textgen.storage.model_file import Model
from textgen.storage.provenance import Origin, Provenance
from textgen.storage.run_folder import RunText, model_name, read_run_text

# A larger page takes a browser on a phone too long, or more memory than it has.
MAX_BYTES = 64_000_000
# What the slider of a page offers; a model's own temperature is brought to the nearest.
COLDEST, HOTTEST = 0.2, 1.5
# What copying is judged by: the share of passages of so many characters.
PASSAGE, HARDLY, MUCH = 40, 0.02, 0.25
ENGINE = ("network.js", "worker.js")


def writing_page(path: Path, model: Model, force: bool = False) -> str:
    """The page that writes with a model.

    The weights are stored in 8 bits, or in 16 where 8 would cost too much.

    Args:
        path: the model file; if the run's text lies beside it, that is where the loss of the
            fewer bits is measured, and where copies are searched for.
        model: what it holds.
        force: whether a page may be larger than `MAX_BYTES`.

    Raises:
        TextgenError: the page would be larger.
    """
    if not force:
        check_size(path, packed_size(model.config, len(model.vocabulary), bits=8))
    text = read_run_text(path, model)
    items = Provenance.read(model.provenance).items
    hashes = item_hashes(items, text, model.vocabulary) if items else None
    known = b"" if hashes is None else hashes.tobytes()
    packed = pack_as_small_as_harmless(model, text.holdout if text else None)
    if not force:
        check_size(path, len(packed.data) + len(known))
    name = model_name(path)
    return render(
        "writing.html",
        scripts=("client.js", "desk.js"),
        styles=("writing.css",),
        name=name,
        facts=facts(path, model, text, hashes),
        writes_items=items is not None,
        data=page_data(name, model, packed),
        engine="".join(map(source, ENGINE)),
        weights=base64.b64encode(packed.data).decode("ascii"),
        known=base64.b64encode(known).decode("ascii"),
    )


def check_size(path: Path, size: int) -> None:
    """Refuse data of `size` bytes that make a page larger than `MAX_BYTES`.

    Raises:
        TextgenError: they do.
    """
    if (page := 4 * size // 3) > MAX_BYTES:
        raise TextgenError(
            f"A page with {shown(path)} would be {page / 1e6:,.0f} MB large, more than "
            f"{MAX_BYTES / 1e6:,.0f} MB. Use --force to write it all the same."
        )


def page_data(name: str, model: Model, packed: Packed) -> dict[str, Any]:
    """What the page's scripts know of the model; plain JSON values."""
    characters = model.vocabulary.characters
    items = Provenance.read(model.provenance).items
    return {
        "name": name,
        "hash": hashlib.sha256(characters.encode() + packed.data).hexdigest(),
        "config": asdict(model.config),
        # As numbers: JavaScript counts what is beyond U+FFFF as two characters.
        "characters": list(map(ord, characters)),
        "cleaning": asdict(model.cleaning),
        "typewriter": {chr(point): typed for point, typed in TYPEWRITER.items()},
        "relatives": relatives(characters),
        "opening": {
            quote: relative
            for quote, relative in relatives(characters, opens=True).items()
            if quote in "'\""
        },
        "default_prompt": model.default_prompt,
        "temperature": min(max(model.sampling.temperatures[0], COLDEST), HOTTEST),
        "bits": packed.bits,
        "sentences": SENTENCES,
        "most": MOST | ({"item": LONGER * items.longest} if items else {}),
    }


def facts(
    path: Path, model: Model, text: RunText | None, hashes: np.ndarray | None
) -> list[tuple[str, list[str]]]:
    """What the model is, for its readers: terms, and sentences on each."""
    provenance = Provenance.read(model.provenance)
    config = model.config
    found = [
        ("Learned from", [_with_length(s.name, s.characters) for s in provenance.sources]),
        ("Its list", list_facts(provenance, hashes)),
        ("Started from", [_with_licence(base) for base in provenance.bases]),
        ("Licence", [provenance.licence] if provenance.licence else []),
        ("How good", sentences(provenance)),
        ("Trained", [_duration(provenance.seconds)] if provenance.seconds is not None else []),
        ("Does it copy?", copying(path, model, text) if text else []),
        (
            "Network",
            [
                f"{config.cell.upper()} of {' and '.join(map(str, config.units))} units; "
                f"it knows {len(model.vocabulary):,} characters."
            ],
        ),
    ]
    return [(term, lines) for term, lines in found if lines]


def copying(path: Path, model: Model, text: RunText) -> list[str]:
    """Whether the model copies its training text, in words and beside what new text shares."""
    network = Network(model.config, dict(model.weights))
    if copied_items := count_copied_items(Part(path, model, network)):
        return [str(copied_items)]
    own, new = shared_texts(network, model, text)
    copied, usual = (shared.shares[PASSAGE] or 0.0 for shared in (own, new))
    word = "Much" if copied > MUCH else "Hardly" if copied <= usual + HARDLY else "A little"
    return [
        f"{word}: {copied:.0%} of the {PASSAGE}-character passages that it writes are in its "
        f"training text, and {usual:.0%} of those in text that it has never seen.",
        f"The longest run of characters that it copied is {own.longest:,} long; in text that it "
        f"has never seen, {new.longest:,}.",
    ]


def _with_licence(base: Origin) -> str:
    return f"{base.name}, {base.licence}" if base.licence else base.name


def _with_length(name: str, characters: int | None) -> str:
    return name if characters is None else f"{name}, {characters:,} characters"


def _duration(seconds: float) -> str:
    """A time as a person says it."""
    for size, unit in ((3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = round(seconds / size)
            return f"for {count:,} {unit}{'s' if count != 1 else ''}"
    return "for less than a minute"
