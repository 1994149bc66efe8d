"""`textgen score`: what texts cost under models, in bits per character."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.info import model_name
from textgen.cli.options import reading_options
from textgen.cli.sample import complete_run
from textgen.cli.terminal import one_blas_thread, say, utf8_stdout, warn
from textgen.errors import TextgenError
from textgen.tables import bits, line, printable

if TYPE_CHECKING:
    import numpy as np

    from textgen.copying import Copying
    from textgen.model_file import Model
    from textgen.network import Network
    from textgen.scoring import Score

STDIN = "-"
BEST = "*"
FIGURE = 7  # width of bits per character with its mark
COUNT = 10
PREVIEW = 60


@dataclass(frozen=True)
class Judge:
    """A model that texts are measured with."""

    name: str
    path: Path
    model: "Model"
    network: "Network"


@dataclass(frozen=True)
class Reading:
    """How files are read: the options of that name."""

    encoding: str
    keep_boilerplate: bool


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    shell_complete=complete_run,
    help="Run name, run directory or .keras file; repeat it to compare.  [default: the newest run]",
)
@click.option("--lines", "by_line", is_flag=True, help="Measure line by line.")
@click.option(
    "--copying",
    "with_copying",
    is_flag=True,
    help="Tell what each file has verbatim from the model's training text.",
)
@click.option(
    "--corpus",
    help="The training text for --copying, where it does not lie beside the model.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@reading_options
def score(
    files: tuple[str, ...],
    models: tuple[str, ...],
    by_line: bool,
    with_copying: bool,
    corpus: str | None,
    as_json: bool,
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
    judges = load_judges(models)
    reading = Reading(encoding, keep_boilerplate)
    texts = []
    if by_line:
        refuse_joined_lines(judges)
    if with_copying:
        texts = [training_text(judge, corpus, reading) for judge in judges]
    with readable(files, len(judges) + len(texts)) as paths:
        rows = rows_of_lines if by_line else partial(rows_of_files, texts=texts)
        show = show_json if as_json else show_lines if by_line else show_files
        show(judges, rows(judges, list(zip(files, paths, strict=True)), reading))


@dataclass(frozen=True)
class Row:
    """A file or one of its lines, with its score under each model, and what it copies."""

    file: str
    scores: "list[Score]"
    number: int | None = None
    text: str = ""
    copied: "Sequence[Copied]" = ()


def load_judges(models: Sequence[str | None]) -> list[Judge]:
    """The models that are named, or the newest one.

    Raises:
        TextgenError: one is not there or damaged.
    """
    from textgen.checkpoint import find_model, load_model
    from textgen.network import Network

    judges = []
    for name in models or (None,):
        path = find_model(name)
        model = load_model(path)
        network = Network(model.config, dict(model.weights))
        judges.append(Judge(name or model_name(path), path, model, network))
    if len({judge.model.cleaning for judge in judges}) > 1:
        warn("These models clean a text in different ways, so they compare only roughly.")
    return judges


def refuse_joined_lines(judges: Sequence[Judge]) -> None:
    """See that no model's cleaning joins the lines.

    Raises:
        TextgenError: one does.
    """
    for judge in judges:
        if judge.model.cleaning.tokenize:
            raise TextgenError(
                f"The model {printable(judge.name)} reads tokenized text, which has no lines. "
                "Leave out --lines, or choose another --model."
            )


@contextmanager
def readable(files: Sequence[str], times: int) -> Iterator[list[str]]:
    """The files, so that each can be read several times: stdin is kept on disk for that."""
    if STDIN not in files or times == 1:
        yield list(files)
        return
    with tempfile.TemporaryDirectory(prefix="textgen-") as folder:
        kept = Path(folder) / "stdin"
        with kept.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield [str(kept) if name == STDIN else name for name in files]


def rows_of_files(
    judges: Sequence[Judge],
    files: Sequence[tuple[str, str]],
    reading: Reading,
    texts: "Sequence[np.ndarray]",
) -> Iterator[Row]:
    """Measure each file under each model, and against its training text if there are `texts`."""
    from textgen.scoring import score_text

    for name, path in files:
        scores = [
            score_text(judge.network, judge.model.vocabulary, opened(judge, path, reading))
            for judge in judges
        ]
        both = zip(judges, texts, strict=False)
        copied = [copied_from(judge, text, path, reading) for judge, text in both]
        yield Row(name, scores, copied=copied)


def rows_of_lines(
    judges: Sequence[Judge], files: Sequence[tuple[str, str]], reading: Reading
) -> Iterator[Row]:
    """Measure each line of each file under each model; the models go through it together."""
    from textgen.scoring import score_lines

    for name, path in files:
        scored = [
            score_lines(judge.network, judge.model.vocabulary, opened(judge, path, reading))
            for judge in judges
        ]
        for number, lines in enumerate(zip(*scored, strict=True), 1):
            yield Row(name, [score for _, score in lines], number, lines[0][0])


def opened(judge: Judge, path: str, reading: Reading) -> Iterator[str]:
    """A file's text, cleaned as the model's training text was."""
    from textgen.corpus import open_sources

    cleaning = judge.model.cleaning
    return open_sources([path], cleaning, reading.encoding, reading.keep_boilerplate)


@dataclass(frozen=True)
class Copied:
    """What a file has from a training text: figures, the longest run, and its line there."""

    figures: "Copying"
    run: str
    line: int | None


def training_text(judge: Judge, corpus: str | None, reading: Reading) -> "np.ndarray":
    """Ids of the text that a model learned from: the run's, or that of `corpus`.

    Raises:
        TextgenError: it does not lie beside the model and is not given.
    """
    import numpy as np

    from textgen.run_text import read_run_text

    if corpus is not None:
        chunks = opened(judge, corpus, reading)
        return np.concatenate([judge.model.vocabulary.lookup(chunk) for chunk in chunks])
    text = read_run_text(judge.path, judge.model)
    if text is None:
        raise TextgenError(
            f"The training text of {printable(judge.name)} does not lie beside its model. "
            "Name it with --corpus."
        )
    return text.train


def copied_from(judge: Judge, train_ids: "np.ndarray", path: str, reading: Reading) -> Copied:
    """What a file has verbatim from a training text."""
    from textgen.copying import line_at, measure_copying

    text = "".join(opened(judge, path, reading))
    vocabulary = judge.model.vocabulary
    figures = measure_copying(vocabulary.lookup(text), train_ids, len(vocabulary))
    run = text[figures.text_place : figures.text_place + figures.longest]
    line = line_at(train_ids, figures.train_place, vocabulary) if figures.longest else None
    return Copied(figures, run, line)


def show_json(judges: Sequence[Judge], rows: Iterator[Row]) -> None:
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
            say(json.dumps(entry, ensure_ascii=False))


def show_files(judges: Sequence[Judge], rows: Iterator[Row]) -> None:
    """A table with a row for each file, written as the figures come."""
    heading(["characters", "unknown"], judges, "file")
    for row in rows:
        counts = [f"{most(row, 'characters'):,}", f"{most(row, 'unknown'):,}"]
        show_row(counts, judges, row, printable(row.file))
        for judge, copied in zip(judges, row.copied, strict=False):
            show_copied(judge, copied)
        explain(judges, row)


def show_lines(judges: Sequence[Judge], rows: Iterator[Row]) -> None:
    """A table for each file with a row for each line, written as the figures come."""
    file = None
    for row in rows:
        if row.file != file:
            file = row.file
            say(f"==> {printable(file)} <==")
            heading(["line", "unknown"], judges, "text")
        counts = [f"{row.number:,}", f"{most(row, 'unknown'):,}"]
        show_row(counts, judges, row, printable(row.text[:PREVIEW]))


def most(row: Row, count: str) -> int:
    """The largest of the models' counts."""
    return max(getattr(score, count) for score in row.scores)


def heading(counts: list[str], judges: Sequence[Judge], last: str) -> None:
    """The first line of a table."""
    write_line(counts, [name + " " for name in columns(judges)], judges, last)


def columns(judges: Sequence[Judge]) -> list[str]:
    """The names of the models' columns; a single model's is called bpc."""
    return [printable(judge.name) for judge in judges] if len(judges) > 1 else ["bpc"]


def show_row(counts: list[str], judges: Sequence[Judge], row: Row, last: str) -> None:
    """One line of a table, the lowest figure marked where there are several."""
    figures = [score.bpc for score in row.scores]
    known = [figure for figure in figures if figure is not None]
    best = min(known) if len(known) > 1 else None
    cells = [bits(figure) + (BEST if figure == best is not None else " ") for figure in figures]
    write_line(counts, cells, judges, last)


def write_line(
    counts: Sequence[str], figures: Sequence[str], judges: Sequence[Judge], last: str
) -> None:
    """Counts and figures in columns whose widths are known before the figures are."""
    widths = [COUNT, len("unknown")]
    widths += [max(FIGURE, len(name) + 1) for name in columns(judges)]
    cells = [*counts, *figures, last]
    say(line(cells, [*widths, 0], ">" * (len(cells) - 1) + "<"))


def show_copied(judge: Judge, copied: Copied) -> None:
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


def explain(judges: Sequence[Judge], row: Row) -> None:
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
