"""`textgen report` on real run directories, its parts, and the page in a real browser."""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from support.browser import CHROMIUM, browse
from support.commands import invoke_in, invoke_textgen
from support.small_run import HOLDOUT, STORY, TEXT, make_run
from support.tiny import write_tiny

from textgen.analysis.neurons import PROPERTIES, inside_quotes, tied_neurons
from textgen.config import ModelConfig
from textgen.generation.network import Network
from textgen.pages.plots import Line, line_plot
from textgen.pages.report import corpus_facts, read_log, read_samples
from textgen.storage.model_file import load_model
from textgen.storage.run_folder import RunText
from textgen.text.vocabulary import Vocabulary

LAST = ModelConfig(cell="gru", units=(10,), seq_length=12, targets="last")
RNN = ModelConfig(cell="rnn", units=(5, 4))
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>&\n"


class Page(HTMLParser):
    """The text and the elements of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def following_capitals(
    weights: Mapping[str, np.ndarray], vocabulary: Vocabulary
) -> dict[str, np.ndarray]:
    """An RNN's weights whose neuron 1:4 is below 0 for capitals and above 0 for all others."""
    made = {name: weight.copy() for name, weight in weights.items()}
    capital = np.array([c.isupper() for c in vocabulary.characters])
    made["layer_0/kernel"][:, 3] = np.where(capital, -2, 2)
    made["layer_0/recurrent_kernel"][:, 3] = 0
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with one run and its report, made once."""
    folder = tmp_path_factory.mktemp("report")
    make_run(folder)
    result = invoke_in(folder, "report")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "checkpoints/echo/report.html\n"
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    """That report."""
    return Page((folder / "checkpoints" / "echo" / "report.html").read_text("utf-8"))


def test_a_report_has_all_its_parts(page: Page) -> None:
    headings = ["How it learned", "What it wrote as it learned", "What surprises it"]
    headings += ["What its neurons follow", "Does it copy?", "The corpus", "Where it comes from"]
    places = [page.text.index(heading) for heading in headings]
    assert places == sorted(places)
    assert "The model is no better than a" in page.text
    assert "runaway-echo, 12,000 characters" in page.text
    assert "5e" * 32 in page.text
    for name in ("uniform", "unigram", "gram"):
        assert name in page.text


def test_a_neuron_that_follows_a_property_loosely_is_no_finding(page: Page) -> None:
    (loose,) = re.findall(r"No single neuron follows (.*)\.", page.text)
    weak = re.findall(r"\((-?[\d.]+) at best\)", loose)
    assert len(weak) == len(PROPERTIES)
    assert all(abs(float(correlation)) <= 0.5 for correlation in weak)
    assert "textgen inspect" not in page.text


def test_a_neuron_that_follows_a_property_is_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path, config=RNN)
    model = load_model(run.model)
    weights = following_capitals(model.weights, model.vocabulary)
    write_tiny(run.model, replace(model, weights=weights))
    assert invoke_in(tmp_path, "report", "-o", "page.html").returncode == 0
    text = Page((tmp_path / "page.html").read_text("utf-8")).text
    assert re.findall(r"(\w+ \w+): neuron (\d+:\d+)", text) == [("capital letters", "1:4")]
    assert "textgen inspect --model echo --neuron 1:4 FILE" in text
    (loose,) = re.findall(r"No single neuron follows (.*)\.", text)
    assert "capital letters" not in loose
    assert loose.count("at best") == len(PROPERTIES) - 1


def test_copied_lines_are_counted_beside_the_holdouts(page: Page) -> None:
    assert "whole lines" in page.text
    counts = re.findall(r"(\d+) of (\d+)", page.text[page.text.index("whole lines") :])
    assert len(counts) == 2
    assert all(int(copied) <= int(lines) for copied, lines in counts)
    assert int(counts[1][1]) > 40


def test_the_samples_are_those_of_the_run(page: Page) -> None:
    for number in (1, 2, 3):
        assert f"After evaluation {number}" in page.text
        assert TEXT[number * 100 : number * 100 + 90] in page.text


def test_a_report_asks_for_nothing_from_a_network(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)


def test_figures_are_described_for_those_who_do_not_see_them(page: Page) -> None:
    plots = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(plots) == 3
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    (text,) = [a for t, a in page.elements if t == "pre" and "tabindex" in a]
    assert "Arrow keys" in (text["aria-label"] or "")


def test_the_report_of_a_window_model(tmp_path: Path) -> None:
    make_run(tmp_path, config=LAST)
    result = invoke_in(tmp_path, "report", "echo", "-o", "page.html")
    assert result.returncode == 0, result.stderr
    assert "What its neurons follow" in (tmp_path / "page.html").read_text("utf-8")


def test_a_corpus_that_holds_markup_stays_text(tmp_path: Path) -> None:
    run = make_run(
        tmp_path,
        name="<b>bold",
        text=(HOSTILE + STORY[:150]) * 60,
        corpus=[{"name": "<script>alert(1)</script>", "sha256": "x", "characters": 5}],
        versions={"<img src=y>": "<i>"},
        preset="<u>",
        baselines={"<svg onload=alert(1)>": 3.0, "5-gram": 2.5},
    )
    (run.samples / "evaluation-0004.txt").write_text(HOSTILE)
    result = invoke_in(tmp_path, "report", "-o", "page.html")
    assert result.returncode == 0, result.stderr
    page = Page((tmp_path / "page.html").read_text("utf-8"))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 2  # the data of the heat-map and our own
    assert not {"img", "u"} & set(tags)
    assert not any("onload" in attributes for _, attributes in page.elements)
    assert HOSTILE in page.text


def test_a_model_file_alone_has_a_shorter_report(folder: Path, tmp_path: Path) -> None:
    model = (folder / "checkpoints" / "echo" / "model.keras").read_bytes()
    (tmp_path / "moved.keras").write_bytes(model)
    result = invoke_in(tmp_path, "report", "moved.keras", "-o", "page.html")
    assert result.returncode == 0, result.stderr
    text = Page((tmp_path / "page.html").read_text("utf-8")).text
    assert "There is no log.csv" in text
    assert "Does it copy?" not in text


def test_a_damaged_log_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"evaluation,val_loss,train_loss\n1,2.5,nan\n2,oops\n\xff\xfe,1e999,3\n")
    rows = [{"evaluation": 1.0, "val_loss": 2.5}, {"evaluation": 2.0}, {"train_loss": 3.0}]
    assert read_log(path) == rows
    assert read_log(tmp_path / "nowhere.csv") == []
    (tmp_path / "evaluation-0001.txt").write_bytes(b"caf\xff")
    (tmp_path / "evaluation-last.txt").write_bytes(b"not one")
    (first,) = read_samples(tmp_path, read_log(path))
    assert (first.number, first.bits) == (1, pytest.approx(3.61, abs=0.005))


def test_log_and_samples_of_earlier_versions_are_read(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("epoch,passes,val_loss\n1,0.5,2.5\n2,1.0,2.0\n")
    (tmp_path / "epoch-0001.txt").write_text("one")
    (tmp_path / "evaluation-0002.txt").write_text("two")
    found = read_samples(tmp_path, read_log(tmp_path / "log.csv"))
    assert [(item.number, item.sample) for item in found] == [(1, "one"), (2, "two")]
    assert [item.bits for item in found] == pytest.approx([3.61, 2.89], abs=0.005)


def test_corpus_facts_are_counted() -> None:
    text = "aab\tb\nb\N{SNOWMAN}" + "ab" * 20
    vocabulary = Vocabulary("".join(sorted(set(text))))
    ids = vocabulary.encode(text)
    facts = corpus_facts(RunText(ids[:10], ids[10:]), vocabulary)
    assert (facts.characters, facts.lines) == (len(text), 1)
    assert [(item.shown, item.count) for item in facts.ranked[:2]] == [("b", 23), ("a", 22)]
    assert {item.shown for item in facts.rare} == {"\\t", "↵", "☃"}
    assert any("SNOWMAN" in item.name for item in facts.rare)
    shares = np.array([23, 22, 1, 1, 1]) / 48
    assert facts.entropy == pytest.approx(-(shares * np.log2(shares)).sum())


def test_inside_quotes() -> None:
    text = 'She said "no" and “yes”\n\n"unclosed\n\nafter'
    inside = "".join(c for c, value in zip(text, inside_quotes(text), strict=True) if value)
    assert inside == '"no“yes"unclosed\n'


def test_places_in_the_line_and_in_the_word() -> None:
    assert PROPERTIES["place in the line"]("ab\nc").tolist() == [1, 2, 0, 1]
    assert PROPERTIES["place in the word"]("ab, c").tolist() == [1, 2, 0, 0, 1]


def test_a_neuron_that_was_built_to_follow_capitals_is_found() -> None:
    text = STORY[:6000]
    vocabulary = Vocabulary("".join(sorted(set(text))))
    config = RNN
    generator = np.random.default_rng(2)
    shapes = config.weight_shapes(len(vocabulary))
    weights = {n: generator.normal(0, 0.3, s).astype("f4") for n, s in shapes.items()}
    weights = following_capitals(weights, vocabulary)
    ties = tied_neurons(Network(config, weights), vocabulary.encode(text), text)
    (tie,) = [tie for tie in ties if tie.name == "capital letters"]
    assert (tie.neuron.layer, tie.neuron.unit) == (1, 4)
    assert tie.correlation < -0.99
    assert not tie.weak
    assert any(character.isupper() for character in tie.text)
    assert len(tie.values) == len(tie.text)


def test_a_text_without_a_property_has_no_neuron_for_it() -> None:
    text = "only small letters here " * 100
    vocabulary = Vocabulary("".join(sorted(set(text))))
    config = ModelConfig(units=(4,))
    shapes = config.weight_shapes(len(vocabulary))
    network = Network(config, {name: np.full(s, 0.1, "f4") for name, s in shapes.items()})
    names = {tie.name for tie in tied_neurons(network, vocabulary.encode(text), text)}
    assert names == {"place in the word", "vowels"}


def test_a_text_shorter_than_the_window_has_no_neurons() -> None:
    text = 'She said "No."'
    vocabulary = Vocabulary("".join(sorted(set(text))))
    config = ModelConfig(units=(4,), seq_length=40, targets="last")
    shapes = config.weight_shapes(len(vocabulary))
    network = Network(config, {name: np.full(s, 0.1, "f4") for name, s in shapes.items()})
    with np.errstate(all="raise"):
        assert tied_neurons(network, vocabulary.encode(text), text) == []


def test_a_plot_takes_its_ink_from_the_page_and_is_the_same_each_time() -> None:
    lines = [Line("<a>", [1, 2], [3.0, float("nan")]), Line("b", [1, 2], [2.0, 1.5])]
    svg = line_plot("Loss & <more>", "x", lines, {"5-gram": 2.4}, log=True)
    assert svg == line_plot("Loss & <more>", "x", lines, {"5-gram": 2.4}, log=True)
    assert svg.startswith('<svg role="img" aria-label="Loss &amp; &lt;more&gt;"')
    assert "currentColor" in svg
    assert "5-gram" in svg
    assert not re.search(r"<svg[^>]* width=", svg)
    assert "<a>" not in svg


def test_report_loads_no_machine_learning_library(folder: Path) -> None:
    code = (
        "import sys\nfrom textgen.cli import main\n"
        "main(['report', '-o', 'lean.html'], standalone_mode=False)\n"
        "bad = {'tensorflow', 'keras', 'h5py', 'nltk', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    result = invoke_in(folder, "report", "-o", "no/such/folder/page.html")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: Could not write")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to look at the page with")
def test_a_browser_shows_the_report_and_runs_nothing_from_the_corpus(tmp_path: Path) -> None:
    make_run(tmp_path, text=(HOSTILE + STORY[:150]) * 60)
    assert invoke_in(tmp_path, "report", "-o", "page.html").returncode == 0
    dom = browse(tmp_path / "page.html", tmp_path / "profile")
    assert "<title>echo: a textgen run</title>" in dom
    assert "heatmap explained ready" in dom
    assert "<img" not in dom


def test_the_hold_out_of_a_small_run_is_shown(page: Page) -> None:
    shown = page.text.replace("↵\n", "\n")
    assert TEXT[-HOLDOUT : -HOLDOUT + 500] in shown


def test_a_report_links_to_the_page_that_writes_where_both_lie_together(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for arguments in ((), ("-o", "elsewhere.html")):
        (run.path / "page.html").write_text("")
        assert invoke_textgen("report", *arguments, cwd=tmp_path).returncode == 0
    together, elsewhere = run.path / "report.html", tmp_path / "elsewhere.html"
    assert '<a href="page.html">' in together.read_text("utf-8")
    assert "page.html" not in elsewhere.read_text("utf-8")
    assert "textgen page echo" in elsewhere.read_text("utf-8")
