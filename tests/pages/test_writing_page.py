"""The page that writes: its HTML, and what it says of the model."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from support.small_run import STORY, make_run
from support.tiny import tiny_model

from textgen.config import ModelConfig
from textgen.errors import TextgenError
from textgen.pages.quantize import pack, packed_size
from textgen.pages.writing_page import MAX_BYTES, check_size, copying, page_data, writing_page
from textgen.storage.model_file import load_model
from textgen.storage.run_folder import RunDirectory, RunText

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
        corpus=[{"name": f"corpus {HOSTILE}", "characters": 5}],
        baselines={f"gram {HOSTILE}": 2.0, "5-gram": 2.5},
        licence=f"licence {HOSTILE}",
        bases=[{"name": f"base {HOSTILE}", "licence": f"base licence {HOSTILE}"}],
        seconds=754.0,
    )


@pytest.fixture(scope="module")
def html(run: RunDirectory) -> str:
    """Its page."""
    return writing_page(run.model, load_model(run.model))


def test_a_page_says_what_the_model_is(html: str) -> None:
    text = " ".join(Page(html).text.split())
    hostile = HOSTILE.strip()
    for fact in (
        "<b>bold",
        f"Learned from corpus {hostile} , 5 characters",
        f"Started from base {hostile} , base licence {hostile}",
        f"Licence licence {hostile}",
        "The model is no better than a 5-gram on the hold-out",
        "Trained for 13 minutes",
        "Does it copy? Hardly: 0% of the 40-character passages that it writes are in",
        "LSTM of 12 and 8 units; it knows",
    ):
        assert fact in text


def test_a_model_that_copies_is_said_to_copy() -> None:
    """A model that writes the same character for ever copies a text that holds nothing else."""
    model = tiny_model(ModelConfig(units=(2,), seq_length=1), "ab")
    bias = np.array([99, 0], np.float32)
    model = replace(model, weights={**model.weights, "logits/bias": bias})
    ids = model.vocabulary.encode("a" * 5000)
    first, second = copying(
        Path("m.keras"), model, RunText(ids, model.vocabulary.encode("b" * 1000))
    )
    assert first.startswith("Much: 100% of the 40-character passages")
    assert first.endswith("and 0% of those in text that it has never seen.")
    assert "is 4,000 long; in text that it has never seen, 0." in second


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
    assert kinds == ["application/json", *["text/plain"] * 2, None]


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


@pytest.mark.parametrize(("units", "characters", "most"), [(512, 92, 5.0), (256, 62, 1.5)])
def test_what_a_page_may_take_in_megabytes(
    html: str, run: RunDirectory, units: int, characters: int, most: float
) -> None:
    """The weights of a large model in 8 bits, and the rest of a page."""
    small = load_model(run.model)
    rest = len(html) - 4 * packed_size(small.config, len(small.vocabulary), bits=8) / 3
    large = packed_size(ModelConfig(units=(units, units)), characters, bits=8)
    assert 4 * large / 3 + rest < most * 1e6
