"""`textgen score`: what texts cost under models, in bits per character."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.options import complete_run, reading_options
from textgen.cli.tables import bpc, line
from textgen.cli.terminal import json_line, one_blas_thread, say, utf8_stdout, warn
from textgen.messages import printable

if TYPE_CHECKING:
    from textgen.analysis.comparing import Copied, Row, Scorer

BEST, CLOSE = "*", "~"
FIGURE = 7  # width of bits per character with its mark
COUNT = 10
PREVIEW = 60


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "-m",
    "--model",
    "models",
    envvar="TEXTGEN_SCORE_MODEL",
    multiple=True,
    shell_complete=complete_run,
    help="Run name, run directory or .keras file; repeat it to compare.  [default: the newest run]",
)
@click.option(
    "--lines", "by_line", is_flag=True, envvar="TEXTGEN_SCORE_LINES", help="Measure line by line."
)
@click.option(
    "--copying",
    "with_copying",
    envvar="TEXTGEN_SCORE_COPYING",
    is_flag=True,
    help="Show what each file shares verbatim with the model's training text.",
)
@click.option(
    "--corpus",
    help="The training text for --copying, where it is not beside the model.",
)
@click.option("--json", is_flag=True, help="Print one JSON object per line.")
@reading_options
def score(
    files: tuple[str, ...],
    models: tuple[str, ...],
    by_line: bool,
    with_copying: bool,
    corpus: str | None,
    json: bool,
    encoding: str,
    keep_boilerplate: bool,
) -> None:
    """Measure how well models predict texts, in bits per character: lower is better.

    A FILE is a path, - (stdin), or any other source that train takes. With several models
    the best one of each row is marked with *, so you can ask which author a text resembles.
    Where a file's best models differ by less than three standard errors, it is too close to
    call, and ~ marks them all. A line is measured in place, given the text before it, and *
    marks its lowest figure. A character that a model does not know costs 21 bits.
    """
    if by_line and with_copying:
        raise click.UsageError("--copying measures whole files; leave out --lines.")
    if corpus is not None and not with_copying:
        raise click.UsageError("--corpus needs --copying.")
    one_blas_thread()
    utf8_stdout()
    from textgen.analysis.comparing import Reading, compare

    reading = Reading(encoding, keep_boilerplate)
    compared = compare(files, models, by_line, with_copying, corpus, reading)
    show = show_json if json else show_lines if by_line else show_files
    with closing(compared.rows) as rows:
        show(compared.scorers, rows)


def show_json(scorers: "Sequence[Scorer]", rows: "Iterator[Row]") -> None:
    """One object per file and model, or per line and model, on a line of its own."""
    for row in rows:
        for place, (scorer, found) in enumerate(zip(scorers, row.scores, strict=True)):
            entry: dict[str, Any] = {"file": row.file, "model": scorer.name}
            if row.number is not None:
                entry["line"] = row.number
            entry |= {
                "characters": found.characters,
                "unknown": found.unknown,
                "bpc": found.bpc,
            }
            if row.standings:
                entry |= asdict(row.standings[place])
            if row.copied:
                copied = row.copied[place]
                entry["copying"] = {
                    "longest": copied.figures.longest,
                    "text": copied.run,
                    "place": copied.figures.train_place,
                    "line": copied.line,
                    "shares": copied.figures.shares,
                }
            say(json_line(entry))


def show_files(scorers: "Sequence[Scorer]", rows: "Iterator[Row]") -> None:
    """A table with a row for each file, written as the figures come."""
    for number, row in enumerate(rows):
        if number == 0:  # only now, because reading a file may fail
            heading(["characters", "unknown"], scorers, "file")
        counts = [f"{most(row, 'characters'):,}", f"{most(row, 'unknown'):,}"]
        show_row(counts, scorers, row, printable(row.file))
        for scorer, copied in zip(scorers, row.copied, strict=False):
            show_copied(scorer, copied)
        explain(scorers, row)


def show_lines(scorers: "Sequence[Scorer]", rows: "Iterator[Row]") -> None:
    """A table for each file with a row for each line, written as the figures come."""
    file = None
    for row in rows:
        if row.file != file:
            file = row.file
            say(f"==> {printable(file)} <==")
            heading(["line", "unknown"], scorers, "text")
        counts = [f"{row.number:,}", f"{most(row, 'unknown'):,}"]
        show_row(counts, scorers, row, printable(row.text[:PREVIEW]))


def most(row: "Row", count: str) -> int:
    """The largest of the models' counts."""
    return max(getattr(score, count) for score in row.scores)


def heading(counts: list[str], scorers: "Sequence[Scorer]", last: str) -> None:
    """The first line of a table."""
    write_line(counts, [name + " " for name in columns(scorers)], scorers, last)


def columns(scorers: "Sequence[Scorer]") -> list[str]:
    """The names of the models' columns; a single model's is called bpc."""
    return [printable(scorer.name) for scorer in scorers] if len(scorers) > 1 else ["bpc"]


def show_row(counts: list[str], scorers: "Sequence[Scorer]", row: "Row", last: str) -> None:
    """One line of a table, the best figure marked where there are several."""
    figures = [bpc(score.bpc) for score in row.scores]
    cells = [figure + mark for figure, mark in zip(figures, marks(row), strict=True)]
    write_line(counts, cells, scorers, last)


def marks(row: "Row") -> list[str]:
    """What stands behind each figure: `*` the best, `~` too close to call."""
    if row.standings:
        return [{True: BEST, None: CLOSE, False: " "}[model.best] for model in row.standings]
    known = [score.bpc for score in row.scores if score.bpc is not None]
    best = min(known) if len(known) > 1 else None
    return [BEST if score.bpc == best is not None else " " for score in row.scores]


def write_line(
    counts: Sequence[str], figures: Sequence[str], scorers: "Sequence[Scorer]", last: str
) -> None:
    """Counts and figures in columns whose widths are known before the figures are."""
    widths = [COUNT, len("unknown")]
    widths += [max(FIGURE, len(name) + 1) for name in columns(scorers)]
    cells = [*counts, *figures, last]
    say(line(cells, [*widths, 0], ">" * (len(cells) - 1) + "<"))


def show_copied(scorer: "Scorer", copied: "Copied") -> None:
    """Two lines on what a file has from a training text."""
    figures = copied.figures
    shares = [
        f"{share:.1%} of its {n}-grams" for n, share in figures.shares.items() if share is not None
    ]
    where = f"line {copied.line:,}" if copied.line else f"character {figures.train_place + 1:,}"
    run = copied.run if len(copied.run) <= PREVIEW else copied.run[: PREVIEW - 1] + "…"
    say(f"  in the training text of {printable(scorer.name)}: {', '.join(shares) or '-'}")
    if figures.longest:
        count = f"{figures.longest:,} character{'s' if figures.longest > 1 else ''}"
        say(f"  longest run in both: {count}, at {where} there: “{printable(run)}”")


def explain(scorers: "Sequence[Scorer]", row: "Row") -> None:
    """Explain on stderr why a figure is missing or so high, or none is the best."""
    close = [scorer.name for scorer, mark in zip(scorers, marks(row), strict=True) if mark == CLOSE]
    if close:
        between = f"{', '.join(close[:-1])} and {close[-1]}"
        warn(f"{row.file} is too close to call between {between}.")
    for scorer, found in zip(scorers, row.scores, strict=True):
        if found.bpc is None:
            first = 1 if scorer.model.config.targets == "every" else scorer.model.config.seq_length
            warn(
                f"{row.file} is too short for {scorer.name}, which does not count the first "
                + (f"{first} characters." if first > 1 else "character.")
            )
        elif found.unknown:
            warn(
                f"{scorer.name} does not know {found.unknown:,} of the characters of {row.file}; "
                "each costs 21 bits."
            )
