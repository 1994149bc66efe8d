"""The page that writes in a real browser: what a person sees and does."""

import base64
import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from support.browser import CHROMIUM, Browser, Tab, browser
from support.engine import greedy_text
from support.small_run import STORY, calm_model, ending_model, make_run
from support.tiny import tiny_model

from textgen.config import ModelConfig
from textgen.generation.continuation import read_prompt
from textgen.generation.network import Network
from textgen.generation.prompt import make_prompt
from textgen.generation.units import UNITS, ends
from textgen.pages.quantize import pack
from textgen.pages.writing_page import writing_page
from textgen.storage.model_file import Model, load_model
from textgen.text.items import ItemList, hash_of

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
SMALL = ModelConfig(units=(8,), seq_length=10)
PROMPTS = ["", "T", *(STORY[start : 4 * start + 2] for start in range(1, 19))]
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>&\n"

VALUE = "document.getElementById('text').value"
STATUS = "document.getElementById('status').textContent"
FOCUS = "document.activeElement.id"
OFFERED = "!document.querySelector('#choices button').disabled"
CHOICES = "[...document.querySelectorAll('#choices button')].map((one) => one.textContent)"
READY = "document.body.dataset.ready !== undefined"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of this module."""
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Tab]:
    """A tab of somebody who has never been here."""
    with chromium.tab() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small model that ends sentences and lines."""
    return write(tmp_path_factory.mktemp("page"), ending_model())


@pytest.fixture
def desk(tab: Tab, page: Path) -> Tab:
    """That page, ready, with the cursor in the text."""
    return at_desk(tab, page)


def write(folder: Path, model: Model, name: str = "page") -> Path:
    """Write a model's page."""
    page = folder / f"{name}.html"
    page.write_text(writing_page(folder / name / "model.keras", model), "utf-8", "replace")
    return page


def at_desk(tab: Tab, page: Path) -> Tab:
    """Open a page and go to its text."""
    tab.open(page)
    tab.until(READY)
    tab.run("document.getElementById('text').focus()")
    return tab


def offers(tab: Tab) -> list[str]:
    """Wait for continuations; what they add to the text, but for blanks at their ends."""
    tab.until(OFFERED)
    return [text.replace("↵", "\n") for text in tab.run(CHOICES)]


def set_value(tab: Tab, name: str, value: object) -> None:
    """Set a field as a person does."""
    tab.run(
        f"((field) => {{ field.value = {json.dumps(value)};"
        " ['input', 'change'].forEach((kind) => field.dispatchEvent(new Event(kind))); })"
        f"(document.getElementById('{name}'))"
    )


# The model.


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("targets", ["every", "last"])
def test_a_browser_writes_what_the_command_writes(
    tab: Tab, tmp_path: Path, cell: str, targets: str
) -> None:
    model = calm_model(ModelConfig(cell=cell, units=(20, 11), seq_length=10, targets=targets))
    at_desk(tab, write(tmp_path, model))
    weights = pack(model.weights, 8).weights
    order = "textgen.generate({ prompt: 'The wood', length: 500, temperature: 0 })"
    assert tab.run(order) == greedy_text(model, weights, "The wood")
    found = tab.run(f"Promise.all({json.dumps(PROMPTS)}.map((prompt) => textgen.next(prompt)))")
    for prompt, ranked in zip(PROMPTS, found, strict=True):
        ids = make_prompt(model, prompt, "error").ids
        logits = read_prompt(Network(model.config, weights), ids).logits[0]
        chances = np.exp(logits - logits.max(), dtype=np.float64)
        expected = dict(zip(model.vocabulary.characters, chances / chances.sum(), strict=True))
        assert dict(ranked) == pytest.approx(expected, abs=1e-4)
        assert [chance for _, chance in ranked] == sorted((c for _, c in ranked), reverse=True)
    assert tab.logged == []


def test_a_seed_gives_the_same_text_again_and_another_one_another(desk: Tab) -> None:
    order = "textgen.generate({ length: 80, temperature: 1, seed: %d })"
    texts = [desk.run(order % seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    for wrong in ("length: -1", "length: 1.5", "temperature: NaN", "seed: 'x'"):
        message = desk.run(f"textgen.generate({{ {wrong} }}).catch((error) => error.name)")
        assert message == "RangeError"


# Writing.


def test_writing_with_the_keyboard_alone(desk: Tab) -> None:
    desk.type("The wood ")
    desk.press("Enter", ctrl=True)
    texts = offers(desk)
    assert len(set(texts)) == 3
    desk.press("ArrowDown")
    desk.press("Enter")
    taken = desk.run(VALUE)
    assert taken.startswith("The wood ")
    assert taken[len("The wood ") :].lstrip(" ") == texts[1].lstrip(" ")
    assert desk.run(FOCUS) == "text"
    desk.press("Enter", ctrl=True, shift=True)
    desk.until(f"{VALUE}.length > {len(taken) + 40}")
    desk.press("Escape")
    length = len(desk.run(VALUE))
    desk.type("!")
    assert desk.run(VALUE)[length:] == "!"
    desk.press("Enter", ctrl=True)
    desk.until(OFFERED)
    desk.press("Escape")
    assert desk.run(FOCUS) == "text"


def test_tab_reaches_everything_and_enter_uses_it(desk: Tab) -> None:
    desk.type("The wood ")
    desk.press("Tab")
    assert desk.run(FOCUS) == "offer"
    desk.press("Enter")
    desk.until(OFFERED)
    met: list[str] = []
    while (name := desk.run(FOCUS)) not in met[:1]:
        met.append(name or desk.run("document.activeElement.nodeName"))
        desk.press("Tab")
    assert met[:6] == ["offer", "unit", "write", "BUTTON", "BUTTON", "BUTTON"]
    assert met[6:11] == ["temperature", "seed", "undo", "copy", "save"]
    assert met[11:] == ["SUMMARY", "colours", "BODY", "text"]
    for _ in range(3):
        desk.press("Tab")
    desk.press("Enter")
    assert desk.run(VALUE) > "The wood "
    assert desk.run(FOCUS) == "text"


def test_a_finger_chooses_and_no_keyboard_comes_up(desk: Tab) -> None:
    desk.type("The wood ")
    desk.tap("#offer")
    texts = offers(desk)
    desk.tap("#choices li:nth-child(3) button")
    assert desk.run(VALUE).endswith(texts[2])
    assert desk.run("document.activeElement.nodeName") == "BODY"
    desk.tap("#write")
    desk.until(f"{VALUE}.length > 200")
    desk.tap("#write")
    assert desk.run(STATUS) == "Stopped."


def test_a_continuation_is_put_where_the_cursor_is(desk: Tab) -> None:
    desk.type("one two")
    desk.run("document.getElementById('text').setSelectionRange(3, 3)")
    desk.click("#offer")
    desk.until(OFFERED)
    desk.click("#choices button")
    value = desk.run(VALUE)
    assert value.startswith("one")
    assert value.endswith(" two")
    assert len(value) > 7


@pytest.mark.parametrize("unit", ["word", *UNITS])
def test_continuations_go_to_the_end_of_what_is_asked_for(desk: Tab, unit: str) -> None:
    set_value(desk, "unit", unit)
    desk.type("The wood ")
    desk.click("#offer")
    desk.until(OFFERED)
    desk.click("#choices button")
    text = desk.run(VALUE)[len("The wood ") :]
    if unit == "word":
        assert re.fullmatch(r"[^\w'’-]*[\w'’-]+", text) or len(text) == 30  # noqa: RUF001
    else:
        assert ends(unit, text, " ")
        assert not any(ends(unit, text[:k], text[k]) for k in range(1, len(text)))


def test_a_continuation_of_a_word_is_shown_with_its_beginning(desk: Tab) -> None:
    set_value(desk, "unit", "word")
    desk.type("The wo")
    stems = set()
    for _ in range(8):
        desk.click("#offer")
        desk.until(OFFERED)
        choice = "document.querySelector('#choices span')"
        stem = json.loads(desk.run(f"getComputedStyle({choice}, '::before').content"))
        desk.click("#choices button")
        assert stem == ("wo" if re.match(r"[\w'’-]", desk.run(VALUE)[6:]) else "")  # noqa: RUF001
        stems.add(stem)
        desk.click("#undo")
    assert stems == {"", "wo"}


def test_each_step_is_undone_and_redone(desk: Tab) -> None:
    states = [""]

    def step() -> None:
        states.append(desk.run(VALUE))

    desk.type("The wood ")
    step()
    desk.click("#offer")
    texts = offers(desk)
    desk.click("#choices li:nth-child(2) button")
    step()
    desk.click("#write")
    desk.until(f"{VALUE}.length > 150")
    desk.click("#write")
    step()
    assert len(set(states)) == 4
    for state in states[-2::-1]:
        desk.click("#undo")
        assert desk.run(VALUE) == state
        if state == states[1]:
            assert offers(desk) == texts, "another one can be chosen"
    assert desk.run("document.getElementById('undo').disabled")
    for state in states[1:]:
        desk.press("z", ctrl=True, shift=True)
        assert desk.run(VALUE) == state
    assert desk.run("document.getElementById('redo').disabled")
    desk.press("z", ctrl=True)
    assert desk.run(VALUE) == states[2]
    desk.type("!")
    assert desk.run("document.getElementById('redo').disabled")


def test_long_typing_is_undone_in_phrases(desk: Tab) -> None:
    for word in ("wood " * 30).split(" "):
        desk.type(f"{word} ")
    steps = 0
    while desk.run(VALUE):
        desk.press("z", ctrl=True)
        steps += 1
    assert 3 <= steps <= 10


def test_the_seed_is_shown_set_and_moves_on(desk: Tab) -> None:
    assert desk.run("document.getElementById('seed').checkVisibility()")
    found = []
    for seed in (7, 7, 8):
        set_value(desk, "seed", seed)
        desk.click("#offer")
        found.append(offers(desk))
        assert desk.run("document.getElementById('seed').value") == str(seed + 1)
    assert found[0] == found[1] != found[2]


def test_the_slider_goes_from_careful_to_bold(tab: Tab, tmp_path: Path) -> None:
    model = calm_model(SMALL)
    weights = dict(model.weights)
    weights["logits/kernel"] *= np.float32(12)
    at_desk(tab, write(tmp_path, replace(model, weights=weights)))
    set_value(tab, "unit", "word")
    counts = {}
    for temperature in (0.2, 1.5):
        set_value(tab, "temperature", temperature)
        words = tab.run("document.getElementById('temperature').getAttribute('aria-valuetext')")
        tab.run("document.getElementById('text').focus()")
        tab.press("Enter", ctrl=True)
        counts[words] = len(set(filter(None, offers(tab))))
    assert list(counts) == ["careful, temperature 0.2", "wild, temperature 1.5"]
    assert list(counts.values()) == [1, 3]


def test_copy(desk: Tab) -> None:
    desk.allow("clipboardReadWrite", "clipboardSanitizedWrite")
    desk.type("To be copied ✓\n")
    desk.click("#copy")
    desk.until(f"{STATUS} === 'Copied.'")
    assert desk.run("navigator.clipboard.readText()") == "To be copied ✓\n"


def test_save(desk: Tab, tmp_path: Path) -> None:
    desk.download_to(tmp_path)
    desk.type("To be kept ✓\n")
    desk.click("#save")
    desk.until(f"{STATUS} === 'Saved as a text file.'")
    while not (tmp_path / "page.txt").exists():
        time.sleep(0.02)
    assert (tmp_path / "page.txt").read_text("utf-8") == "To be kept ✓\n"


def test_a_draft_survives_closing_the_page(chromium: Browser, page: Path, tmp_path: Path) -> None:
    with chromium.profile() as person:
        first = at_desk(Tab(chromium, person), page)
        first.type("A draft </textarea>.")
        first.until("localStorage.length > 0")
        first.close()
        again = at_desk(Tab(chromium, person), page)
        assert again.run(VALUE) == "A draft </textarea>."
        other = at_desk(Tab(chromium, person), write(tmp_path, calm_model(SMALL)))
        assert other.run(VALUE) == ""


# Lists.


def list_page(folder: Path, known: list[str], name: str = "list") -> Path:
    """The page of a model that has learned a list with some items."""
    hashes = np.array(sorted(hash_of(item) for item in ["none", *known]), "<u4")
    kept = ItemList(400, 20, base64.b64encode(hashes.tobytes()).decode())
    return write(folder, replace(ending_model(), provenance={"items": asdict(kept)}), name)


def ten_items(tab: Tab, seed: int) -> list[str]:
    """Ask for ten new items; the lines of the text then."""
    set_value(tab, "seed", seed)
    tab.click("#items")
    tab.until(f"/^[0-9]+ new item/.test({STATUS})")
    lines = tab.run(VALUE).split("\n")
    assert lines.pop() == ""
    return lines


def test_ten_new_items_are_not_in_the_list_and_not_repeated(
    chromium: Browser, tab: Tab, tmp_path: Path
) -> None:
    at_desk(tab, list_page(tmp_path, []))
    items = ten_items(tab, seed=5)
    assert len(items) == len(set(items)) == 10
    assert all(item.strip() for item in items)
    assert tab.run(STATUS).startswith("10 new items.")
    again = ten_items(tab, seed=5)
    assert again[:10] == items
    assert len(set(again)) == 20
    assert "10 repeated" in tab.run(STATUS)
    tab.click("#undo")
    assert tab.run(VALUE).split("\n")[:-1] == items

    with chromium.tab() as other:
        at_desk(other, list_page(tmp_path, items[:4], "other"))
        others = ten_items(other, seed=5)
        assert others[:6] == items[4:]
        assert not set(others) & set(items[:4])
        assert "4 from its list" in other.run(STATUS)


def test_items_begin_with_what_stands_before_the_cursor(tab: Tab, tmp_path: Path) -> None:
    at_desk(tab, list_page(tmp_path, []))
    tab.type("first\nTh")
    items = ten_items(tab, seed=5)
    assert items[0] == "first"
    assert len(items) == 11
    assert all(item.startswith("Th") for item in items[1:])


def test_a_search_for_new_items_ends_and_can_be_stopped(tab: Tab, tmp_path: Path) -> None:
    """A model that writes the same item again and again."""
    model = ending_model()
    weights = {name: np.zeros_like(weight) for name, weight in model.weights.items()}
    weights["logits/bias"][model.vocabulary.encode("a\n")] = 30
    kept = ItemList(2, 2, "")
    model = replace(model, weights=weights, provenance={"items": asdict(kept)})
    at_desk(tab, write(tmp_path, model))
    items = ten_items(tab, seed=5)
    assert sorted(items) == ["a", "aa", "aaa"]
    assert " repeated" in tab.run(STATUS)
    length = len(tab.run(VALUE))
    tab.click("#items")
    tab.press("Escape")
    assert tab.run(STATUS) == "Stopped."
    assert len(tab.run(VALUE)) == length


# What it thinks.


def test_the_bars_are_about_the_cursor(desk: Tab) -> None:
    likeliest = "document.querySelector('#bars .name').textContent"
    names = {" ": "space", "\n": "new line"}

    def shown(before: str) -> str:
        best = desk.run(f"textgen.next({json.dumps(before)})")[0][0]
        return f"{likeliest} === {json.dumps(names.get(best, best))}"

    for text in ("The", " wood was", " d"):
        desk.type(text)
        desk.until(shown(desk.run(VALUE)))
    desk.type(STORY[:3000])  # far from what was read
    desk.until(shown(desk.run(VALUE)))
    for place in (0, 700, 3000):
        desk.run(f"document.getElementById('text').setSelectionRange({place}, {place})")
        desk.until(shown(desk.run(VALUE)[:place]))


def test_the_text_is_coloured_by_surprise(desk: Tab) -> None:
    desk.type("The wood ☃ zq")
    desk.click("#colours")
    desk.until("document.querySelectorAll('#mirror span').length > 3")
    assert desk.run("document.getElementById('mirror').textContent") == desk.run(VALUE) + "\u200b"
    spans = (
        "[...document.querySelectorAll('#mirror span')].map((s) => [s.className, s.textContent])"
    )
    levels = [name for name, text in desk.run(spans) for _ in text]
    prompts = [desk.run(VALUE)[:end] for end in range(1, 9)]
    for prompt, level in zip(prompts, levels[1:9], strict=True):
        chance = dict(desk.run(f"textgen.next({json.dumps(prompt)})"))
        bits = -np.log2(chance[desk.run(VALUE)[len(prompt)]])
        assert level == f"s{min(9, int(bits))}"
    desk.click("#colours")
    assert desk.run("document.querySelectorAll('#mirror span').length") == 0


# Everybody.


def test_a_screen_reader_meets_names_roles_and_news(desk: Tab) -> None:
    desk.type("The wood ")
    desk.press("Enter", ctrl=True)
    offers(desk)
    spoken = desk.spoken()
    for one in [
        ("heading", "page"),
        ("textbox", "Your text"),
        ("status", ""),
        ("button", "Three continuations"),
        ("combobox", "to the end of a"),
        ("button", "Write on"),
        ("list", "Continuations"),
        ("slider", "From careful to bold"),
        ("spinbutton", "seed"),
        ("button", "Undo"),
        ("button", "Redo"),
        ("button", "Copy"),
        ("button", "Save"),
        ("list", "What it thinks"),
        ("checkbox", "Colour the text by surprise"),
        ("complementary", ""),
        ("main", ""),
    ]:
        assert one in spoken, one
    assert not [role for role, name in spoken if role == "button" and not name]
    taken = [" ".join(name.split()) for role, name in spoken if role == "button"][2:5]
    assert taken == [" ".join(text.split()) for text in desk.run(CHOICES)]
    assert ("StaticText", "Choose one, or ask for another three.") in spoken
    desk.press("Escape")
    desk.type("x")
    desk.until("!document.querySelector('#choices span')")
    assert len([role for role, _ in desk.spoken() if role == "button"]) == 6


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(tab: Tab, page: Path, scheme: str) -> None:
    tab.look(1200, 800, prefers_color_scheme=scheme)
    at_desk(tab, page)
    light = "getComputedStyle(document.%s).%s.match(/\\d+/g).slice(0, 3).reduce((a, b) => +a + +b)"
    ink, paper = (tab.run(light % ("body", name)) for name in ("color", "backgroundColor"))
    assert (ink > paper) == (scheme == "dark")
    assert abs(ink - paper) > 500


@pytest.mark.parametrize(("motion", "seconds"), [("reduce", "0s"), ("no-preference", "0.12s")])
def test_bars_move_only_where_motion_is_welcome(
    tab: Tab, page: Path, motion: str, seconds: str
) -> None:
    tab.look(1200, 800, prefers_reduced_motion=motion)
    at_desk(tab, page)
    bar = "getComputedStyle(document.querySelector('#bars .bar')).transitionDuration"
    assert tab.run(bar) == seconds


@pytest.mark.parametrize("width", [320, 768, 1200])
def test_nothing_is_wider_than_the_window_and_nothing_jumps(
    tab: Tab, tmp_path: Path, width: int
) -> None:
    tab.look(width, 700)
    at_desk(tab, write(tmp_path, ending_model(), "n" * 60))
    for _ in range(2):
        tab.type("w" * 120)
        tab.press("Enter", ctrl=True)
        tab.until(OFFERED)
        tab.press("Enter")
    tab.click("#colours")
    tab.until("document.querySelectorAll('#mirror span').length > 3")
    tab.click("#write")
    tab.until(f"{VALUE}.length > 1000")
    tab.click("#write")
    assert tab.shift() < 0.001
    tab.run("document.querySelector('details').open = true")
    assert tab.run("document.documentElement.scrollWidth") <= width


def test_text_from_right_to_left_is_written_from_the_right(tab: Tab, tmp_path: Path) -> None:
    letters = " .\nאבגדהו"  # noqa: RUF001
    model = replace(tiny_model(SMALL, letters), default_prompt=letters)
    at_desk(tab, write(tmp_path, model))
    tab.type("אבג הו ")
    tab.press("Enter", ctrl=True)
    tab.until(OFFERED)
    for part in ("#text", "#mirror", "#choices button"):
        style = f"getComputedStyle(document.querySelector('{part}'))"
        assert tab.run(f"[{style}.direction, {style}.textAlign]") == ["rtl", "start"]
    tab.press("Enter")
    assert tab.run(f"{VALUE}.length") > 7


# What goes wrong.


@pytest.mark.parametrize(
    "lack",
    [
        "delete window.Worker",
        "delete window.Blob",
        "delete Element.prototype.replaceChildren",
        "window.Worker = class extends Worker { constructor() { super('data:,)') } }",
        "{ const Whole = Blob; window.Blob = function (parts, options) {"
        " return new Whole(['delete Array.prototype.map;', ...parts], options); } }",
    ],
)
def test_a_browser_without_what_the_page_needs_says_so_in_a_sentence(
    tab: Tab, page: Path, lack: str
) -> None:
    tab.before(lack)
    tab.open(page)
    tab.until(f"{STATUS}.startsWith('This browser cannot run the model: ')")
    assert tab.run("document.body.classList.contains('failed')")


def test_without_javascript_the_page_says_so(tab: Tab, page: Path) -> None:
    tab.order("Emulation.setScriptExecutionDisabled", value=True)
    tab.order("Page.navigate", url=page.as_uri())
    sentence = "This page needs JavaScript, in a browser of the last three years."
    while ("StaticText", sentence) not in tab.spoken():
        pass


def test_a_page_that_may_keep_nothing_says_so(tab: Tab, page: Path) -> None:
    tab.before("Object.defineProperty(window, 'localStorage', { get() { throw new Error(); } })")
    at_desk(tab, page)
    tab.type("x")
    tab.until("document.getElementById('kept').textContent.includes('keeps no draft')")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of which every word is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    run = make_run(
        folder,
        name="<b>bold",
        text=(HOSTILE + STORY[:150]) * 60,
        corpus=[{"name": HOSTILE, "characters": 5}],
        baselines={HOSTILE: 2.5},
        licence=HOSTILE,
        bases=[{"name": HOSTILE, "sha256": HOSTILE, "licence": HOSTILE}],
        preset=HOSTILE,
        versions={HOSTILE: HOSTILE},
    )
    page = folder / "page.html"
    page.write_text(writing_page(run.model, load_model(run.model)), "utf-8")
    return page


def test_a_hostile_model_runs_nothing_in_a_browser(tab: Tab, hostile: Path) -> None:
    at_desk(tab, hostile)
    tab.type(HOSTILE)
    tab.click("#colours")
    tab.until("document.querySelectorAll('#mirror span').length > 3")
    for unit in ("line", "paragraph"):
        set_value(tab, "unit", unit)
        set_value(tab, "temperature", 0.2)
        tab.click("#offer")
        tab.until(OFFERED)
        tab.click("#choices button")
    assert tab.run("document.title") == "<b>bold: a model that writes"
    assert tab.run("document.querySelector('h1').textContent") == "<b>bold"
    assert tab.run("document.querySelectorAll('img, b').length") == 0
    assert tab.run("document.querySelectorAll('script').length") == 3  # ours; weights went
    shown = tab.run("document.querySelector('.facts').textContent")
    assert shown.count("<script>document.title='owned'</script>") >= 4
    assert [one for one in tab.asked if not one.startswith(("file:", "blob:"))] == []
    assert tab.logged == []
