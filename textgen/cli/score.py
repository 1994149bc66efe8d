"""`textgen score`: what texts cost under models, in bits per character."""

from collections.abc import Iterator, Sequence
from functools import partial
from json import dumps
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.options import reading_options
from textgen.cli.sample import complete_run
from textgen.cli.tables import bits, line
from textgen.cli.terminal import one_blas_thread, say, utf8_stdout, warn
from textgen.messages import printable

if TYPE_CHECKING:
    from textgen.analysis.comparing import Copied, Judge, Row

BEST = "*"
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
    help="Tell what each file has verbatim from the model's training text.",
)
@click.option(
    "--corpus",
    help="The training text for --copying, where it does not lie beside the model.",
)
@click.option("--json", is_flag=True, help="Print one JSON object a line.")
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
    """Measure texts under models, in bits per character: the lower, the more expected.

    A FILE is a path, - (stdin), or any other source that train takes. With several models
    the best one of each row is marked with *, which tells who may have written a text. A
    line is measured in its place, given the text before it. A character that a model does
    not know costs 21 bits.
    """
    if by_line and with_copying:
        raise click.UsageError("--copying measures whole files; leave out --lines.")
    if corpus is not None and not with_copying:
        raise click.UsageError("--corpus is for --copying only.")
    one_blas_thread()
    utf8_stdout()
    from textgen.analysis.comparing import (
        Reading,
        load_judges,
        readable,
        refuse_joined_lines,
        rows_of_files,
        rows_of_lines,
        training_text,
    )

    judges = load_judges(models)
    if len({judge.model.cleaning for judge in judges}) > 1:
        warn("These models clean a text in different ways, so they compare only roughly.")
    reading = Reading(encoding, keep_boilerplate)
    texts = []
    if by_line:
        refuse_joined_lines(judges)
    if with_copying:
        texts = [training_text(judge, corpus, reading) for judge in judges]
    with readable(files, len(judges) + len(texts)) as paths:
        rows = rows_of_lines if by_line else partial(rows_of_files, texts=texts)
        show = show_json if json else show_lines if by_line else show_files
        show(judges, rows(judges, list(zip(files, paths, strict=True)), reading))


def show_json(judges: "Sequence[Judge]", rows: "Iterator[Row]") -> None:
    """One object per file and model, or per line and model, on a line of its own."""
    for row in rows:
        for place, (judge, found) in enumerate(zip(judges, row.scores, strict=True)):
            entry: dict[str, Any] = {"file": row.file, "model": judge.name}
            if row.number is not None:
                entry["line"] = row.number
            entry |= {
                "characters": found.characters,
                "unknown": found.unknown,
                "bpc": found.bpc,
            }
            if row.copied:
                copied = row.copied[place]
                entry["copying"] = {
                    "longest": copied.figures.longest,
                    "text": copied.run,
                    "place": copied.figures.train_place,
                    "line": copied.line,
                    "shares": copied.figures.shares,
                }
            say(dumps(entry, ensure_ascii=False))


def show_files(judges: "Sequence[Judge]", rows: "Iterator[Row]") -> None:
    """A table with a row for each file, written as the figures come."""
    heading(["characters", "unknown"], judges, "file")
    for row in rows:
        counts = [f"{most(row, 'characters'):,}", f"{most(row, 'unknown'):,}"]
        show_row(counts, judges, row, printable(row.file))
        for judge, copied in zip(judges, row.copied, strict=False):
            show_copied(judge, copied)
        explain(judges, row)


def show_lines(judges: "Sequence[Judge]", rows: "Iterator[Row]") -> None:
    """A table for each file with a row for each line, written as the figures come."""
    file = None
    for row in rows:
        if row.file != file:
            file = row.file
            say(f"==> {printable(file)} <==")
            heading(["line", "unknown"], judges, "text")
        counts = [f"{row.number:,}", f"{most(row, 'unknown'):,}"]
        show_row(counts, judges, row, printable(row.text[:PREVIEW]))


def most(row: "Row", count: str) -> int:
    """The largest of the models' counts."""
    return max(getattr(score, count) for score in row.scores)


def heading(counts: list[str], judges: "Sequence[Judge]", last: str) -> None:
    """The first line of a table."""
    write_line(counts, [name + " " for name in columns(judges)], judges, last)


def columns(judges: "Sequence[Judge]") -> list[str]:
    """The names of the models' columns; a single model's is called bpc."""
    return [printable(judge.name) for judge in judges] if len(judges) > 1 else ["bpc"]


def show_row(counts: list[str], judges: "Sequence[Judge]", row: "Row", last: str) -> None:
    """One line of a table, the lowest figure marked where there are several."""
    figures = [score.bpc for score in row.scores]
    known = [figure for figure in figures if figure is not None]
    best = min(known) if len(known) > 1 else None
    cells = [bits(figure) + (BEST if figure == best is not None else " ") for figure in figures]
    write_line(counts, cells, judges, last)


def write_line(
    counts: Sequence[str], figures: Sequence[str], judges: "Sequence[Judge]", last: str
) -> None:
    """Counts and figures in columns whose widths are known before the figures are."""
    widths = [COUNT, len("unknown")]
    widths += [max(FIGURE, len(name) + 1) for name in columns(judges)]
    cells = [*counts, *figures, last]
    say(line(cells, [*widths, 0], ">" * (len(cells) - 1) + "<"))


def show_copied(judge: "Judge", copied: "Copied") -> None:
    """Two lines on what a file has from a training text."""
    figures = copied.figures
    shares = [
        f"{share:.1%} of its {n}-grams" for n, share in figures.shares.items() if share is not None
    ]
    where = f"line {copied.line:,}" if copied.line else f"character {figures.train_place + 1:,}"
    run = copied.run if len(copied.run) <= PREVIEW else copied.run[: PREVIEW - 1] + "…"
    say(f"  in the training text of {printable(judge.name)}: {', '.join(shares) or '-'}")
    if figures.longest:
        count = f"{figures.longest:,} character{'s' if figures.longest > 1 else ''}"
        say(f"  longest run in both: {count}, at {where} there: “{printable(run)}”")


def explain(judges: "Sequence[Judge]", row: "Row") -> None:
    """Say on stderr why a figure is missing or so high."""
    for judge, found in zip(judges, row.scores, strict=True):
        if found.bpc is None:
            first = 1 if judge.model.config.targets == "every" else judge.model.config.seq_length
            warn(
                f"{row.file} is too short for {judge.name}, which begins to count after "
                f"{first} character{'s' if first > 1 else ''}."
            )
        elif found.unknown:
            warn(
                f"{judge.name} does not know {found.unknown:,} of the characters of {row.file}; "
                "each costs 21 bits."
            )
