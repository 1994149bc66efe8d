"""Mixtures: the mean of probabilities over the union of characters, each model with its state."""

from pathlib import Path

import numpy as np
import pytest
from support.tiny import tiny_model

from textgen.config import ModelConfig
from textgen.errors import TextgenError
from textgen.generation.choosing import probabilities
from textgen.generation.continuation import read_prompt
from textgen.generation.mixing import (
    Mixture,
    Part,
    prompt_for,
    read_prompts,
    shares,
    side_by_side,
)
from textgen.generation.network import Network

WINDOW = 7


def part(characters: str, weight: float, targets: str = "every", cell: str = "lstm") -> Part:
    config = ModelConfig(cell=cell, units=(8, 6), seq_length=WINDOW, targets=targets)
    model = tiny_model(config, characters, seed=len(characters))
    return Part(Path("unused"), model, Network(config, model.weights), weight)


def chances_alone(one: Part, text: str) -> dict[str, float]:
    """A model's own probability of each character after those of a text that it knows."""
    ids = one.model.vocabulary.encode(text, "skip")
    found = probabilities(read_prompt(one.network, ids).logits)[0]
    return dict(zip(one.model.vocabulary.characters, found, strict=True))


@pytest.mark.parametrize("targets", ["every", "last"])
def test_a_mixture_is_the_mean_of_what_each_model_says_of_what_it_knows(targets: str) -> None:
    """Texts side by side, of which each model skips other characters at other times."""
    parts = [part("abcd", 0.7, targets), part("cdefg", 0.3, "every", "gru")]
    mixture = Mixture(parts)
    known = mixture.vocabulary.characters
    assert known == "abcdefg"

    prompts = ["abcdcdcb" * 2, "dcedcfeg" * 2, "acegbdfa" * 2]
    read = read_prompts(mixture, [prompt_for(mixture, prompt, "error").ids for prompt in prompts])
    texts = side_by_side(read)
    further = np.random.default_rng(1).integers(0, len(known), (3 * WINDOW, len(prompts)))
    for column in further:
        texts.step(column)
        prompts = [text + known[id_] for text, id_ in zip(prompts, column, strict=True)]
        for row, text in enumerate(prompts):
            first, second = (chances_alone(one, text) for one in parts)
            expected = [0.7 * first.get(c, 0) + 0.3 * second.get(c, 0) for c in known]
            np.testing.assert_allclose(np.exp(texts.logits[row]), expected, rtol=0, atol=1e-5)


def test_a_model_mixed_with_itself_is_that_model() -> None:
    one = part("abcdef", 0.5)
    mixture = Mixture([one, one])
    texts = side_by_side(read_prompts(mixture, [prompt_for(mixture, "fed", "error").ids]))
    alone = read_prompt(one.network, one.model.vocabulary.encode("fed"))
    for id_ in (0, 3, 5, 5, 1):
        np.testing.assert_allclose(np.exp(texts.logits), probabilities(alone.logits), rtol=1e-12)
        texts.step(np.array([id_]))
        alone.step(np.array([id_]))


def test_without_a_prompt_each_model_continues_its_own_text() -> None:
    parts = [part("abcd", 0.5), part("cdefg", 0.5)]
    prompt = prompt_for(Mixture(parts), "", "error")
    assert prompt.text == ""
    for one, ids in zip(parts, prompt.ids, strict=True):
        assert one.model.vocabulary.decode(ids) == one.model.default_prompt


def test_a_character_that_no_model_knows_is_an_error() -> None:
    mixture = Mixture([part("abcd", 0.5), part("cdefg", 0.5)])
    with pytest.raises(TextgenError, match="does not know the character 'z'"):
        prompt_for(mixture, "az", "error")
    assert prompt_for(mixture, "az", "skip").text == "a"


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([1, 1], [0.5, 0.5]), ([3, 1, 0], [0.75, 0.25, 0]), ([1e308, 1e308], [0.5, 0.5])],
)
def test_weights_are_shares_of_their_sum(weights: list[float], expected: list[float]) -> None:
    assert shares(weights) == expected


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1, -0.5], [1, float("nan")], [1, float("inf")]])
def test_weights_that_make_no_sense(weights: list[float]) -> None:
    with pytest.raises(TextgenError, match="weight"):
        shares(weights)
