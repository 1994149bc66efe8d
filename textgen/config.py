"""What a model is and what a run is: frozen dataclasses, and the presets."""

import math
from dataclasses import dataclass, field
from typing import Any

CELLS = ("lstm", "gru", "rnn")
TARGETS = ("every", "last")
NORMALIZATIONS = ("nfc", "nfkc", "none")

# Gates of each cell: how many blocks of `units` columns its kernels have.
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class Setting:
    """What a setting means and which values it takes; options and files are checked by it.

    Attributes:
        help: a phrase for `--help`.
        low: the least value.
        high: the greatest value.
        above: whether the least value itself is excluded.
        below: whether the greatest value itself is excluded.
        choices: the names it may be; empty for a number or a switch.
        most: how many numbers a tuple may have.
    """

    help: str
    low: float = 0
    high: float = 0
    above: bool = False
    below: bool = False
    choices: tuple[str, ...] = ()
    most: int = 1


def setting(default: Any, help: str, low: float = 0, high: float = 0, **more: Any) -> Any:
    """A dataclass field that carries its `Setting` as metadata."""
    return field(default=default, metadata={"setting": Setting(help, low, high, **more)})


@dataclass(frozen=True)
class Cleaning:
    """How a text is cleaned before it is cut into characters; prompts are cleaned alike."""

    lowercase: bool = setting(False, "Convert to lower case.")
    normalize: str = setting("nfc", "Unicode normalisation form.", choices=NORMALIZATIONS)
    ascii: bool = setting(
        False, "Write quotes, dashes and accents in ASCII; drop all other characters."
    )
    tokenize: bool = setting(
        False, "Split into NLTK's word tokens, separated by one space; line breaks are lost."
    )
    drop_stopwords: bool = setting(
        False, "Drop NLTK's English stop words (the, of, ...); implies --tokenize."
    )


@dataclass(frozen=True)
class ModelConfig:
    """The architecture: a stack of recurrent layers between one-hot input and logits.

    Targets are `every` (each next character, state carried) or `last` (only the character after
    the window, from a zero state).
    """

    cell: str = setting("lstm", "Recurrent cell.", choices=CELLS)
    units: tuple[int, ...] = setting(
        (256, 256), "Units of each layer, such as 256,256,128.", 1, 8192, most=16
    )
    dropout: float = setting(0.2, "Share of each layer's outputs to drop.", 0, 1, below=True)
    seq_length: int = setting(64, "Window length in characters.", 1, 65536)
    targets: str = setting(
        "every",
        "Predict the character after each one of a window, or after the window only.",
        choices=TARGETS,
    )

    @property
    def num_layers(self) -> int:
        """How many recurrent layers are stacked."""
        return len(self.units)

    def parameters(self, vocabulary_size: int) -> int:
        """How many numbers the model learns."""
        return sum(map(math.prod, self.weight_shapes(vocabulary_size).values()))

    def weight_shapes(self, vocabulary_size: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all weights, in the order in which Keras keeps them.

        Kernels are (inputs, gates * units), gates in Keras's order: i, f, c, o for
        LSTM; z, r, h for GRU, whose bias is (2, 3 * units) because of `reset_after`.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        inputs = vocabulary_size
        for layer, units in enumerate(self.units):
            columns = GATES[self.cell] * units
            shapes[f"layer_{layer}/kernel"] = (inputs, columns)
            shapes[f"layer_{layer}/recurrent_kernel"] = (units, columns)
            shapes[f"layer_{layer}/bias"] = (2, columns) if self.cell == "gru" else (columns,)
            inputs = units
        shapes["logits/kernel"] = (inputs, vocabulary_size)
        shapes["logits/bias"] = (vocabulary_size,)
        return shapes


@dataclass(frozen=True)
class SampleConfig:
    """Sampling defaults; they travel in the model file."""

    length: int = setting(500, "Characters of a text.", 0, 10**9)
    temperatures: tuple[float, ...] = setting(
        (0.8,), "Temperatures; each gives a text.", 0, 100, most=64
    )


# Limits of a run; beyond them numbers would overflow.
MOST_ROWS = 1 << 20  # of a batch, and characters from one window to the next
MOST_EPOCHS = 10**9
MOST_MINUTES = 1e9
LEAST_SPLIT = 1e-6  # the share that is trained on may be as small

PRECISIONS = ("float32", "mixed_bfloat16")
SCHEDULES = ("constant", "cosine")
OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd", "nadam", "adagrad")


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; the settings themselves say what they mean.

    Training ends after `epochs` passes or `minutes` of the whole command, of which one may be
    None. The schedule `cosine` is a short warm-up, then down to 1 % at the end. Dropped recurrent
    weights are the same for the whole batch and window (Merity, Keskar and Socher 2018).
    """

    batch_size: int = setting(32, "Windows in a step.", 1, MOST_ROWS)
    epochs: int | None = setting(10, "Passes over the text.", 1, MOST_EPOCHS)
    minutes: float | None = setting(
        None,
        "Time for the whole command; model and schedule are sized to it.",
        0,
        MOST_MINUTES,
        above=True,
    )
    step: int = setting(1, "Stride between windows (targets last only).", 1, MOST_ROWS)
    optimizer: str = setting(
        "adam",
        "Keras optimizer, with Keras's defaults (adamw: weight decay 0.004).",
        choices=OPTIMIZERS,
    )
    learning_rate: float = setting(0.005, "Peak learning rate.", 0, 1e6, above=True)
    schedule: str = setting("cosine", "Course of the learning rate.", choices=SCHEDULES)
    clipnorm: float | None = setting(1.0, "Largest global norm of the gradients.", 0, 1e9)
    input_dropout: float = setting(0.0, "Share of the characters to hide.", 0, 1, below=True)
    weight_dropout: float = setting(
        0.0, "Share of the recurrent weights to drop.", 0, 1, below=True
    )
    validation_split: float = setting(
        0.1,
        "Share of each text to hold out, from its end; of a list, random items.",
        LEAST_SPLIT,
        1 - LEAST_SPLIT,
    )
    list: bool = setting(
        False,
        "Take each line as an item of its own, and shuffle them.  [default: where the lines "
        "are short and sorted]",
    )
    patience: int | None = setting(
        5, "Evaluations without improvement before training stops.", 1, MOST_EPOCHS
    )
    seed: int = setting(
        0, "Seed for everything random: weights, order of the data, dropout.", 0, 2**53
    )
    precision: str = setting(
        "float32", "Precision of the layers' products (docs/scale.md).", choices=PRECISIONS
    )


@dataclass(frozen=True)
class Preset:
    """A complete configuration: how text is cleaned, what is trained and how, how it is sampled."""

    model: ModelConfig
    train: TrainConfig
    cleaning: Cleaning = Cleaning()
    sampling: SampleConfig = SampleConfig()


PRESETS = {
    # The Keras example "Character-level text generation with LSTM" (fchollet, 2015).
    "nietzsche": Preset(
        model=ModelConfig(units=(128,), dropout=0.0, seq_length=40, targets="last"),
        train=TrainConfig(
            batch_size=128,
            epochs=6,
            step=3,
            optimizer="rmsprop",
            learning_rate=0.01,
            schedule="constant",
            clipnorm=None,
            patience=None,
        ),
        cleaning=Cleaning(lowercase=True),
        sampling=SampleConfig(length=400, temperatures=(0.2, 0.5, 1.0, 1.2)),
    ),
    # The three-layer network of the Cat in the Hat tutorial.
    "cat-in-the-hat": Preset(
        model=ModelConfig(units=(256, 256, 128), dropout=0.2, seq_length=100, targets="last"),
        train=TrainConfig(
            batch_size=256,
            epochs=4,
            step=1,
            optimizer="adam",
            learning_rate=0.001,
            schedule="constant",
            clipnorm=None,
            patience=None,
        ),
        cleaning=Cleaning(tokenize=True),
        sampling=SampleConfig(length=1000, temperatures=(0.0,)),
    ),
}
