"""The report on a run: one self-contained page on what it learned and from what."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textgen.analysis.baselines import sentences
from textgen.analysis.copying import (
    SHORTEST_LINE,
    WARMTH,
    count_copied_items,
    count_copied_lines,
    line_at,
    measure_copying,
)
from textgen.analysis.inspection import inspect
from textgen.analysis.neurons import tied_neurons
from textgen.generation.mixing import Part
from textgen.generation.network import Network
from textgen.generation.sampling import Sample, Settings, whole_texts
from textgen.messages import bits, note, quoted, shown, visible
from textgen.pages.pages import Heatmap, activity_colours, heatmap, render
from textgen.pages.plots import Line, line_plot
from textgen.storage.model_file import Model
from textgen.storage.plain import read_plain
from textgen.storage.provenance import Provenance
from textgen.storage.run_folder import RunDirectory, RunText, model_argument, read_run_text
from textgen.text.vocabulary import Vocabulary, describe

PASSAGE = 1200  # characters of the heat-map
GUESSES = 5
# Characters in which neurons are followed; windows cost seq_length steps each.
FOLLOWED = {"every": 20_000, "last": 2_000}
WRITTEN = (4, 1000)  # texts, and characters each, that are searched for copies
SAMPLES = 500  # that are shown at most,
SAMPLE_LIMIT = 4000  # and characters of each
MAX_LOG = 1 << 22  # bytes of log.csv
MAX_FIGURE = 1e15  # in log.csv; a greater one is no measurement
CHARACTER_LIMIT = 300  # characters of the vocabulary that are listed
RARE = 10  # a character that occurs less often is rare
RARE_LIMIT = 20
COUNTED = 1 << 22  # ids counted at a time
RENAMED = {"epoch": "evaluation"}  # columns of log.csv in earlier versions


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: its number, its hold-out loss in bits, and what the model wrote."""

    number: int
    bits: float | None
    sample: str


@dataclass(frozen=True)
class Character:
    """A character of the corpus: as shown, its full name, and how often it occurs."""

    shown: str
    name: str
    count: int


@dataclass(frozen=True)
class Corpus:
    """Facts on the whole text.

    Attributes:
        characters: its length.
        lines: how many newlines it has.
        entropy: bits per character by frequency alone.
        ranked: its characters, commonest first.
    """

    characters: int
    lines: int
    entropy: float
    ranked: list[Character]

    @property
    def listed(self) -> list[Character]:
        """As many characters as are listed."""
        return self.ranked[:CHARACTER_LIMIT]

    @property
    def rare(self) -> list[Character]:
        """The rarest characters, rarest first."""
        return [item for item in reversed(self.ranked) if item.count < RARE][:RARE_LIMIT]


@dataclass(frozen=True)
class Shared:
    """What a text has verbatim from the training text.

    Attributes:
        name: which text.
        longest: length of the longest run.
        run: that run.
        place: where it stands in the training text.
        shares: of its n-grams, by n.
        lines: how many whole lines it has that are long enough to count.
        copied_lines: how many of them stand in the training text as they are.
    """

    name: str
    longest: int
    run: str
    place: str
    shares: dict[int, float | None]
    lines: int
    copied_lines: int


@dataclass(frozen=True)
class Follower:
    """A property, the neuron that follows it best, and a part of the text in its colours."""

    name: str
    neuron: str
    correlation: float
    weak: bool
    map: Heatmap


def report_page(path: Path, model: Model, output: Path) -> str:
    """The page on a run.

    Args:
        path: the run's model file; log, samples and text lie beside it.
        model: what it holds.
        output: where the page will be; in the run's folder it links to the page that writes.
    """
    run = RunDirectory(path.parent)
    provenance = Provenance.read(model.provenance)
    text = read_run_text(path, model)
    network = Network(model.config, dict(model.weights))
    history = read_log(run.log)
    return render(
        "report.html",
        name=run.name,
        argument=quoted(model_argument(path)),
        model=model,
        provenance=provenance,
        parameters=model.parameters,
        sentences=sentences(provenance),
        plots=plots(history, provenance.baselines),
        speed=history[-1].get("chars_per_second") if history else None,
        evaluations=read_samples(run.samples, history),
        corpus=corpus_facts(text, model.vocabulary) if text else None,
        shared=shared_texts(network, model, text) if text else [],
        copied_items=count_copied_items(Part(path, model, network)),
        written=WRITTEN[0] * WRITTEN[1],
        temperature=warmth(model),
        shortest_line=SHORTEST_LINE,
        map=holdout_map(network, model.vocabulary, text) if text else None,
        ties=followers(network, model.vocabulary, text) if text else [],
        settings=settings(model),
        page=output.parent == path.parent and output.with_name("page.html").is_file(),
    )


def read_log(path: Path) -> list[dict[str, float]]:
    """The rows of log.csv: figures by column; what is not a number is left out.

    A column that used to have another name is found under today's.
    """
    text = (read_plain(path, MAX_LOG) or b"").decode("utf-8", "replace")
    try:
        rows = [
            {RENAMED.get(name, name): _number(value) for name, value in row.items()}
            for row in csv.DictReader(io.StringIO(text, newline=""))
        ]
    except csv.Error as error:
        note(f"{shown(path)} is left out: {error}.")
        return []
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 <= number <= MAX_FIGURE else None


def plots(history: Sequence[dict[str, float]], baselines: dict[str, float]) -> list[str]:
    """The curves of a run as SVG: loss with the baselines, learning rate, speed."""
    if not history:
        return []
    passes = column(history, "passes")
    losses = [
        Line(name, passes, [bits(nats) for nats in column(history, figure)])
        for name, figure in (("training", "train_loss"), ("hold-out", "val_loss"))
    ]
    rate = Line("learning rate", passes, column(history, "learning_rate"))
    speed = Line("speed", passes, column(history, "chars_per_second"))
    unit = "passes over the text"
    return [
        line_plot("Loss, bits per character", unit, losses, baselines, log=True),
        line_plot("Learning rate", unit, [rate]),
        line_plot("Characters trained per second", unit, [speed]),
    ]


def column(history: Sequence[dict[str, float]], name: str) -> list[float]:
    """One figure of each evaluation; NaN where the log has none."""
    return [row.get(name, math.nan) for row in history]


def read_samples(folder: Path, history: Sequence[dict[str, float]]) -> list[Evaluation]:
    """What the model wrote after each evaluation, beginning with the first.

    Earlier versions wrote `epoch-0001.txt` for `evaluation-0001.txt`.
    """
    losses = {row.get("evaluation"): row.get("val_loss") for row in history}
    evaluations = []
    for number, path in sample_files(folder):
        data = read_plain(path, 4 * SAMPLE_LIMIT)
        if data is not None:
            loss = losses.get(float(number))
            cost = None if loss is None else bits(loss)
            sample = data.decode("utf-8", "replace")[:SAMPLE_LIMIT]
            evaluations.append(Evaluation(number, cost, sample))
    return evaluations


def sample_files(folder: Path) -> list[tuple[int, Path]]:
    """The samples in a run by the number of their evaluation; of very many, some."""
    if folder.is_symlink():
        note(f"{shown(folder)} is left out: it is a link.")
        return []
    found = {}
    for path in sorted(folder.glob("e*-*.txt")):
        kind, _, number = path.stem.partition("-")
        if kind in ("epoch", "evaluation") and number.isdecimal():
            found[int(number)] = path
    newest_first = sorted(found.items(), reverse=True)
    return newest_first[:: 1 + len(found) // SAMPLES][::-1]


def corpus_facts(text: RunText, vocabulary: Vocabulary) -> Corpus:
    """Count the characters of the whole text."""
    counts = np.zeros(len(vocabulary), dtype=np.int64)
    for part in (text.train, text.holdout):
        for start in range(0, len(part), COUNTED):
            counts += np.bincount(part[start : start + COUNTED], minlength=len(vocabulary))
    shares = counts[counts > 0] / counts.sum()
    ranked = [
        Character(visible(character), describe(character), int(counts[place]))
        for place in np.argsort(-counts, kind="stable").tolist()
        if (character := vocabulary.characters[place])
    ]
    newline = int(vocabulary.lookup("\n")[0])
    lines = int(counts[newline]) if newline < len(counts) else 0
    return Corpus(int(counts.sum()), lines, float(-(shares * np.log2(shares)).sum()), ranked)


def warmth(model: Model) -> float:
    """The temperature of the text that is searched for copies."""
    return model.sampling.temperatures[0] or WARMTH


def shared_texts(network: Network, model: Model, text: RunText) -> list[Shared]:
    """What fresh text and, to compare, the hold-out have verbatim from the training text."""
    count, length = WRITTEN
    samples = [Sample(index, warmth(model), length, seed=0) for index in range(count)]
    prompt = model.vocabulary.encode(model.default_prompt)
    settings = Settings(model.vocabulary.characters)
    written = whole_texts(network, prompt, samples, settings)
    holdout = [model.vocabulary.decode(text.holdout[: count * length])]
    return [
        shared("text that it writes", written, text, model.vocabulary),
        shared("hold-out, to compare", holdout, text, model.vocabulary),
    ]


def shared(name: str, texts: Sequence[str], text: RunText, vocabulary: Vocabulary) -> Shared:
    """What some texts have verbatim from the training text."""
    written = "".join(texts)
    found = measure_copying(vocabulary.encode(written), text.train, len(vocabulary))
    line = line_at(text.train, found.train_place, vocabulary)
    return Shared(
        name,
        found.longest,
        written[found.text_place : found.text_place + found.longest],
        f"line {line:,}" if line else f"character {found.train_place + 1:,}",
        found.shares,
        *count_copied_lines(texts, text.train, vocabulary),
    )


def holdout_map(network: Network, vocabulary: Vocabulary, text: RunText) -> Heatmap:
    """The surprisal of the hold-out's beginning."""
    passage = vocabulary.decode(text.holdout[:PASSAGE])
    found = list(inspect(network, vocabulary, [passage], GUESSES))
    return heatmap(vocabulary, found, "The beginning of the hold-out")


def followers(network: Network, vocabulary: Vocabulary, text: RunText) -> list[Follower]:
    """The neurons that follow properties of the hold-out best."""
    ids = text.holdout[: FOLLOWED[network.config.targets]]
    return [
        Follower(
            tie.name,
            str(tie.neuron),
            tie.correlation,
            tie.weak,
            Heatmap(
                f"Text in the colours of neuron {tie.neuron}",
                list(zip(tie.text, activity_colours(tie.values), strict=True)),
                None,
            ),
        )
        for tie in tied_neurons(network, ids, vocabulary.decode(ids))
    ]


def settings(model: Model) -> list[tuple[str, str]]:
    """Name and value of each setting that made the model."""
    train = model.provenance.get("train")
    values: dict[str, Any] = {
        **asdict(model.config),
        **(train if isinstance(train, dict) else {}),
        **{f"cleaning: {name}": value for name, value in asdict(model.cleaning).items()},
    }
    return [(name.replace("_", " "), setting_text(value)) for name, value in values.items()]


def setting_text(value: Any) -> str:
    """A setting's value, for a person."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
