"""Reading on: the sliding window against the naive loop, forks, prompts."""

import numpy as np
import pytest
from support.tiny import tiny_model

from textgen.config import CELLS, ModelConfig
from textgen.generation.continuation import (
    CarriedState,
    SlidingWindow,
    Start,
    read_prompt,
    read_prompts,
    side_by_side,
)
from textgen.generation.network import Network

WINDOW = 7


def network(targets: str = "last", cell: str = "lstm", units: tuple[int, ...] = (8, 6)) -> Network:
    config = ModelConfig(cell=cell, units=units, seq_length=WINDOW, targets=targets)
    return Network(config, tiny_model(config, "abcdefghij").weights)


def ids(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 10, shape)


def naive(net: Network, read: np.ndarray) -> np.ndarray:
    """Logits (vocabulary,) after a window that is run from a zero state, step by step."""
    state = net.zero_state(1)
    for id_ in read[-WINDOW:]:
        logits = net.step(np.array([id_]), state)
    return logits[0].copy()


@pytest.mark.parametrize("units", [(8,), (8, 6), (4, 8, 6)])
@pytest.mark.parametrize("cell", CELLS)
def test_the_sliding_window_equals_the_naive_loop(cell: str, units: tuple[int, ...]) -> None:
    net = network(cell=cell, units=units)
    text = ids(40)
    window = read_prompt(net, text[:10])
    assert isinstance(window, SlidingWindow)

    for place in range(10, 40):
        np.testing.assert_allclose(window.logits[0], naive(net, text[:place]), rtol=0, atol=1e-5)
        window.step(text[place : place + 1])


@pytest.mark.parametrize("length", [1, 3, WINDOW, WINDOW + 1, 25])
def test_a_window_reads_what_there_is_of_it(length: int) -> None:
    net = network()
    text = ids(length + 9)
    window = read_prompt(net, text[:length])

    for place in range(length, length + 9):
        expected = naive(net, text[:place])
        np.testing.assert_allclose(window.logits[0], expected, rtol=0, atol=1e-5)
        window.step(text[place : place + 1])


@pytest.mark.parametrize("targets", ["every", "last"])
def test_forks_read_on_by_themselves(targets: str) -> None:
    net = network(targets)
    prompt, further = ids(12), ids(3, 20)
    start = read_prompt(net, prompt)
    before = start.logits.copy()

    forks = side_by_side([Start(start, 0)] * 3)
    np.testing.assert_array_equal(forks.logits, np.repeat(before, 3, axis=0))
    for column in further.T:
        forks.step(column)

    for row, read in enumerate(further):
        alone = read_prompt(net, np.concatenate((prompt, read)))
        np.testing.assert_allclose(forks.logits[row], alone.logits[0], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(start.logits, before)
    np.testing.assert_array_equal(side_by_side([Start(start, 0)]).logits, before)


def test_a_long_prompt_equals_single_steps() -> None:
    net = network("every")
    text = ids(5000)
    start = read_prompt(net, text)
    assert isinstance(start, CarriedState)

    state = net.zero_state(1)
    for id_ in text:
        logits = net.step(np.array([id_]), state)
    np.testing.assert_allclose(start.logits, logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("targets", ["every", "last"])
def test_prompts_of_all_lengths_are_read_as_if_alone(targets: str) -> None:
    net = network(targets)
    prompts = [ids(length) for length in (1, 2, 3, 3, 5, 6, WINDOW, WINDOW + 1, 20, 31, 4, 90)]
    further = ids(len(prompts), 2 * WINDOW)
    batch = side_by_side(read_prompts(net, prompts))
    for column in further.T:
        batch.step(column)

    for row, (prompt, read) in enumerate(zip(prompts, further, strict=True)):
        alone = read_prompt(net, np.concatenate((prompt, read)))
        np.testing.assert_allclose(batch.logits[row], alone.logits[0], rtol=0, atol=1e-5)
