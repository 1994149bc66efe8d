"""A model's weights for another vocabulary."""

# ruff: noqa: RUF001

import numpy as np
import pytest
from support.tiny import tiny_model

from textgen.config import CELLS, ModelConfig
from textgen.generation.network import Network
from textgen.text.vocabulary import Vocabulary
from textgen.training.transfer import transferred

KNOWN = " abcde'"


@pytest.mark.parametrize("cell", CELLS)
def test_what_both_know_moves_without_loss(cell: str) -> None:
    """In any order, beside any others, each character is read and written as before."""
    model = tiny_model(ModelConfig(cell=cell, units=(6, 5)), characters=KNOWN)
    wider = Vocabulary("".join(sorted(KNOWN + "!xyzé")))
    weights = transferred(model, wider, np.ones(len(wider)))
    text = "a bad cab'd decade"
    before, after = Network(model.config, model.weights), Network(model.config, weights)
    own = before.run(model.vocabulary.encode(text)[None], before.zero_state(1))
    other = after.run(wider.encode(text)[None], after.zero_state(1))
    np.testing.assert_allclose(other[..., wider.lookup(KNOWN)], own, rtol=1e-6, atol=1e-6)


def test_what_is_new_starts_as_its_relative_or_as_the_mean() -> None:
    model = tiny_model(ModelConfig(units=(6,)), characters=KNOWN)
    wider = Vocabulary("".join(sorted(KNOWN + "Aé’7\u0301")))
    counts = np.full(len(wider), 10)
    weights = transferred(model, wider, counts)
    for new, relative in (("A", "a"), ("é", "e"), ("’", "'")):
        place, known = wider.lookup(new)[0], model.vocabulary.lookup(relative)[0]
        for name in ("layer_0/kernel", "logits/kernel"):
            now, then = (
                w[name] if "layer" in name else w[name].T for w in (weights, model.weights)
            )
            np.testing.assert_array_equal(now[place], then[known])
    for row in weights["layer_0/kernel"][wider.lookup("7\u0301")]:
        np.testing.assert_allclose(row, model.weights["layer_0/kernel"].mean(axis=0), rtol=1e-6)
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


def test_what_is_new_is_as_probable_as_it_is_frequent() -> None:
    model = tiny_model(ModelConfig(units=(6,)), characters=KNOWN)
    wider = Vocabulary("".join(sorted(KNOWN + "78")))
    counts = np.full(len(wider), 50)
    rare, common = wider.lookup("78")
    counts[rare], counts[common] = 5, 500
    bias = transferred(model, wider, counts)["logits/bias"]
    assert bias[common] - bias[rare] == pytest.approx(np.log(100), rel=1e-5)
    known = wider.lookup(KNOWN)
    assert bias[rare] < np.median(bias[known]) < bias[common]


def test_nothing_in_common() -> None:
    model = tiny_model(ModelConfig(units=(6,)), characters=KNOWN)
    other = Vocabulary("абв")
    weights = transferred(model, other, np.array([8, 1, 1]))
    np.testing.assert_allclose(np.exp(weights["logits/bias"]), [0.8, 0.1, 0.1], rtol=1e-5)
    assert weights["layer_0/kernel"].shape == (3, 24)
