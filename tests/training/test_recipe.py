"""The default recipe: what it chooses for which corpus and time."""

import math
import subprocess
import sys

import pytest

from textgen.config import ModelConfig
from textgen.cores import available_cores
from textgen.training.recipe import (
    MOST_PASSES,
    Budget,
    budget,
    dropouts_for,
    fit,
    fit_from,
    largest_for,
    learning_rate_for,
    matrix_rate,
    rate_from,
    weights_of,
    windows_for,
)

RATE = 1e11  # operations a second of an ordinary laptop


def chosen(characters: int, minutes: float) -> tuple[int, ...]:
    """The layers for a corpus and a time."""
    return fit(in_time(characters, minutes)).model.units


def in_time(characters: int, minutes: float) -> Budget:
    """The budget of an ordinary laptop."""
    return Budget(characters, None, minutes, minutes * 60, RATE)


def test_weights_of_is_what_a_character_is_multiplied_with() -> None:
    assert weights_of((256,)) == 4 * 256 * 256
    assert weights_of((256, 128)) == 4 * 256 * 256 + 4 * 128 * (256 + 128)


def test_more_time_buys_a_larger_network() -> None:
    sizes = [weights_of(chosen(10_000_000, minutes)) for minutes in (0.5, 2, 10, 60, 600)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] < sizes[4]


def test_a_short_text_gets_a_small_network_whatever_the_time() -> None:
    assert chosen(30_000, 600) == chosen(30_000, 2) == (256, 256)
    assert chosen(1_000, 600) == (128,)


def test_what_is_read_a_few_times_is_not_dropped() -> None:
    assert dropouts_for(5, 25) == (0, 0, 0)


@pytest.mark.parametrize("weights", [0.1, 1, 3, 25, 1000])
def test_a_text_that_is_read_often_gets_more_dropout(weights: float) -> None:
    often = [dropouts_for(passes, weights) for passes in (1, 11, 20, 100, 1000)]
    for shares in zip(*often, strict=True):
        assert list(shares) == sorted(shares)
        assert shares[-1] < 1
    assert often[-1][0] > 0


def test_a_network_that_could_hold_the_text_loses_recurrent_weights() -> None:
    shares = [dropouts_for(40, ratio)[2] for ratio in (0.1, 1, 3, 25, 1000)]
    assert shares == sorted(shares)
    assert shares[0] == 0 < shares[1]


def test_a_short_training_takes_many_small_steps() -> None:
    for characters in (100_000, 1_000_000, 10_000_000):
        seq_length, batch_size = windows_for(characters)
        assert characters / seq_length / batch_size > 1500
    assert windows_for(1e9) == (64, 16)


def test_more_cores_get_larger_batches_but_not_fewer_steps() -> None:
    assert [windows_for(1e9, rows)[1] for rows in (16, 24, 32, 64)] == [16, 16, 32, 64]
    assert [learning_rate_for((256,), rows) for rows in (4, 16, 64)] == [0.006, 0.006, 0.012]
    assert learning_rate_for((256, 256), 64) == 0.007
    seq_length, batch_size = windows_for(6_000_000, 64)
    assert 16 < batch_size < 64
    assert 6_000_000 / seq_length / batch_size > 2000


def test_no_run_without_a_time_is_endless() -> None:
    for characters in (1000, 30_000, 1_000_000, 1_000_000_000):
        preset = fit(budget(characters, None, None))
        assert preset.train.epochs is not None
        assert 1 <= preset.train.epochs <= MOST_PASSES
        assert preset.train.patience is not None


def test_asked_for_epochs_are_kept() -> None:
    assert fit(budget(30_000, None, 3)).train.epochs == 3


def test_evaluations_take_time_from_learning() -> None:
    """Where two of them take longer than all that is not learning otherwise."""
    whole = budget(1_000_000, 1.0, None)
    small = whole.measured((512, 512), 6000, spent=10, holdout=1000)
    large = whole.measured((512, 512), 6000, spent=10, holdout=108_000)
    assert (small.seconds, large.seconds) == (pytest.approx(47.5), pytest.approx(38))


def test_what_writes_such_text_already_learns_more_slowly() -> None:
    lags = (-2, -0.6, -0.2, 0.1, 1, 3, math.inf)
    rates = [rate_from(lag, characters=1_000_000, passes=1) for lag in lags]
    assert rates == sorted(rates)
    assert (rates[0], rates[-1]) == (0.001, 0.012)
    assert rate_from(math.inf, characters=30_000, passes=1) == 0.006
    assert rate_from(math.inf, characters=1_000_000, passes=12) == 0.004
    assert [rate_from(lag, characters=5_000, passes=60) for lag in (-2, 0.1)] == [0.0004, 0.001]


def test_a_start_from_a_model_drops_by_length_and_nothing_where_it_reads_once() -> None:
    base = ModelConfig(units=(512, 512))
    short, long = [
        fit_from(budget(characters, None, epochs=100), base, lag=0.0)
        for characters in (30_000, 1_000_000)
    ]
    assert (short.model.dropout, short.train.weight_dropout) == (0.1, 0.15)
    assert (long.model.dropout, long.train.weight_dropout) == (0, 0.15)
    once = fit_from(in_time(1_000_000, 2), base, lag=0.0)
    assert (once.model.dropout, once.train.weight_dropout) == (0, 0)


@pytest.mark.parametrize(("characters", "most"), [(5_000, 60), (30_000, 12), (1_000_000, 12)])
def test_a_start_from_a_model_does_not_use_more_time_than_it_needs(
    characters: int, most: int
) -> None:
    base = ModelConfig(units=(512, 512))
    untimed = fit_from(budget(characters, None, None), base, lag=0.0)
    assert 1 <= (untimed.train.epochs or 0) <= most
    assert fit_from(budget(characters, None, epochs=90), base, lag=0.0).train.epochs == 90
    long = in_time(characters, 600)
    preset = fit_from(long, base, lag=0.0)
    assert (preset.train.epochs, preset.train.minutes, preset.train.patience) == (most, 600, None)
    line = long.line(preset.model, preset.train)
    assert line.endswith(f"about {most} passes; more would hardly help.")
    assert fit_from(in_time(characters, 0.1), base, lag=0.0).train.epochs is None


@pytest.mark.parametrize(
    ("lag", "dropout", "most"), [(-0.9, 0.35, 60), (-1.2, 0.0, 12), (-2.0, 0.0, 12)]
)
def test_a_model_that_writes_such_text_already_needs_few_passes_and_no_dropout(
    lag: float, dropout: float, most: int
) -> None:
    preset = fit_from(in_time(5_000, 600), ModelConfig(units=(512, 512)), lag)
    assert (preset.model.dropout, preset.train.epochs) == (dropout, most)
    assert bool(preset.train.weight_dropout) == bool(dropout)


@pytest.mark.parametrize("minutes", [0.01, 1.0, 600.0])
def test_the_line_says_what_and_why(minutes: float) -> None:
    whole = budget(1_115_394, minutes, None)
    preset = fit(whole)
    line = whole.line(preset.model, preset.train)
    assert "1,115,394 characters" in line
    assert f"{minutes:g} min on this machine" in line
    assert str(preset.model.units[0]) in line


def test_the_largest_network_is_not_chosen_for_no_time() -> None:
    assert largest_for(in_time(1_000_000, 0.0)) == (128,)


def test_matrix_rate_is_a_rate() -> None:
    assert 1e8 < matrix_rate(1, 0.01) < 1e14


@pytest.mark.parametrize("before", ["", "del os.sched_getaffinity; "], ids=["Linux", "elsewhere"])
def test_the_machine_is_measured_without_linux_too(before: str) -> None:
    program = (
        f"import os; {before}from textgen.training.recipe import budget; "
        "print(budget(9, 1, None).rows)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(done.stdout) == min(64, max(16, 8 * available_cores()))
