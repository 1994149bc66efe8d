"""The page's network, in V8: what it computes is what NumPy's network computes."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engine import Engine, greedy_text
from support.small_run import STORY, calm_model, ending_model
from support.tiny import tiny_model

from textgen.config import Cleaning, ModelConfig
from textgen.corpus.cleaning import clean_prompt
from textgen.generation.choosing import Chooser, Filters
from textgen.generation.continuation import read_prompt
from textgen.generation.network import Network
from textgen.generation.prompt import make_prompt
from textgen.generation.relatives import as_known
from textgen.generation.units import MOST, UNITS, ends
from textgen.pages.quantize import pack
from textgen.storage.model_file import Model
from textgen.text.items import hash_of

CHARACTERS = "".join(sorted(set(STORY)))
CONFIGS = [
    ModelConfig(cell=cell, units=(24, 17), seq_length=12, targets=targets)
    for cell in ("lstm", "gru", "rnn")
    for targets in ("every", "last")
]
PROMPTS = ["", "T", *(STORY[start : start + 3 * start + 2] for start in range(1, 19))]


@pytest.fixture(params=CONFIGS, ids=lambda config: f"{config.cell}-{config.targets}")
def model(request: pytest.FixtureRequest) -> Model:
    """A model of random weights, of every cell and targets."""
    return calm_model(request.param)


@pytest.mark.parametrize("bits", [8, 16])
def test_probabilities_after_20_prompts_are_those_of_numpy(model: Model, bits: int) -> None:
    packed = pack(model.weights, bits)
    engine, network = Engine(model, packed), Network(model.config, packed.weights)
    assert len(PROMPTS) == 20
    for prompt in PROMPTS:
        logits = read_prompt(network, make_prompt(model, prompt, "error").ids).logits[0]
        expected = np.exp(logits - logits.max(), dtype=np.float64)
        found = engine.call(f"Array.from(probabilities(reading({json.dumps(prompt)}).logits()))")
        assert np.abs(found - expected / expected.sum()).max() < 1e-4


def test_greedy_text_is_that_of_the_command(model: Model) -> None:
    packed = pack(model.weights, 8)
    greedy = greedy_text(model, packed.weights, "The wood")
    assert Engine(model, packed).call("write('The wood', 0, '', 500, 1)") == greedy


@pytest.fixture(scope="module")
def engine() -> Engine:
    """A small model that is open in V8."""
    model = calm_model(ModelConfig(units=(8,), seq_length=10))
    return Engine(model, pack(model.weights, 8))


def test_every_16_bit_number_is_read(engine: Engine) -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = np.isfinite(halves)
    found = engine.call("Array.from({ length: 65536 }, (_, half) => fromHalf(half))")
    assert np.array_equal(np.array(found, float)[finite], halves[finite].astype(float))


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 2.5])
def test_a_character_is_drawn_as_the_command_draws_it(engine: Engine, temperature: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (100, 30)).astype(np.float32)
    uniforms = generator.random((100, 1))
    expected = Chooser([temperature] * 100, 30, Filters()).choose(logits, uniforms)
    rows = json.dumps(list(zip(logits.tolist(), uniforms[:, 0].tolist(), strict=True)))
    found = engine.call(
        f"{rows}.map(([row, draw]) => choose(Float32Array.from(row), {temperature}, () => draw))"
    )
    assert found == expected.tolist()


def test_random_numbers_are_uniform_and_depend_on_seed_and_index(engine: Engine) -> None:
    draws = "((draw) => Array.from({ length: 2000 }, draw))(randomNumbers(%s, %d))"
    streams = [engine.call(draws % pair) for pair in ((1, 0), (1, 1), (2, 0), (2**40, 0))]
    assert streams[0] == engine.call(draws % (1, 0))
    for stream in streams:
        assert 0 <= min(stream) < 0.01
        assert 0.99 < max(stream) < 1
        assert np.mean(stream) == pytest.approx(0.5, abs=0.03)
    correlation = np.corrcoef(streams)
    assert np.abs(correlation - np.eye(4)).max() < 0.1


@pytest.mark.parametrize("targets", ["every", "last"])
def test_a_text_that_was_changed_is_read_as_if_it_were_new(targets: str) -> None:
    model = calm_model(ModelConfig(units=(8,), seq_length=10, targets=targets))
    engine = Engine(model, pack(model.weights, 8))
    # Through a text longer than the states are apart, cut and changed at several places.
    engine.call("void (reader = new Reader(network))")
    for text in (STORY[:300], STORY[:290], STORY[:128] + STORY[400:500], STORY[:20], STORY[:300]):
        engine.call(
            f"((ids) => {{ for (let k = reader.keep(ids); k < ids.length; k++)"
            f" reader.push(ids[k]); }})(alphabet.encode({json.dumps(text)}).ids)"
        )
        fresh = f"reading({json.dumps(text)})"
        for what in (".logits()", ".ids.map((_, place) => %s.costAt(place))"):
            old, new = what.replace("%s", "reader"), what.replace("%s", fresh)
            if "costAt" in what:
                new = new.replace(fresh, "fresh")
                new = f"((fresh) => fresh{new})({fresh})"
            else:
                new = fresh + new
            assert engine.call(f"Array.from(reader{old})") == engine.call(f"Array.from({new})")


@pytest.mark.parametrize("targets", ["every", "last"])
@pytest.mark.parametrize("end", [0, 5, 127, 128, 200, 300])
def test_reading_on_from_a_place_in_a_text(targets: str, end: int) -> None:
    model = calm_model(ModelConfig(units=(8,), seq_length=10, targets=targets))
    engine = Engine(model, pack(model.weights, 8))
    reader = f"reading({json.dumps(STORY[:300])})"
    fresh = f"alphabet.encode({json.dumps(STORY[: end + 20])}).ids"
    fork = f"((fork) => {{ {fresh}.slice({end}).forEach((id) => fork.push(id)); return fork; }})"
    begun = f"((fresh) => {{ {fresh}.forEach((id) => fresh.push(id)); return fresh; }})"
    found = engine.call(f"Array.from({fork}({reader}.fork({end})).logits())")
    assert found == engine.call(f"Array.from({begun}(new Reader(network)).logits())")


@pytest.mark.parametrize("unit", UNITS)
def test_a_continuation_ends_where_its_unit_first_ends(unit: str) -> None:
    model = ending_model()
    engine = Engine(model, pack(model.weights, 8))
    for seed in range(8):
        text = engine.call(f"write('The ', 1, '{unit}', 0, {seed})")
        whole = engine.call(f"write('The ', 1, '', {len(text) + 1}, {seed})")
        assert whole[:-1] == text, "the same chances make the same text"
        ended = [ends(unit, whole[:place], whole[place]) for place in range(1, len(whole))]
        assert ended == [False] * (len(text) - 1) + [len(text) < MOST[unit] or ended[-1]]


def test_a_word_ends_where_its_letters_end(engine: Engine) -> None:
    for seed in range(8):
        word = engine.call(f"write('The ', 1, 'word', 0, {seed})")
        following = engine.call(f"write('The ', 1, '', {len(word) + 1}, {seed})")[-1]
        assert re.fullmatch(r"[^\w'’-]*[\w'’-]+", word) or len(word) == MOST["word"]  # noqa: RUF001
        assert len(word) == MOST["word"] or not re.match(r"[\w'’-]", following)  # noqa: RUF001


@pytest.mark.parametrize(
    ("unit", "text", "end"),
    [
        ("word", " don't stop", " don't"),
        ("word", '. "Oh well', '. "Oh'),
        ("sentence", ' he said. "Why?" Then', " he said."),
        ("sentence", '. Why not?" Then', '. Why not?"'),
        ("sentence", " and Mr. J. S. Low ran. Then", " and Mr. J. S. Low ran."),
        ("sentence", "彼は笑った。そして", "彼は笑った。"),
        ("line", "\n\na\nb", "\n\na\n"),
        ("paragraph", "\n\na\nb\n\nc", "\n\na\nb\n\n"),
    ],
)
def test_where_units_end(engine: Engine, unit: str, text: str, end: str) -> None:
    found = engine.call(
        f"((text) => Array.from(text).findIndex((next, k) => "
        f"ENDS.{unit}(text.slice(0, k), next, alphabet.model.sentences)))({json.dumps(text)})"
    )
    assert text[:found] == end


@pytest.mark.parametrize("unit", UNITS)
@settings(max_examples=150, deadline=None)
@given(text=st.text(st.sampled_from("Mrr. Ja9's !?…”)。」\n\n-—é"), min_size=1, max_size=14))
def test_units_end_as_in_the_command(engine: Engine, unit: str, text: str) -> None:
    before, following = text[:-1], text[-1]
    call = f"ENDS.{unit}({json.dumps(before)}, {json.dumps(following)}, alphabet.model.sentences)"
    assert engine.call(call) == ends(unit, before, following)


@pytest.fixture(scope="module")
def engines_of() -> Callable[[str], Engine]:
    """Engines by what their models know."""

    @cache
    def make(characters: str) -> Engine:
        config = ModelConfig(units=(2,), seq_length=1)
        made = replace(tiny_model(config, characters), default_prompt=characters[0])
        return Engine(made, pack(made.weights, 8))

    return make


AWKWARD = "aÉe\u0301\u0327\u017fßﬁ“—…İ가ᄀ\u1161\u11a8\r\n .½\uff21漢🙂"
CLEANINGS = [
    Cleaning(normalize=normalize, lowercase=lowercase, ascii=as_ascii)
    for normalize in ("nfc", "nfkc", "none")
    for lowercase in (False, True)
    for as_ascii in (False, True)
]


@pytest.fixture(scope="module")
def engines() -> dict[Cleaning, Engine]:
    """An engine that cleans as it is asked to."""
    model = calm_model(ModelConfig(units=(8,), seq_length=10))
    return {
        cleaning: Engine(replace(model, cleaning=cleaning), pack(model.weights, 8))
        for cleaning in CLEANINGS
    }


@pytest.mark.parametrize("cleaning", CLEANINGS, ids=str)
@settings(max_examples=40, deadline=None)
@given(text=st.text(st.sampled_from(AWKWARD), max_size=12))
def test_a_text_is_cleaned_like_a_prompt(
    engines: dict[Cleaning, Engine], cleaning: Cleaning, text: str
) -> None:
    code = "(%s.match(PIECE) ?? []).map((piece) => alphabet.clean(piece)).join('')"
    found = engines[cleaning].call(code % json.dumps(text))
    assert found == clean_prompt(text, cleaning)


def test_the_small_form_of_a_sigma_depends_on_its_place(engines: dict[Cleaning, Engine]) -> None:
    cleaning, text = Cleaning(lowercase=True), "Ο ΔΡΟΜΟΣ, ΣΑΣ Σ. Σ'ΑΓΑΠΩ"  # noqa: RUF001
    found = engines[cleaning].call(f"{json.dumps(text)}.match(PIECE).map((p) => alphabet.clean(p))")
    assert "".join(found) == clean_prompt(text, cleaning)


def test_what_is_unknown_is_passed_over_and_named(engine: Engine) -> None:
    found = engine.call("alphabet.encode('T☃h漢🙂')")
    assert [CHARACTERS[place] for place in found["ids"]] == ["T", "h"]
    assert found["unknown"] == ["☃", "漢", "🙂"]
    assert found["lengths"] == [1, 1, 1, 1, 2]
    assert found["counts"] == [1, 0, 1, 0, 0]


@pytest.mark.parametrize("characters", [CHARACTERS, "abTé ‘’“”—\n", "ab \"-'", "AB “’"])  # noqa: RUF001
@settings(max_examples=60, deadline=None)
@given(text=st.text(st.sampled_from("aTé\"'“”‘’«–—…\u00a0\t (ßÉ☃"), max_size=12))  # noqa: RUF001
def test_what_is_unknown_becomes_what_it_becomes_on_the_command_line(
    engines_of: Callable[[str], Engine], characters: str, text: str
) -> None:
    characters = "".join(sorted(set(characters)))
    found = engines_of(characters).call(f"alphabet.encode({json.dumps(text)}).ids")
    expected = as_known(clean_prompt(text, Cleaning()), characters)
    assert [characters[place] for place in found] == [one for one in expected if one in characters]


@given(item=st.text(max_size=20))
def test_an_item_has_the_hash_that_the_model_keeps(engine: Engine, item: str) -> None:
    assert engine.call(f"hashOf({list(item.encode())})") == hash_of(item)


@given(numbers=st.sets(st.integers(0, 2**32 - 1)), wanted=st.integers(0, 2**32 - 1))
def test_a_hash_is_found_where_it_is(engine: Engine, numbers: set[int], wanted: int) -> None:
    for number in (wanted, *numbers):
        call = f"among(Uint32Array.from({sorted(numbers)}), {number})"
        assert engine.call(call) == (number in numbers)
