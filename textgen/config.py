"""What a model is and what a run is: frozen dataclasses, and the presets."""

from dataclasses import dataclass, field

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
