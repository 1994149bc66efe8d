"""What a model is and what a run is: frozen dataclasses, and the presets."""

from dataclasses import dataclass

CELLS = ("lstm", "gru", "rnn")
TARGETS = ("every", "last")
NORMALIZATIONS = ("nfc", "nfkc", "none")

# Gates of each cell: how many blocks of `units` columns its kernels have.
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class Cleaning:
    """How a text is cleaned before it is cut into characters; prompts are cleaned alike."""

    lowercase: bool = False
    normalize: str = "nfc"
    ascii: bool = False
    tokenize: bool = False
    drop_stopwords: bool = False


@dataclass(frozen=True)
class ModelConfig:
    """The architecture: a stack of recurrent layers between one-hot input and logits.

    Attributes:
        cell: one of `CELLS`.
        units: the width of each layer, first layer first.
        dropout: share of each layer's outputs that is zeroed in training, 0 to below 1.
        seq_length: window length in characters.
        targets: `every` (each next character, state carried) or `last` (only the
            character after the window, from a zero state).
    """

    cell: str = "lstm"
    units: tuple[int, ...] = (256, 256)
    dropout: float = 0.2
    seq_length: int = 64
    targets: str = "every"

    @property
    def num_layers(self) -> int:
        """How many recurrent layers are stacked."""
        return len(self.units)

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

    length: int = 500
    temperatures: tuple[float, ...] = (0.8,)


# What a run may be told to do; with more, numbers would overflow.
MOST_ROWS = 1 << 20  # of a batch, and characters from one window to the next
MOST_EPOCHS = 10**9
MOST_MINUTES = 1e9
LEAST_SPLIT = 1e-6  # the share that is trained on may be as small

PRECISIONS = ("float32", "mixed_bfloat16")
OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd", "nadam", "adagrad")


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Attributes:
        batch_size: rows of the global batch.
        epochs: passes over the training text at most; None where only `minutes` limits it.
        minutes: wall-clock budget of the whole command, or None.
        step: stride between windows in characters (targets last only).
        optimizer: one of `OPTIMIZERS`, with Keras's defaults; so `adamw` decays all weights by
            0.004 times the learning rate at each step.
        learning_rate: the highest one of the schedule.
        schedule: `constant`, or `cosine` (a short warm-up, then down to 1 % at the end).
        clipnorm: largest global norm of the gradients, or None.
        input_dropout: share of the characters that the network reads as none, 0 to below 1.
        weight_dropout: share of the recurrent weights that is zeroed in a step, the same ones
            for the whole batch and window (Merity, Keskar and Socher 2018), 0 to below 1.
        validation_split: share of the text, its tail, that is held out.
        patience: evaluations without a better hold-out loss before training stops, or None.
        seed: of the initial weights, the order of the data and the dropout masks.
        precision: one of `PRECISIONS`, Keras's dtype policy of the recurrent layers; weights are
            float32.
    """

    batch_size: int = 32
    epochs: int | None = 10
    minutes: float | None = None
    step: int = 1
    optimizer: str = "adam"
    learning_rate: float = 0.005
    schedule: str = "cosine"
    clipnorm: float | None = 1.0
    input_dropout: float = 0.0
    weight_dropout: float = 0.0
    validation_split: float = 0.1
    patience: int | None = 5
    seed: int = 0
    precision: str = "float32"


@dataclass(frozen=True)
class Preset:
    """A whole program: how text is cleaned, what is trained and how, how it is sampled."""

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
