"""The default recipe: a network and a schedule that fit the corpus and the time.

The rules were found by the search that docs/training.md describes.
"""

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from textgen.config import ModelConfig, Preset, TrainConfig
from textgen.cores import LEAST_ROWS, available_cores

# Where --optimizer is given without --learning-rate; Keras's defaults, except for SGD.
LEARNING_RATES = {
    "adam": 0.001,
    "adamw": 0.001,
    "nadam": 0.001,
    "rmsprop": 0.001,
    "adagrad": 0.01,
    "sgd": 0.1,
}

# What a training step makes of the rate of NumPy's products on as many cores: 0.6 with one layer
# of 256, 1.1 with two in larger batches (docs/performance.md).
EFFICIENCY = 0.8
# Seconds of a run in which nothing is learned, once its network is chosen: Keras is loaded and the
# step compiled,
START_UP = 4.0
LEARNING = 0.95  # and of the rest the share in which nothing is measured, written or saved,
EVALUATIONS = 2  # or all but the time of so many evaluations, where these take longer.
# Characters of the hold-out are measured so many times as fast as others are trained on.
FORWARD = 3
# The rules below were found when passes were counted by the guessed rate alone, which is about
# twice the true one: so the passes of a run with a time are counted so many times.
COUNTED = 2.1
# Forward, and backward twice: operations a weight and character.
OPERATIONS = 6
# A network is best when it sees about so many characters for each weight (Hoffmann et al. 2022
# found 20 for far larger ones); a smaller one runs out of weights, a larger one out of steps.
CHARACTERS_PER_WEIGHT = 12
# On a short text it may also be as large as still reads it so often, with much dropout,
ENOUGH_PASSES = 30
# but on a very short one nothing larger was of use.
WEIGHTS_PER_CHARACTER = 30

# A run without a time reads so many characters in all, in one pass at least and 100 at most.
READ_IN_ALL = 20_000_000
MOST_PASSES = 100
FEWEST_STEPS = 2000
# Rows of a batch; where more than two cores are to have their part of it, up to these.
ROWS = 16
MOST_ROWS = 64

# The peak learning rate of a run that starts from a model, by the bits a character by which that
# predicts the text worse than n-grams: what writes such text already has little to unlearn.
LAGS, RATES = (-1.5, -0.6, 0.1, 3.0), (0.001, 0.001, 0.003, 0.012)
# For a shorter text than so many characters it falls with the square root of the length; for more
# passes than these with their number, by this power, where that is less; and down to the least,
# which goes by the bits too.
FULL_LENGTH, FULL_PASSES, POWER = 120_000, 3, 0.8
LEAST_RATES = (0.0004, 0.001, 0.001, 0.0025)

# Layers and units, smallest first.
LADDER: tuple[tuple[int, ...], ...] = (
    *((128,), (192,), (256,), (256, 256)),
    *((320, 320), (384, 384), (512, 512), (768, 768)),
)
UNTIMED_LADDER = LADDER[:4]  # what any laptop trains in minutes

# What is read often is soon learned by heart, and the more so by a large network. By weights a
# character the shares to drop: of the layers' outputs, of the characters read, of the recurrent
# weights;
WEIGHTS_A_CHARACTER = (0.5, 3, 25)
DROPOUT = (0.2, 0.2, 0.55)
INPUT_DROPOUT = (0.07, 0.15, 0.0)
WEIGHT_DROPOUT = (0.0, 0.2, 0.5)
# (passes, how much of these).
DROPOUT_BY_PASSES = ((12, 14, 40, 150), (0.0, 1.0, 1.0, 1.1))
# Of a run that starts from a model, by characters: the shares to drop of outputs, of recurrent
# weights; and the passes after which more hardly help.
LENGTHS = (5_000, 30_000, 150_000)
DROPOUT_FROM = (0.35, 0.1, 0.0)
WEIGHT_DROPOUT_FROM = (0.1, 0.15, 0.15)
MOST_PASSES_FROM = (60, 12, 12)
# (passes, how much of these shares).
DROPOUT_FROM_BY_PASSES = ((2, 6, 12), (0.0, 0.7, 1.0))
# (bits worse than n-grams, how much of these shares). What writes such text already learns the rest
# in a few passes, and loses more by learning to do without what is dropped.
DROPOUT_FROM_BY_LAG = ((-1.2, -0.9), (0.0, 1.0))
ENOUGH_PASSES_FROM = 12  # where nothing is dropped


def matrix_rate(cores: int, seconds: float = 0.1) -> float:
    """Floating-point operations a second of this machine's matrix products.

    Args:
        cores: how many threads multiply, all at once: some may share a core.
        seconds: how long they do.
    """
    matrix = np.ones((384, 384), dtype=np.float32)

    def fastest() -> float:
        product = matrix @ matrix
        least = float("inf")
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            start = time.perf_counter()
            np.matmul(matrix, matrix, out=product)
            least = min(least, time.perf_counter() - start)
        return least

    with ThreadPoolExecutor(cores) as pool:
        threads = [pool.submit(fastest) for _ in range(cores)]
        return sum(2 * len(matrix) ** 3 / thread.result() for thread in threads)


def weights_of(units: tuple[int, ...]) -> int:
    """Weights of LSTM layers that a character is multiplied with; the first kernel's are not."""
    below = (0, *units)
    return sum(4 * width * (width + inputs) for width, inputs in zip(units, below, strict=False))


@dataclass(frozen=True)
class Budget:
    """What a run has to learn from, and the time for it.

    Attributes:
        characters: length of the text.
        epochs: passes over it at most; None where there is a time.
        minutes: wall-clock time of the whole command, or None.
        seconds: of it that are left for learning; 0 where there is none.
        rate: floating-point operations a second of training.
        rows: of a batch, at most.
        asked: whether the epochs are the user's.
    """

    characters: int
    epochs: int | None
    minutes: float | None
    seconds: float
    rate: float
    rows: int = ROWS
    asked: bool = False

    @property
    def operations(self) -> float:
        """Floating-point operations that training can do."""
        return self.rate * self.seconds

    def measured(self, units: tuple[int, ...], pace: float, spent: float, holdout: int) -> "Budget":
        """The budget by a training step that was compiled and measured.

        Args:
            units: layers of the network that was measured.
            pace: characters a second of it.
            spent: seconds of the minutes that are over.
            holdout: characters that are held out.
        """
        rate = COUNTED * pace * OPERATIONS * weights_of(units)
        seconds = left(self.minutes or 0.0, spent, evaluation_seconds(holdout, pace))
        return replace(self, rate=rate, seconds=seconds)

    def passes(self, units: tuple[int, ...]) -> float:
        """How often a network of these layers reads the text, by the rules' count."""
        if self.epochs is not None:
            return float(self.epochs)
        return self.operations / OPERATIONS / weights_of(units) / self.characters

    def true_passes(self, units: tuple[int, ...]) -> float:
        """How often a network of these layers reads the text."""
        return self.passes(units) / (1.0 if self.minutes is None else COUNTED)

    def expected_passes(self, model: ModelConfig, train: TrainConfig) -> float:
        """How often a run reads the text if nothing ends it early."""
        passes = self.true_passes(model.units)
        return passes if train.epochs is None else min(passes, train.epochs)

    def line(self, model: ModelConfig, train: TrainConfig) -> str:
        """What is trained and why, in one line."""
        layers = "-".join(map(str, model.units))
        time = "" if self.minutes is None else f" and {self.minutes:g} min on this machine"
        passes = self.expected_passes(model, train)
        most = ""
        if self.minutes is None:
            most = " at most"
        elif passes < self.true_passes(model.units):
            most = "; more would hardly help"
        weights = f", of recurrent weights {train.weight_dropout:g}" if train.weight_dropout else ""
        read = f", of characters read {train.input_dropout:g}" if train.input_dropout else ""
        return (
            f"{model.cell.upper()} {layers}, dropout {model.dropout:g}{weights}{read}, for "
            f"{self.characters:,} characters{time}: about {two_digits(passes)} passes{most}."
        )


def two_digits(number: float) -> str:
    """A number as a person wants to hear an estimate."""
    return f"{float(f'{number:.2g}'):,g}"


def left(minutes: float, spent: float, evaluation: float = 0.0) -> float:
    """Seconds for learning that are left of a run's minutes; an evaluation takes some of them."""
    seconds = minutes * 60 - spent
    return max(1.0, min(LEARNING * seconds, seconds - EVALUATIONS * evaluation))


def evaluation_seconds(holdout: int, pace: float) -> float:
    """How long measuring a hold-out of so many characters takes, by the pace of training."""
    return holdout / (FORWARD * pace)


def budget(
    characters: int, minutes: float | None, epochs: int | None, spent: float = 0.0
) -> Budget:
    """The budget of a run; measures the machine for a moment if the time is limited.

    Args:
        characters: length of the text.
        minutes: asked for, or None.
        epochs: asked for, or None.
        spent: seconds of the minutes that are over.
    """
    if minutes is None:
        most = min(MOST_PASSES, max(1, READ_IN_ALL // characters))
        return Budget(characters, epochs or most, None, 0.0, 0.0, asked=epochs is not None)
    seconds = left(minutes, spent + START_UP)
    cores = min(available_cores(), MOST_ROWS // LEAST_ROWS)
    rate = matrix_rate(cores) * EFFICIENCY
    return Budget(characters, None, minutes, seconds, rate, max(ROWS, LEAST_ROWS * cores))


def fit(budget: Budget) -> Preset:
    """Choose a network and a schedule."""
    units = largest_for(budget)
    passes = budget.passes(units)
    outputs, characters, weights = dropouts_for(passes, weights_of(units) / budget.characters)
    seq_length, batch_size = windows_for(passes * budget.characters, budget.rows)
    return Preset(
        ModelConfig(units=units, dropout=outputs, seq_length=seq_length),
        TrainConfig(
            batch_size=batch_size,
            epochs=budget.epochs,
            minutes=budget.minutes,
            learning_rate=learning_rate_for(units, batch_size),
            input_dropout=characters,
            weight_dropout=weights,
            patience=None if budget.epochs is None else max(5, budget.epochs // 5),
        ),
    )


def fit_from(budget: Budget, base: ModelConfig, lag: float) -> Preset:
    """Choose a schedule for a model that starts from another one, whose network it keeps.

    Without a time it makes as many operations as a new network would, but one pass at least. With
    much time it ends early. Epochs that were asked for are made.

    Args:
        budget: what the run has to learn from, and the time.
        base: the architecture of the model.
        lag: bits a character by which it predicts the text worse than n-grams of that do.
    """
    seq_length, batch_size = 64, budget.rows

    def by_length(values: tuple[float, ...]) -> float:
        return float(np.interp(math.log(budget.characters), np.log(LENGTHS), values))

    epochs, passes = budget.epochs, budget.true_passes(base.units)
    if budget.minutes is None and not budget.asked:
        share = weights_of(largest_for(budget)) / weights_of(base.units)
        passes = epochs = max(1, round(passes * min(1.0, share)))
    new = float(np.interp(lag, *DROPOUT_FROM_BY_LAG))
    most = round((1 - new) * ENOUGH_PASSES_FROM + new * by_length(MOST_PASSES_FROM))
    if passes > most and not budget.asked:
        passes = epochs = most
    much = new * float(np.interp(passes, *DROPOUT_FROM_BY_PASSES))
    return Preset(
        replace(base, dropout=in_steps(much * by_length(DROPOUT_FROM)), seq_length=seq_length),
        TrainConfig(
            batch_size=batch_size,
            epochs=epochs,
            minutes=budget.minutes,
            learning_rate=rate_from(lag, budget.characters, passes),
            weight_dropout=in_steps(much * by_length(WEIGHT_DROPOUT_FROM)),
            patience=max(5, epochs // 5) if epochs and budget.minutes is None else None,
        ),
    )


def rate_from(lag: float, characters: int, passes: float) -> float:
    """The peak learning rate of a run from a model that lags behind n-grams by so many bits."""
    peak, least = (math.exp(np.interp(lag, LAGS, np.log(of))) for of in (RATES, LEAST_RATES))
    by_length = math.sqrt(characters / FULL_LENGTH)
    by_passes = (FULL_PASSES / passes) ** POWER
    return float(f"{max(least, peak * min(1.0, by_length, by_passes)):.2g}")


def windows_for(characters: float, most: int = ROWS) -> tuple[int, int]:
    """Window length and batch size, at most so many rows, for so many characters to read in all.

    A short training needs many small steps more than it needs speed.
    """
    seq_length = 64 if characters >= 4 * 64 * FEWEST_STEPS else 32
    rows = int(characters / (FEWEST_STEPS * seq_length))
    return seq_length, max(2, 1 << max(1, min(rows, most)).bit_length() - 1)


def learning_rate_for(units: tuple[int, ...], batch_size: int) -> float:
    """The peak learning rate; one layer takes a higher one in larger batches."""
    if len(units) > 1:
        return 0.007
    return round(0.006 * max(1.0, batch_size / ROWS) ** 0.5, 4)


def largest_for(budget: Budget) -> tuple[int, ...]:
    """The largest network that sees enough characters for its size, or the text often enough."""
    best = LADDER[0]
    for units in UNTIMED_LADDER if budget.minutes is None else LADDER:
        weights, passes = weights_of(units), budget.passes(units)
        if weights > WEIGHTS_PER_CHARACTER * budget.characters:
            break
        enough = passes * budget.characters >= CHARACTERS_PER_WEIGHT * weights
        if enough or passes >= ENOUGH_PASSES:
            best = units
    return best


def dropouts_for(passes: float, weights_per_character: float) -> tuple[float, float, float]:
    """The shares to drop: of outputs, of characters read, of recurrent weights."""
    much = np.interp(passes, *DROPOUT_BY_PASSES)
    outputs, characters, weights = (
        in_steps(much * np.interp(weights_per_character, WEIGHTS_A_CHARACTER, shares))
        for shares in (DROPOUT, INPUT_DROPOUT, WEIGHT_DROPOUT)
    )
    return outputs, characters, weights


def in_steps(share: float) -> float:
    """A share to drop, in steps of 0.05: the search could not distinguish smaller ones."""
    return round(20 * float(share)) / 20
