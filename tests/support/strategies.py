"""Hypothesis strategies: whole models, and `textgen.json` with something wrong in it."""

import copy
from typing import Any

from hypothesis import strategies as st
from support.tiny import tiny_model

from textgen.config import CELLS, NORMALIZATIONS, TARGETS, Cleaning, ModelConfig, SampleConfig
from textgen.storage.model_file import Model
from textgen.text.vocabulary import Vocabulary

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**39), 10**39)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)

ARCHITECTURES = st.builds(
    ModelConfig,
    cell=st.sampled_from(CELLS),
    units=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    dropout=st.floats(0, 0.99),
    seq_length=st.integers(1, 50),
    targets=st.sampled_from(TARGETS),
)
CLEANINGS = st.builds(
    Cleaning,
    lowercase=st.booleans(),
    normalize=st.sampled_from(NORMALIZATIONS),
    ascii=st.booleans(),
    tokenize=st.booleans(),
    drop_stopwords=st.booleans(),
)
SAMPLINGS = st.builds(
    SampleConfig,
    length=st.integers(0, 10**9),
    temperatures=st.lists(st.floats(0, 100), min_size=1, max_size=4).map(tuple),
)


@st.composite
def vocabularies(draw: st.DrawFn) -> Vocabulary:
    """A few distinct characters from anywhere in Unicode."""
    found = draw(st.sets(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
    characters = "".join(sorted(found))
    return Vocabulary(characters, draw(st.sampled_from(characters)))


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Anything that a model file may hold, at a small size."""
    config, vocabulary = draw(ARCHITECTURES), draw(vocabularies())
    prompt = st.text(st.sampled_from(vocabulary.characters), min_size=1, max_size=config.seq_length)
    return Model(
        config,
        vocabulary,
        draw(CLEANINGS),
        tiny_model(config, vocabulary.characters, draw(st.integers(0, 99))).weights,
        draw(SAMPLINGS),
        draw(prompt),
        draw(st.dictionaries(TEXTS, JSON, max_size=3)),
    )


# What breaks parsers: wrong types, edges of integers, odd characters.
ODD_NUMBERS = (0, -1, 1, 2**31, 10**18, 10**50, 0.5, -0.0, 1e308, float("inf"), float("nan"))
ODD_STRINGS = ("", "\0", "\ud800", "a" * 5000, "\x1b[31m", "rnn", "last")
ODD_SHAPES: tuple[Any, ...] = ([], [[]], {}, {"": []}, [0] * 40, [8192] * 16)
ODD = st.sampled_from((None, True, False, *ODD_NUMBERS, *ODD_STRINGS, *ODD_SHAPES)).map(
    copy.deepcopy
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [(value, key) for key, _ in inner]
    children = value.values() if isinstance(value, dict) else value
    return found + [
        place for child in children if isinstance(child, dict | list) for place in places(child)
    ]


@st.composite
def broken_notes(draw: st.DrawFn, notes: dict[str, Any]) -> dict[str, Any]:
    """`notes` with one to three places replaced, removed, or given a sibling."""
    notes = copy.deepcopy(notes)
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(places(notes)))
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            container[key] = draw(ODD | JSON)
        elif action == "remove":
            del container[key]
        elif isinstance(container, dict):
            container[draw(TEXTS)] = draw(ODD | JSON)
        else:
            container.append(draw(ODD | JSON))
        if not places(notes):
            break
    return notes
