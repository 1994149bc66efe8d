"""Self-contained HTML pages: no network, light and dark, every text escaped."""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textgen.analysis.inspection import NO_GUESS, Neuron, Passage
from textgen.errors import TextgenError
from textgen.messages import shown
from textgen.storage.atomic import atomic_write, not_written
from textgen.storage.plain import open_plain
from textgen.storage.schema import Refused
from textgen.text.vocabulary import UNKNOWN_BITS, Vocabulary

if TYPE_CHECKING:
    from jinja2 import Environment

LEVELS = 9
# Each page has this in its first bytes, and hardly another one.
PAGE_MARK = b"""content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-"""
HEAD = 1000
SCRIPTS = ("heatmap.js",)
STYLE = "page.css"


@dataclass(frozen=True)
class Heatmap:
    """A text whose characters are coloured.

    Attributes:
        label: what it shows, for those who do not see it.
        coloured: each character with the name of its colour: `s0` to `s9` for surprisal, `n1`
            to `n9` and `p1` to `p9` for the activity of a neuron below and above 0, `u` for
            unknown characters.
        data: what the page's script shows of each character; None for nothing.
    """

    label: str
    coloured: list[tuple[str, str]]
    data: dict[str, Any] | None


def write_page(path: Path, page: str, named: bool) -> None:
    """Write a page, but not over anything that is no page.

    Args:
        path: where to.
        page: its HTML.
        named: whether the user named the path, which may then be a link, a pipe or a device;
            else it is in a run, which anybody may have made.

    Raises:
        TextgenError: something else is there, or the system refused.
    """
    try:
        file, _ = open_plain(path, follow=named)
        with file:
            head = file.read(HEAD)
        if head and PAGE_MARK not in head:
            raise TextgenError(
                f"{shown(path)} is there, and it is no page of textgen's. Choose another -o."
            )
    except FileNotFoundError:
        pass
    except Refused as reason:
        if not named:
            raise TextgenError(
                f"Could not write {shown(path)}: {reason}. Remove it, or give another -o."
            ) from None
    except OSError as error:
        raise not_written(path, error) from error
    atomic_write(path, page.encode("utf-8", "replace"))


@cache
def environment() -> "Environment":
    """Jinja with autoescaping, and the templates that come with textgen."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("textgen.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def source(name: str) -> str:
    """The text of a file that stands beside the templates."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name)[0]


def render(
    template: str,
    scripts: tuple[str, ...] = SCRIPTS,
    styles: tuple[str, ...] = (),
    **values: Any,
) -> str:
    """The page that a template makes of values, which it escapes.

    Args:
        template: its file.
        scripts: files of the page's one script. Only this very script may run, whatever a
            text or a name manages to smuggle in.
        styles: files of styles besides `STYLE`.
        values: of the template's names.
    """
    code = "".join(map(source, scripts))
    return (
        environment()
        .get_template(template)
        .render(
            script=code,
            script_sha256=base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
            style="".join(map(source, (STYLE, *styles))),
            **values,
        )
    )


def inspection_page(
    file: str,
    model_name: str,
    vocabulary: Vocabulary,
    passages: list[Passage],
    neuron: Neuron | None,
) -> str:
    """A page on one text: its surprisal or a neuron's activity, and the model's guesses.

    Args:
        file: the name of the text.
        model_name: the name of the model.
        vocabulary: the model's characters.
        passages: the text, in order.
        neuron: what it is coloured by; None for surprisal.
    """
    bits = np.concatenate([passage.bits for passage in passages] or [np.empty(0)])
    counted = int(np.count_nonzero(~np.isnan(bits)))
    return render(
        "inspection.html",
        file=file,
        model_name=model_name,
        map=heatmap(vocabulary, passages, f"The text of {file}", neuron),
        characters=len(bits),
        bpc=float(np.nansum(bits)) / counted if counted else None,
        neuron=neuron,
    )


def heatmap(
    vocabulary: Vocabulary, passages: list[Passage], label: str, neuron: Neuron | None = None
) -> Heatmap:
    """The heat-map of a text, with the guesses at each character.

    Args:
        vocabulary: the model's characters.
        passages: the text, in order.
        label: what it shows.
        neuron: what the text is coloured by; None for surprisal.
    """
    coloured = []
    for passage in passages:
        if neuron is None or passage.activity is None:
            colours = [surprise_colour(bits) for bits in passage.bits.tolist()]
        else:
            colours = activity_colours(passage.activity)
        coloured += list(zip(passage.text, colours, strict=True))
    data = {
        "vocabulary": list(vocabulary.characters),
        "bits": [known(bits, 2) for passage in passages for bits in passage.bits.tolist()],
        "guesses": [
            [guess for guess in row if guess != NO_GUESS]
            for passage in passages
            for row in passage.guesses.tolist()
        ],
        "chances": [
            [round(chance, 4) for chance in row]
            for passage in passages
            for row in passage.chances.tolist()
        ],
        "activity": [
            known(value, 2)
            for passage in passages
            if passage.activity is not None
            for value in passage.activity.tolist()
        ],
    }
    return Heatmap(label, coloured, data)


def known(value: float, digits: int) -> float | None:
    """A rounded number, None for NaN, which JSON does not have."""
    return None if np.isnan(value) else round(value, digits)


def surprise_colour(bits: float) -> str:
    """The colour of a surprisal: one step a bit."""
    if np.isnan(bits):
        return "s0"
    return "u" if bits == UNKNOWN_BITS else f"s{min(LEVELS, int(bits))}"


def activity_colours(values: np.ndarray) -> list[str]:
    """The colours of a neuron's values from -1 to 1."""
    steps = np.rint(np.nan_to_num(values) * LEVELS).astype(int).tolist()
    return ["s0" if not step else f"p{step}" if step > 0 else f"n{-step}" for step in steps]
