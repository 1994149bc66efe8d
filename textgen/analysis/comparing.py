"""Texts compared under models: files and lines with their scores, and what they copy."""

import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textgen.analysis.copying import Copying, line_at, measure_copying
from textgen.analysis.pairing import Pieces, Standing, standings
from textgen.analysis.scoring import Score, score_lines, score_text
from textgen.corpus.sources import open_sources, stdin
from textgen.errors import TextgenError
from textgen.generation.network import Network
from textgen.messages import note, printable
from textgen.storage.model_file import Model, load_model
from textgen.storage.run_folder import find_model, model_name, read_run_text

STDIN = "-"


@dataclass(frozen=True)
class Scorer:
    """A model that texts are scored with."""

    name: str
    path: Path
    model: Model
    network: Network


@dataclass(frozen=True)
class Reading:
    """How files are read: the options of that name."""

    encoding: str = "utf-8"
    keep_boilerplate: bool = False


@dataclass(frozen=True)
class Copied:
    """What a file has from a training text: figures, the longest run, and its line there."""

    figures: Copying
    run: str
    line: int | None


@dataclass(frozen=True)
class Row:
    """A file or one of its lines, with its score under each model, and what it copies.

    A file has `standings` where there are several models.
    """

    file: str
    scores: list[Score]
    standings: Sequence[Standing] = ()
    number: int | None = None
    text: str = ""
    copied: Sequence[Copied] = ()


@dataclass(frozen=True)
class Comparison:
    """Models, and the rows of their figures as they are measured."""

    scorers: list[Scorer]
    rows: Generator[Row]


def compare(
    files: Sequence[str],
    models: Sequence[str] = (),
    by_line: bool = False,
    with_copying: bool = False,
    corpus: str | None = None,
    reading: Reading = Reading(),
) -> Comparison:
    """Measure files under models.

    Args:
        files: paths and other sources; `-` is stdin.
        models: names of runs, folders or files; the newest run if there are none.
        by_line: whether each line has a row of its own.
        with_copying: whether to find what each file has from the training texts.
        corpus: source of the training text, where it is not beside the model.
        reading: how files are read.

    Raises:
        TextgenError: a model, a training text or (from the rows) a file cannot be used.
    """
    scorers = load_scorers(models)
    if len({scorer.model.cleaning for scorer in scorers}) > 1:
        note("These models clean texts differently, so the comparison is only rough.")
    if by_line:
        refuse_joined_lines(scorers)
    texts = [training_text(scorer, corpus, reading) for scorer in scorers] if with_copying else []
    return Comparison(scorers, _rows(scorers, files, by_line, texts, reading))


def _rows(
    scorers: Sequence[Scorer],
    files: Sequence[str],
    by_line: bool,
    texts: Sequence[np.ndarray],
    reading: Reading,
) -> Generator[Row]:
    with readable(files, len(scorers) + len(texts)) as paths:
        named = list(zip(files, paths, strict=True))
        if by_line:
            yield from rows_of_lines(scorers, named, reading)
        else:
            yield from rows_of_files(scorers, named, reading, texts)


def load_scorers(models: Sequence[str | None]) -> list[Scorer]:
    """The models that are named, or the newest one.

    Raises:
        TextgenError: one is missing or damaged.
    """
    scorers = []
    for name in models or (None,):
        path = find_model(name)
        model = load_model(path)
        network = Network(model.config, dict(model.weights))
        scorers.append(Scorer(name or model_name(path), path, model, network))
    return scorers


def refuse_joined_lines(scorers: Sequence[Scorer]) -> None:
    """Refuse a model whose cleaning joins the lines.

    Raises:
        TextgenError: one does.
    """
    for scorer in scorers:
        if scorer.model.cleaning.tokenize:
            raise TextgenError(
                f"The model {printable(scorer.name)} reads tokenized text, which has no lines. "
                "Leave out --lines, or choose another --model."
            )


@contextmanager
def readable(files: Sequence[str], times: int) -> Iterator[list[str]]:
    """The files, so that each can be read several times: stdin and pipes are kept on disk."""
    if times == 1:
        yield list(files)
        return
    with tempfile.TemporaryDirectory(prefix="textgen-") as folder:
        yield [_lasting(name, Path(folder) / str(number)) for number, name in enumerate(files)]


def _lasting(name: str, copy: Path) -> str:
    """A file that can be read again: the one of this name, or a copy of stdin or a pipe."""
    if name != STDIN and not Path(name).is_fifo():
        return name
    with copy.open("wb") as file:
        if name == STDIN:
            shutil.copyfileobj(stdin(), file)
        else:
            with Path(name).open("rb") as pipe:
                shutil.copyfileobj(pipe, file)
    return str(copy)


def rows_of_files(
    scorers: Sequence[Scorer],
    files: Sequence[tuple[str, str]],
    reading: Reading,
    texts: Sequence[np.ndarray],
) -> Iterator[Row]:
    """Measure each file under each model, and against its training text if there are `texts`."""
    for name, path in files:
        pieces = [Pieces() for _ in scorers]
        scores = [
            score_text(
                scorer.network, scorer.model.vocabulary, opened(scorer, path, reading), parts
            )
            for scorer, parts in zip(scorers, pieces, strict=True)
        ]
        both = zip(scorers, texts, strict=False)
        copied = [copied_from(scorer, text, path, reading) for scorer, text in both]
        ranked = standings([score.bpc for score in scores], pieces) if len(scores) > 1 else ()
        yield Row(name, scores, ranked, copied=copied)


def rows_of_lines(
    scorers: Sequence[Scorer], files: Sequence[tuple[str, str]], reading: Reading
) -> Iterator[Row]:
    """Measure each line of each file under each model; the models go through it together."""
    for name, path in files:
        scored = [
            score_lines(scorer.network, scorer.model.vocabulary, opened(scorer, path, reading))
            for scorer in scorers
        ]
        for number, lines in enumerate(zip(*scored, strict=True), 1):
            yield Row(name, [score for _, score in lines], number=number, text=lines[0][0])


def opened(scorer: Scorer, path: str, reading: Reading) -> Iterator[str]:
    """A file's text, cleaned as the model's training text was."""
    cleaning = scorer.model.cleaning
    return open_sources([path], cleaning, reading.encoding, reading.keep_boilerplate)


def training_text(scorer: Scorer, corpus: str | None, reading: Reading) -> np.ndarray:
    """Ids of the text that a model learned from: the run's, or that of `corpus`.

    Raises:
        TextgenError: it is not beside the model and is not given.
    """
    if corpus is not None:
        chunks = opened(scorer, corpus, reading)
        return np.concatenate([scorer.model.vocabulary.lookup(chunk) for chunk in chunks])
    text = read_run_text(scorer.path, scorer.model)
    if text is None:
        raise TextgenError(
            f"The training text of {printable(scorer.name)} is not beside its model. "
            "Give it with --corpus."
        )
    return text.train


def copied_from(scorer: Scorer, train_ids: np.ndarray, path: str, reading: Reading) -> Copied:
    """What a file has verbatim from a training text."""
    text = "".join(opened(scorer, path, reading))
    vocabulary = scorer.model.vocabulary
    figures = measure_copying(vocabulary.lookup(text), train_ids, len(vocabulary))
    run = text[figures.text_place : figures.text_place + figures.longest]
    line = line_at(train_ids, figures.train_place, vocabulary) if figures.longest else None
    return Copied(figures, run, line)
