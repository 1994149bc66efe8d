"""`textgen inspect`: a text in the colours of what surprised the model."""

import math
import os
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.options import complete_run, reading_options
from textgen.cli.terminal import one_blas_thread, say, utf8_stdout, warn
from textgen.messages import printable, shown, visible

if TYPE_CHECKING:
    import numpy as np

    from textgen.analysis.inspection import Neuron, Passage
    from textgen.storage.model_file import Model

GUESSES = 5  # on a page
PAGE_LIMIT = 20_000  # characters on a page

# Lowest value of each level and its colour: text and background of xterm's 256 colours, which
# look alike on light and dark terminals. None leaves the terminal's own.
Scale = list[tuple[float, tuple[int, int] | None]]
BLACK, WHITE = 16, 231
SURPRISE: Scale = [
    (0.0, None),
    (1.0, (BLACK, 230)),
    (2.0, (BLACK, 222)),
    (4.0, (BLACK, 215)),
    (6.0, (BLACK, 209)),
    (8.0, (WHITE, 160)),
    (21.0, (WHITE, 90)),
]
ACTIVITY: Scale = [
    (-1.0, (WHITE, 25)),
    (-0.7, (BLACK, 74)),
    (-0.3, (BLACK, 153)),
    (-0.1, None),
    (0.1, (BLACK, 223)),
    (0.3, (BLACK, 215)),
    (0.7, (WHITE, 166)),
]
DIM, RESET = "\x1b[2m", "\x1b[0m"


@click.command()
@click.argument("file")
@click.option(
    "-m",
    "--model",
    shell_complete=complete_run,
    help="Run name, run directory or .keras file.  [default: the newest run]",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="N",
    help="A row for each character, with the N characters that the model thought likeliest.",
)
@click.option("--neuron", metavar="L:N", help="Colour by unit N of layer L, counted from 1.")
@click.option("--numbers", is_flag=True, help="A row for each character, with its bits.")
@click.option("--html", type=click.Path(path_type=Path), help="Write an interactive page here.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="auto: on a terminal, unless NO_COLOR is set.",
)
@reading_options
def inspect(
    file: str,
    model: str | None,
    top: int | None,
    neuron: str | None,
    numbers: bool,
    html: Path | None,
    color: str,
    encoding: str,
    keep_boilerplate: bool,
) -> None:
    """Show what a model finds surprising in a text.

    FILE is a path, - (stdin), or any other source that train takes. Each character is
    coloured by its surprisal: how many bits it costs, given the text before it. Without
    colours, a line of digits follows each line of the text: the bits, rounded down, with 9
    for nine or more.
    """
    one_blas_thread()
    utf8_stdout()
    from textgen.analysis.inspection import Neuron
    from textgen.analysis.inspection import inspect as inspect_text
    from textgen.corpus.sources import open_sources
    from textgen.generation.network import Network
    from textgen.storage.model_file import load_model
    from textgen.storage.run_folder import find_model, model_name

    path = find_model(model)
    loaded = load_model(path)
    watched = Neuron.parse(neuron, loaded.config) if neuron else None
    network = Network(loaded.config, dict(loaded.weights))
    chunks: Iterator[str] = open_sources([file], loaded.cleaning, encoding, keep_boilerplate)
    if html:
        chunks = first_characters(chunks, PAGE_LIMIT)
    guesses = GUESSES if html else top or 0
    passages = inspect_text(network, loaded.vocabulary, chunks, guesses, watched)
    if html:
        write_page(html, file, model_name(path), loaded, passages, watched)
    elif top or numbers:
        show_rows(passages, loaded, colours_wanted(color))
    elif colours_wanted(color):
        show_colours(passages, watched)
    else:
        show_digits(passages, watched)


def colours_wanted(color: str) -> bool:
    """Whether to write colours (https://no-color.org)."""
    if color == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return color == "always"


def first_characters(chunks: Iterator[str], limit: int) -> Iterator[str]:
    """The beginning of a text, with a note if there is more."""
    left = limit
    for chunk in chunks:
        if len(chunk) > left:
            warn(f"The page shows the first {limit:,} characters.")
            yield chunk[:left]
            return
        left -= len(chunk)
        yield chunk


def values_of(passage: "Passage") -> "np.ndarray":
    """What the characters are coloured by: the neuron's activity, else bits."""
    return passage.bits if passage.activity is None else passage.activity


def show_colours(passages: "Iterator[Passage]", neuron: "Neuron | None") -> None:
    """The text in colours, and a legend."""
    scale = ACTIVITY if neuron else SURPRISE
    say(legend(scale, neuron), color=True)
    for passage in passages:
        say(coloured(passage.text, values_of(passage), scale), newline=False, color=True)
    say("")


def coloured(text: str, values: "np.ndarray", scale: Scale) -> str:
    """Text with a colour code wherever the level changes; a coloured newline is shown as ↵."""
    import numpy as np

    limits = [limit for limit, _ in scale[1:]]
    levels = np.where(np.isnan(values), -1, np.searchsorted(limits, values, side="right"))
    parts = []
    for first, last in runs(levels):
        level = levels[first]
        code = DIM if level < 0 else colour_code(scale[level][1])
        for number, piece in enumerate(text[first:last].split("\n")):
            if number:
                parts.append(f"{code}↵{RESET}\n" if code else "\n")
            if piece:
                parts.append(f"{code}{printable(piece)}{RESET}" if code else printable(piece))
    return "".join(parts)


def runs(levels: "np.ndarray") -> Iterator[tuple[int, int]]:
    """Where each run of equal levels begins and ends."""
    import numpy as np

    changes = np.flatnonzero(np.diff(levels)) + 1
    return pairwise([0, *changes.tolist(), len(levels)])


def colour_code(colour: tuple[int, int] | None) -> str:
    """The terminal's code for a text and background colour."""
    return f"\x1b[38;5;{colour[0]};48;5;{colour[1]}m" if colour else ""


def legend(scale: Scale, neuron: "Neuron | None") -> str:
    """One line that shows the colours with their ranges."""
    parts = ["neuron " + str(neuron) if neuron else "bits"]
    for (low, colour), following in zip(scale, [*scale[1:], None], strict=True):
        if low == 21.0:
            label = "unknown"
        elif following is None or following[0] == 21.0:
            label = f"{low:g} or more"
        else:
            label = f"{low:g} to {following[0]:g}"
        code = colour_code(colour)
        parts.append(f"{code} {label} {RESET}" if code else f" {label} ")
    return " ".join(parts)


def show_digits(passages: "Iterator[Passage]", neuron: "Neuron | None") -> None:
    """The text with a line of digits under each line; the newline's digit is the last one."""
    import numpy as np

    if neuron:
        say(f"neuron {neuron}: 0 is -1, 9 is 1")
    else:
        say("bits of each character, rounded down; 9 means nine or more")
    line, values = "", np.empty(0)
    for passage in passages:
        text = line + passage.text
        values = np.append(values, values_of(passage))
        start = 0
        while (stop := text.find("\n", start) + 1) > 0:
            show_line(text[start:stop], values[start:stop], neuron)
            start = stop
        line, values = text[start:], values[start:]
    if line:
        show_line(line, values, neuron)


def show_line(line: str, values: "np.ndarray", neuron: "Neuron | None") -> None:
    """One line of text and its digits."""
    import numpy as np

    shown = printable(line.removesuffix("\n"))
    scaled = (values + 1) * 5 if neuron else values
    digits = np.clip(np.nan_to_num(scaled), 0, 9).astype(int)
    marks = "".join(
        " " if np.isnan(value) else str(digit) for value, digit in zip(values, digits, strict=True)
    )
    say(f"{shown}\n{marks.rstrip()}")


def show_rows(passages: "Iterator[Passage]", model: "Model", colours: bool) -> None:
    """A row for each character, columns separated by tabs."""
    heading = None
    for passage in passages:
        if heading is None:
            heading = ["char", "bits"] + ["neuron"] * (passage.activity is not None)
            heading += ["expected"] * bool(passage.guesses.shape[1])
            say("\t".join(heading))
        write_row = row_writer(passage, model, colours)
        for place in range(len(passage.text)):
            say(write_row(place), color=colours)


def row_writer(passage: "Passage", model: "Model", colours: bool) -> Callable[[int], str]:
    """A function that writes the row of the character at a place."""
    names = [visible(character) for character in model.vocabulary.characters]

    def write(place: int) -> str:
        character, bits = visible(passage.text[place]), float(passage.bits[place])
        if colours and (code := code_of(bits)):
            character = f"{code}{character}{RESET}"
        cells = [character, figure(bits)]
        if passage.activity is not None:
            cells.append(figure(float(passage.activity[place])))
        guesses = zip(passage.guesses[place], passage.chances[place], strict=True)
        cells += [f"{names[guess]} {chance:.0%}" for guess, chance in guesses if guess >= 0]
        return "\t".join(cells)

    return write


def code_of(bits: float) -> str:
    """The terminal's code for a surprisal."""
    return colour_code(next((colour for low, colour in reversed(SURPRISE) if bits >= low), None))


def figure(value: float) -> str:
    """A number with two decimals, a dash for none."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def write_page(
    path: Path,
    file: str,
    name: str,
    model: "Model",
    passages: "Iterator[Passage]",
    neuron: "Neuron | None",
) -> None:
    """Write the page."""
    from textgen.pages.pages import inspection_page, write_page

    page = inspection_page(file, name, model.vocabulary, list(passages), neuron)
    write_page(path, page, named=True)
    warn(f"Wrote {shown(path)}.")
