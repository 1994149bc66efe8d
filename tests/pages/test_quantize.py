"""Weights in few bits: what they become, and that they cost next to nothing."""

from dataclasses import replace

import numpy as np
import pytest
from support.small_run import TEXT
from support.tiny import tiny_model

from textgen.config import ModelConfig
from textgen.pages.quantize import TOLERANCE, pack, pack_as_small_as_harmless, packed_size, written

CHARACTERS = "".join(sorted(set(TEXT)))


def test_a_weight_in_8_bits_is_off_by_half_a_step_of_its_column_at_most() -> None:
    weights = {"k/kernel": np.array([[1.27, -3.0, 0.0], [0.013, 127.0, 0.0]], "f4")}
    packed = pack(weights, 8)
    assert packed.weights["k/kernel"] == pytest.approx(np.array([[1.27, -3, 0], [0.01, 127, 0]]))
    assert packed.weights["k/kernel"].dtype == np.float32
    assert np.frombuffer(packed.data[:12], "<f4") == pytest.approx([0.01, 1, 0])
    assert np.frombuffer(packed.data[12:], "i1").tolist() == [127, 1, -3, 127, 0, 0]


def test_biases_are_kept_as_they_are() -> None:
    weights = {"k/bias": np.array([0.1, -1e6], "f4")}
    for bits in (8, 16):
        assert pack(weights, bits).data == weights["k/bias"].tobytes()


def test_a_weight_in_16_bits_stays_finite() -> None:
    packed = pack({"k/kernel": np.array([[1e6, -1e6, 0.1]], "f4")}, 16)
    assert packed.weights["k/kernel"][0].tolist() == [65504, -65504, np.float16(0.1)]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_size_is_known_before_packing(cell: str, bits: int) -> None:
    config = ModelConfig(cell=cell, units=(5, 3))
    model = tiny_model(config)
    size = packed_size(config, len(model.vocabulary), bits)
    assert size == len(pack(model.weights, bits).data)


def test_8_bits_are_taken_where_they_cost_next_to_nothing() -> None:
    model = tiny_model(ModelConfig(units=(16,)), CHARACTERS)
    packed = pack_as_small_as_harmless(model, model.vocabulary.encode(TEXT[:3000]))
    assert packed.bits == 8
    assert 0 < abs(packed.loss) <= TOLERANCE


@pytest.mark.parametrize("holdout", [True, False])
def test_16_bits_are_taken_where_8_would_cost_too_much(holdout: bool) -> None:
    """A large weight in each column that no character ever uses leaves the others no bits."""
    model = tiny_model(ModelConfig(cell="rnn", units=(9,)), CHARACTERS)
    weights = {name: weight.copy() for name, weight in model.weights.items()}
    for name in ("layer_0/kernel", "layer_0/recurrent_kernel", "layer_0/bias"):
        weights[name][..., 0] = 0
    weights["logits/kernel"][0] = 500
    model = replace(model, weights=weights)
    text = written(model)[:1500] if holdout else None
    packed = pack_as_small_as_harmless(model, text)
    assert packed.bits == 16
    assert abs(packed.loss) < TOLERANCE
