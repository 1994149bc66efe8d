"""The Keras model: our fast layers to train with, Keras's stock layers in the file to keep."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from textgen.config import ModelConfig
from textgen.storage.keras_archive import KerasArchive
from textgen.training import recurrence

STOCK_CELLS = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}
CONFIG = "config.json"  # where a Keras archive describes the layers
FAST_CELLS = {"lstm": recurrence.LSTM, "gru": recurrence.GRU, "rnn": recurrence.SimpleRNN}

# The recurrent state of every layer: [[h, c], ...] for LSTM, [[h], ...] otherwise,
# each (batch, units) float32.
States = list[list[tf.Tensor]]


class StackedModel(keras.Model):
    """The model in training: recurrent state goes in and comes out, one entry a layer.

    Args:
        config: the architecture.
        vocabulary_size: distinct characters.
        precision: Keras's dtype policy of the recurrent layers; states and logits are float32.
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int, precision: str = "float32"):
        super().__init__(name="textgen", dtype=precision)
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.recurrent = [
            FAST_CELLS[config.cell](
                units, return_sequences=True, return_state=True, dtype=precision
            )
            for units in config.units
        ]
        self.logits = layers.Dense(vocabulary_size)
        inputs = vocabulary_size
        for layer in self.recurrent:
            layer.build((None, None, inputs))
            inputs = layer.units
        self.logits.build((None, inputs))
        self.built = True

    def zero_state(self, batch_size: int) -> States:
        """The state at the start of a text."""
        kinds = 2 if self.config.cell == "lstm" else 1
        return [
            [tf.zeros((batch_size, units)) for _ in range(kinds)] for units in self.config.units
        ]

    def call(
        self,
        ids: tf.Tensor,
        states: States,
        drop: Callable[[int, tf.Tensor], tf.Tensor] | None = None,
    ) -> tuple[tf.Tensor, States]:
        """Logits of the characters after `ids`.

        Args:
            ids: (batch, time) int32; `vocabulary_size` stands for no character.
            states: before the first of them.
            drop: dropout of a layer's outputs (batch, time, units), by its number.

        Returns:
            Logits (batch, time, vocabulary), or (batch, vocabulary) for targets last; and
            the states after the last character.
        """
        outputs, after = ids, []
        for number, (layer, before) in enumerate(zip(self.recurrent, states, strict=True)):
            outputs, *state = layer.window(outputs, before)
            after.append(state)
            if drop is not None:
                outputs = drop(number, outputs)
        if self.config.targets == "last":
            outputs = outputs[:, -1]
        return self.logits(tf.cast(outputs, tf.float32)), after


def stock_model(config: ModelConfig, vocabulary_size: int) -> keras.Model:
    """The same network of Keras's own layers, from ids (batch, time) int32 to logits.

    One-hot happens inside. A functional model with `keras.ops.one_hot` is what
    `keras.saving.load_model` opens without custom objects. All names are fixed, because Keras's
    own count the layers that the process has made.

    Returns:
        A model with logits (batch, time, vocabulary) for targets every, else
        (batch, vocabulary) for the character after the window.
    """
    inputs = keras.Input((None,), dtype="int32", name="ids")
    outputs = ops.one_hot(inputs, vocabulary_size)
    for layer, units in enumerate(config.units):
        sequences = config.targets == "every" or layer < config.num_layers - 1
        cell = STOCK_CELLS[config.cell]
        outputs = cell(units, return_sequences=sequences, name=f"layer_{layer}")(outputs)
        outputs = layers.Dropout(config.dropout, name=f"dropout_{layer}")(outputs)
    logits = layers.Dense(vocabulary_size, name="logits")(outputs)
    model = keras.Model(inputs, logits, name="textgen")
    next(op for op in model.operations if op.name.startswith("one_hot")).name = "one_hot"
    return model


def keras_archive(config: ModelConfig, vocabulary_size: int) -> KerasArchive:
    """Keras's archive of the stock model, whose initial weights are of no importance."""
    model = stock_model(config, vocabulary_size)
    with tempfile.TemporaryDirectory(prefix="textgen-") as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        found = KerasArchive.read(path.read_bytes(), config, vocabulary_size)
    description = _without_addresses(json.loads(found.members[CONFIG]))
    return replace(found, members={**found.members, CONFIG: json.dumps(description).encode()})


def _without_addresses(value: Any) -> Any:
    """Keras's description of a model without the memory addresses of its objects."""
    if isinstance(value, dict):
        return {
            key: _without_addresses(item)
            for key, item in value.items()
            if key != "shared_object_id"
        }
    if isinstance(value, list):
        return [_without_addresses(item) for item in value]
    return value
