"""Choosing characters, against exact probabilities."""

import math

import numpy as np
import pytest
from support.chance import assert_fits

from textgen.generation.choosing import Chooser, Filters, Uniforms, surprisals

LOGITS = [2.0, 1.5, 1.5, 0.25, -1.0, -3.0, -30.0]


def exact(
    logits: list[float], temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> list[float]:
    """The probabilities, by the definitions and in plain Python."""
    best = max(logits)
    weights = {k: math.exp(logit - best) for k, logit in enumerate(logits)}
    ranked = sorted(weights, key=lambda k: -weights[k])
    if top_k:
        ranked = ranked[:top_k]
    total, reached = sum(weights[k] for k in ranked), 0.0
    nucleus: list[int] = []
    for k in ranked:
        if not nucleus or reached < top_p * total:
            nucleus.append(k)
            reached += weights[k]
    kept = [k for k in nucleus if weights[k] >= min_p]
    tempered = {k: math.exp((logits[k] - best) / temperature) for k in kept}
    return [tempered.get(k, 0.0) / sum(tempered.values()) for k in range(len(logits))]


def draw(
    logits: list[float], temperature: float, filters: Filters, count: int = 20_000
) -> np.ndarray:
    """How often each id is drawn."""
    rows = np.tile(np.array(logits, np.float32), (count, 1))
    chooser = Chooser([temperature] * count, len(logits), filters)
    uniforms = np.random.default_rng(5).random((count, 1))
    return np.bincount(chooser.choose(rows, uniforms), minlength=len(logits))


@pytest.mark.parametrize("temperature", [0.2, 0.8, 1.0, 1.7, 50.0])
def test_draws_follow_the_tempered_distribution(temperature: float) -> None:
    assert_fits(draw(LOGITS, temperature, Filters()), exact(LOGITS, temperature))


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
@pytest.mark.parametrize(
    "filters",
    [
        Filters(top_k=1),
        Filters(top_k=2),
        Filters(top_k=4),
        Filters(top_p=0.3),
        Filters(top_p=0.8),
        Filters(top_p=0.0),
        Filters(min_p=0.5),
        Filters(min_p=0.05),
        Filters(min_p=1.0),
        Filters(top_k=5, top_p=0.9, min_p=0.1),
        Filters(top_k=3, top_p=0.95),
    ],
)
def test_filters_leave_what_their_definitions_say(filters: Filters, temperature: float) -> None:
    expected = exact(LOGITS, temperature, filters.top_k, filters.top_p, filters.min_p)
    assert_fits(draw(LOGITS, temperature, filters), expected)


def test_the_test_itself_can_fail() -> None:
    with pytest.raises(AssertionError):
        assert_fits(draw(LOGITS, 0.9, Filters()), exact(LOGITS, 1.0))
    with pytest.raises(AssertionError):
        assert_fits(draw(LOGITS, 1.0, Filters()), exact(LOGITS, 1.0, top_k=5))


@pytest.mark.parametrize("temperature", [0.0, 5e-324, 1e-300, 1e-30, 1e300])
@pytest.mark.parametrize("scale", [1.0, 1e30])
def test_no_temperature_overflows(temperature: float, scale: float) -> None:
    logits = [scale * logit for logit in (-1.0, 3.0, 2.0, 3.0)]
    with np.errstate(all="raise", under="ignore"):
        counts = draw(logits, temperature, Filters(top_p=0.9999), 500)
    if temperature == 0:
        assert counts.tolist() == [0, 500, 0, 0]
    elif temperature < 1 or scale > 1:
        assert counts[[0, 2]].tolist() == [0, 0]
    else:
        assert counts.all()


def test_greedy_takes_the_first_of_equals_whatever_the_draw() -> None:
    chooser = Chooser([0.0, 0.0], 3, Filters())
    logits = np.array([[1, 2, 2], [5, 4, 5]], np.float32)
    for uniform in (0.0, 0.5, 1 - 2.0**-53):
        assert chooser.choose(logits, np.full((2, 1), uniform)).tolist() == [1, 0]


@pytest.mark.parametrize("uniform", [0.0, 1 - 2.0**-53])
def test_the_ends_of_the_unit_interval_draw_possible_characters(uniform: float) -> None:
    chooser = Chooser([1.0], 5, Filters())
    logits = np.array([[-1e30, 0, 1, 0.5, -1e30]], np.float32)
    assert chooser.choose(logits, np.array([[uniform]])).tolist() == [1 if uniform == 0 else 3]


def test_excluded_characters_are_never_drawn_and_the_rest_is_rescaled() -> None:
    count = 20_000
    rows = np.tile(np.array(LOGITS, np.float32), (count, 1))
    excluded = [np.array([0, 3], dtype=np.uint64)] * count
    uniforms = np.random.default_rng(5).random((count, 1))

    ids = Chooser([0.7] * count, len(LOGITS), Filters()).choose(rows, uniforms, excluded)

    left = [-math.inf if k in (0, 3) else logit for k, logit in enumerate(LOGITS)]
    assert_fits(np.bincount(ids, minlength=len(LOGITS)), exact(left, 0.7))


def test_each_row_has_its_own_temperature() -> None:
    half = 10_000
    rows = np.tile(np.array(LOGITS, np.float32), (2 * half, 1))
    chooser = Chooser([0.4] * half + [1.5] * half, len(LOGITS), Filters())
    ids = chooser.choose(rows, np.random.default_rng(8).random((2 * half, 1)))

    for part, temperature in ((ids[:half], 0.4), (ids[half:], 1.5)):
        assert_fits(np.bincount(part, minlength=len(LOGITS)), exact(LOGITS, temperature))


def test_surprisals_are_untempered_bits() -> None:
    probabilities = exact(LOGITS, 1.0)
    rows = np.tile(np.array(LOGITS, np.float32), (3, 1))
    bits = surprisals(rows, np.array([0, 4, 6]))
    np.testing.assert_allclose(bits, [-math.log2(probabilities[k]) for k in (0, 4, 6)], rtol=1e-6)


def test_uniforms_depend_on_seed_and_index_alone() -> None:
    together, alone = Uniforms([(7, 0), (7, 1), (7, 2)]), Uniforms([(7, 1)])
    columns = [(together.draw()[1, 0], alone.draw()[0, 0]) for _ in range(600)]

    assert all(a == b for a, b in columns)
    assert len({a for a, _ in columns}) == 600
    assert Uniforms([(8, 1)]).draw() != Uniforms([(7, 1)]).draw()
