"""The page that writes: its HTML, and what it says of the model."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.small_run import STORY, make_run
from support.tiny import tiny_model

from textgen.errors import TextgenError
from textgen.pages.quantize import pack
from textgen.pages.writing_page import MAX_BYTES, check_size, page_data, writing_page
from textgen.storage.model_file import load_model
from textgen.storage.run_folder import RunDirectory

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>&\n"


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
