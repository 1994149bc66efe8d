"""The fast LSTM, GRU and SimpleRNN: stock Keras's weights and results, in less time.

They are those of `keras.layers` with the same constructor, weights, outputs and gradients (to
float32 rounding). On a GPU, and for configurations that no textgen model has, they leave the work
to stock Keras. Masks are refused. In `window` they take ids in place of one-hot rows.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from textgen.training import loops


class _Fast(keras.layers.RNN):
    """What the fast layers share; the first base of each, before Keras's class.

    Raises:
        ValueError: at the call, when there is a mask.
    """

    function: Callable

    def served(self) -> bool:
        """Whether this module serves the layer's configuration on this machine."""
        cell = self.cell
        return (
            cell.activation is keras.activations.tanh
            and getattr(cell, "recurrent_activation", None) in (None, keras.activations.sigmoid)
            and getattr(cell, "reset_after", True)
            and cell.use_bias
            and cell.compute_dtype in ("float32", "bfloat16")
            and not (cell.dropout or cell.recurrent_dropout)
            and not (self.go_backwards or self.unroll)
            and not tf.config.list_logical_devices("GPU")
        )

    def inner_loop(
        self, sequences: tf.Tensor, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple:
        """Run the window; see `keras.layers.RNN.inner_loop`."""
        if mask is not None:
            raise ValueError(
                "textgen's recurrent layers take no mask. Received: a mask for `sequences`. "
                "Use windows of one length, or the layers of keras.layers."
            )
        if not self.served():
            return super().inner_loop(sequences, initial_state, mask, training)
        outputs, *states = self._run(sequences, initial_state)
        states = [tf.cast(state, sequences.dtype) for state in states]
        return states[0], outputs if self.return_sequences else states[0][:, None], states

    def window(self, inputs: tf.Tensor, initial_state: list[tf.Tensor]) -> tuple:
        """The layer's outputs and states: as when it is called, but states stay float32.

        Args:
            inputs: (batch, time, features); or ids (batch, time) int32 that stand for one-hot
                rows, which are not made; the number of features stands for a row of zeros.
            initial_state: before the window, each (batch, units) float32.

        Returns:
            outputs (batch, time, units) in the layer's compute dtype, and each state after the
            window, float32.
        """
        if self.served():
            return self._run(inputs, initial_state)
        if inputs.dtype.is_integer:
            inputs = keras.ops.one_hot(inputs, self.cell.kernel.shape[0])
        outputs, *states = self(inputs, initial_state=initial_state)
        return outputs, *(tf.cast(state, tf.float32) for state in states)

    def _run(self, inputs: tf.Tensor, states: list[tf.Tensor]) -> tuple:
        """Run the layer's function, which is time-major, on (batch, time, ...)."""
        cell = self.cell
        inputs = tf.transpose(inputs, [1, 0, *range(2, len(inputs.shape))])
        if not inputs.dtype.is_integer:
            inputs = tf.cast(inputs, cell.compute_dtype)
        outputs, *after = type(self).function(
            inputs,
            tf.cast(cell.kernel, cell.compute_dtype),
            tf.cast(cell.recurrent_kernel, cell.compute_dtype),
            tf.cast(cell.bias, tf.float32),
            *(tf.cast(state, tf.float32) for state in states),
        )
        return tf.transpose(outputs, [1, 0, 2]), *after


class LSTM(_Fast, keras.layers.LSTM):
    """`keras.layers.LSTM`, faster on a CPU; same arguments, weights and results."""

    function = staticmethod(loops.lstm)


class GRU(_Fast, keras.layers.GRU):
    """`keras.layers.GRU`, faster on a CPU; same arguments, weights and results."""

    function = staticmethod(loops.gru)


class SimpleRNN(_Fast, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`, faster on a CPU; same arguments, weights and results."""

    function = staticmethod(loops.simple_rnn)
