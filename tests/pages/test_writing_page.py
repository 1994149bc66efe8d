"""The page that writes: its HTML, and the page in a real browser."""

import json
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from support.browser import CHROMIUM, Tab, browser
from support.engine import greedy_text
from support.small_run import STORY, make_run
from support.tiny import tiny_model

from textgen.config import ModelConfig
from textgen.errors import TextgenError
from textgen.generation.continuation import read_prompt
from textgen.generation.network import Network
from textgen.generation.prompt import make_prompt
from textgen.pages.quantize import pack
from textgen.pages.writing_page import MAX_BYTES, check_size, page_data, writing_page
from textgen.storage.model_file import Model, load_model
from textgen.storage.run_folder import RunDirectory

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>&\n"
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")


class Page(HTMLParser):
    """The elements and the text of a page; the contents of its scripts by their id."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str | None, str] = {}
        self.text = ""
        self._inside = "body"
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        """Leave a script."""
        if tag == self._inside:
            self._inside = "body"

    def handle_data(self, data: str) -> None:
        """Note text, or what a script is."""
        if self._inside == "script":
            self.scripts[self.elements[-1][1].get("id")] = data
        elif self._inside == "body":
            self.text += data


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run whose every word is hostile."""
    return make_run(
        tmp_path_factory.mktemp("page"),
        name="<b>bold",
        text=(HOSTILE + STORY[:150]) * 60,
        corpus=[{"name": "<script>document.title='owned'</script>", "characters": 5}],
        baselines={"5-gram": 2.5},
        seconds=754.0,
    )


@pytest.fixture(scope="module")
def html(run: RunDirectory) -> str:
    """Its page."""
    return writing_page(run.model, load_model(run.model))


def test_a_page_says_what_the_model_is(html: str) -> None:
    text = " ".join(Page(html).text.split())
    assert "<b>bold" in text
    assert "<script>document.title='owned'</script>, 5 characters" in text
    assert "The model is no better than a 5-gram on the hold-out" in text
    assert "for 13 minutes" in text
    assert "The longest run of characters that it wrote" in text
    assert "LSTM of 12 and 8 units; it knows" in text


def test_a_page_asks_for_nothing_and_runs_one_script(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form", "img", "b"}
        assert not {"src", "href", "action", "style", "onerror"} & set(attributes), (
            tag,
            attributes,
        )
    assert list(page.scripts) == ["model", "engine", "weights", None]
    kinds = [attributes.get("type") for tag, attributes in page.elements if tag == "script"]
    assert kinds == ["application/json", "text/plain", "text/plain", None]


def test_a_model_file_alone_has_a_page_without_the_text_beside_it(
    run: RunDirectory, tmp_path: Path
) -> None:
    (tmp_path / "moved.keras").write_bytes(run.model.read_bytes())
    made = writing_page(tmp_path / "moved.keras", load_model(run.model))
    assert "Does it copy?" not in made
    assert "moved.keras" in Page(made).text


def test_a_model_that_says_nothing_of_itself_has_a_page(tmp_path: Path) -> None:
    model = replace(tiny_model(), provenance={})
    text = Page(writing_page(tmp_path / "a.keras", model)).text
    assert "Network" in text
    assert "Learned from" not in text


def test_two_models_keep_their_drafts_apart() -> None:
    hashes = {
        page_data("a", model, pack(model.weights, 8))["hash"]
        for model in (tiny_model(), tiny_model(), tiny_model(seed=1), tiny_model(characters="abc"))
    }
    assert len(hashes) == 3


def test_a_page_that_would_be_too_large_is_refused(tmp_path: Path) -> None:
    check_size(tmp_path / "m.keras", 3 * MAX_BYTES // 4)
    with pytest.raises(TextgenError, match=r"would be 65 MB large, more than 64 MB\. Use --force"):
        check_size(tmp_path / "m.keras", 3 * 65_000_000 // 4)


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    """A real browser."""
    with browser(tmp_path / "profile") as opened:
        yield opened


def opened(tab: Tab, path: Path, model: Model, name: str = "page.html") -> None:
    """Write a model's page and open it."""
    page = path / name
    page.write_text(writing_page(path / "model.keras", model), "utf-8", "replace")
    tab.open(page)
    tab.until("document.body.dataset.ready !== undefined")


def calm(config: ModelConfig) -> Model:
    """A model of random weights that knows the story's characters."""
    model = tiny_model(config, "".join(sorted(set(STORY))), seed=3)
    weights = {
        name: weight * np.float32(0.4) if "recurrent" in name else weight
        for name, weight in model.weights.items()
    }
    return replace(model, weights=weights, default_prompt=STORY[: config.seq_length])


@needs_browser
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("targets", ["every", "last"])
def test_a_browser_writes_what_the_command_writes(
    tab: Tab, tmp_path: Path, cell: str, targets: str
) -> None:
    model = calm(ModelConfig(cell=cell, units=(20, 11), seq_length=10, targets=targets))
    opened(tab, tmp_path, model)
    weights = pack(model.weights, 8).weights
    ids = make_prompt(model, "The wood", "error").ids
    chances = np.exp(read_prompt(Network(model.config, weights), ids).logits[0], dtype=np.float64)
    order = "textgen.generate({ prompt: 'The wood', length: 500, temperature: 0 })"
    assert tab.run(order) == greedy_text(model, weights, "The wood")
    found = tab.run("textgen.next('The wood')")
    expected = dict(zip(model.vocabulary.characters, chances / chances.sum(), strict=True))
    assert dict(found) == pytest.approx(expected, abs=1e-4)
    assert [chance for _, chance in found] == sorted((c for _, c in found), reverse=True)
    assert tab.logged == []


@needs_browser
def test_a_seed_gives_the_same_text_again_and_another_one_another(tab: Tab, tmp_path: Path) -> None:
    opened(tab, tmp_path, calm(ModelConfig(units=(8,), seq_length=10)))
    texts = [
        tab.run(f"textgen.generate({{ length: 80, temperature: 1, seed: {s} }})") for s in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    for wrong in ("length: -1", "length: 1.5", "temperature: NaN", "seed: 'x'"):
        message = tab.run(f"textgen.generate({{ {wrong} }}).catch((error) => error.name)")
        assert message == "RangeError"


@needs_browser
def test_a_hostile_model_runs_nothing_in_a_browser(
    tab: Tab, run: RunDirectory, html: str, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(html, "utf-8")
    tab.open(tmp_path / "page.html")
    tab.until("document.body.dataset.ready !== undefined")
    assert tab.run("document.title") == "<b>bold: a model that writes"
    assert tab.run("document.querySelector('h1').textContent") == "<b>bold"
    tab.run("document.getElementById('text').focus()")
    tab.type(HOSTILE)
    tab.run("document.getElementById('colours').click()")
    tab.until("document.querySelectorAll('#mirror span').length > 3")
    assert tab.run("document.querySelectorAll('img, script').length") == 3  # ours; weights went
    shown = [address for address in tab.asked if not address.startswith(("file:", "blob:"))]
    assert shown == []
    assert tab.logged == []


VALUE = "document.getElementById('text').value"
OFFERED = "!document.querySelector('#choices button').disabled"


@needs_browser
def test_writing_with_the_keyboard_alone(tab: Tab, tmp_path: Path) -> None:
    opened(tab, tmp_path, calm(ModelConfig(units=(8,), seq_length=10)))
    tab.run("document.getElementById('text').focus()")
    tab.type("The wood")
    tab.press("Enter", ctrl=True)
    tab.until(OFFERED)
    texts = tab.run("[...document.querySelectorAll('#choices button')].map((b) => b.textContent)")
    assert len(set(texts)) == 3
    assert all(texts)
    tab.press("ArrowDown")
    tab.press("Enter")
    taken = tab.run(VALUE)
    assert taken == "The wood" + texts[1].replace("↵", "\n")
    assert tab.run("document.activeElement.id") == "text"
    tab.press("z", ctrl=True)
    assert tab.run(VALUE) == "The wood"
    tab.press("z", ctrl=True)
    assert tab.run(VALUE) == ""
    tab.press("z", ctrl=True, shift=True)
    tab.press("z", ctrl=True, shift=True)
    assert tab.run(VALUE) == taken
    tab.press("z", ctrl=True)
    tab.press("Enter", ctrl=True, shift=True)
    tab.until(f"{VALUE}.length > 40")
    tab.press("Escape")
    length = len(tab.run(VALUE))
    tab.type("!")
    assert tab.run(VALUE)[length:] == "!"
    tab.press("Enter", ctrl=True)
    tab.until(OFFERED)
    tab.press("Escape")
    assert tab.run("document.activeElement.id") == "text"


@needs_browser
def test_the_seed_makes_the_same_continuations_and_moves_on(tab: Tab, tmp_path: Path) -> None:
    opened(tab, tmp_path, calm(ModelConfig(units=(8,), seq_length=10)))
    offers = []
    for seed in (7, 7, 8):
        tab.run(f"document.getElementById('seed').value = {seed}")
        tab.run("document.getElementById('offer').click()")
        tab.until(OFFERED)
        offers.append(
            tab.run("[...document.querySelectorAll('#choices button')].map((b) => b.textContent)")
        )
        assert tab.run("document.getElementById('seed').value") == str(seed + 1)
    assert offers[0] == offers[1] != offers[2]


@needs_browser
def test_a_continuation_is_put_where_the_cursor_is(tab: Tab, tmp_path: Path) -> None:
    opened(tab, tmp_path, calm(ModelConfig(units=(8,), seq_length=10)))
    tab.run("document.getElementById('text').focus()")
    tab.type("one two")
    tab.run("document.getElementById('text').setSelectionRange(3, 3)")
    tab.press("Enter", ctrl=True)
    tab.until(OFFERED)
    tab.press("Enter")
    value = tab.run(VALUE)
    assert value.startswith("one")
    assert value.endswith(" two")
    assert len(value) > 7


@needs_browser
def test_a_draft_survives_closing_the_page(tab: Tab, tmp_path: Path) -> None:
    model = calm(ModelConfig(units=(8,), seq_length=10))
    opened(tab, tmp_path, model)
    tab.run("document.getElementById('text').focus()")
    tab.type("A draft </textarea>.")
    tab.open(tmp_path / "page.html")
    tab.until(f"{VALUE} === 'A draft </textarea>.'")
    opened(tab, tmp_path, calm(ModelConfig(units=(9,), seq_length=10)), "other.html")
    assert tab.run(VALUE) == ""


@needs_browser
def test_the_bars_are_about_the_cursor(tab: Tab, tmp_path: Path) -> None:
    model = calm(ModelConfig(units=(8,), seq_length=10))
    opened(tab, tmp_path, model)
    likeliest = "document.querySelector('#bars .name').textContent"
    names = {" ": "space", "\n": "new line"}
    tab.run("document.getElementById('text').focus()")
    for text in ("The", " wood was", " d"):
        tab.type(text)
        best = tab.run(f"textgen.next({VALUE})")[0][0]
        tab.until(f"{likeliest} === {json.dumps(names.get(best, best))}")


@needs_browser
@pytest.mark.parametrize("width", [320, 1200])
def test_nothing_is_wider_than_the_window(tab: Tab, tmp_path: Path, width: int) -> None:
    tab.look(width, 800)
    opened(tab, tmp_path, calm(ModelConfig(units=(8,), seq_length=10)))
    tab.run("document.getElementById('text').focus()")
    tab.type("w" * 300)
    tab.run("document.querySelector('details').open = true")
    assert tab.run("document.documentElement.scrollWidth") <= width


@needs_browser
def test_nothing_jumps_when_continuations_come(tab: Tab, tmp_path: Path) -> None:
    tab.look(320, 800)
    opened(tab, tmp_path, calm(ModelConfig(units=(8,), seq_length=10)))
    places = (
        "JSON.stringify([...document.querySelectorAll('button, details, aside, h2')]"
        ".map((part) => part.getBoundingClientRect().top))"
    )
    before = tab.run(places)
    tab.run("document.getElementById('offer').click()")
    tab.until(OFFERED)
    assert tab.run(places) == before
    tab.run("document.getElementById('colours').click()")
    tab.run("document.querySelector('#choices button').click()")
    assert tab.run(f"{VALUE}.length") > 0
    assert tab.run(places) == before


@needs_browser
def test_text_from_right_to_left_is_written_from_the_right(tab: Tab, tmp_path: Path) -> None:
    opened(tab, tmp_path, calm(ModelConfig(units=(8,), seq_length=10)))
    tab.run("document.getElementById('text').focus()")
    tab.type("שלום עולם")
    for part in ("text", "mirror"):
        assert tab.run(f"getComputedStyle(document.getElementById('{part}')).direction") == "rtl"


@needs_browser
def test_a_browser_without_workers_says_so_in_a_sentence(tab: Tab, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(writing_page(tmp_path / "model.keras", tiny_model()), "utf-8")
    tab.order("Page.addScriptToEvaluateOnNewDocument", source="delete window.Worker")
    tab.open(page)
    status = tab.run("document.getElementById('status').textContent")
    assert status.startswith("This browser cannot run the model: ")
