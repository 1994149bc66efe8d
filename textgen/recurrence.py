"""The fast LSTM, GRU and SimpleRNN: stock Keras's weights and results, in less time.

`LSTM`, `GRU` and `SimpleRNN` are those of `keras.layers` with the same constructor, weights,
outputs and gradients (to float32 rounding). On a GPU, and for configurations that no
textgen model has, they leave the work to stock Keras. Masks are refused.

`lstm`, `gru` and `simple_rnn` are the same layers as functions of tensors, time-major:
(time, batch, features). They also take integer ids (time, batch) and gather rows of the kernel
where a layer would multiply it by a one-hot matrix; the layers do so in `of_ids`.

How a layer works (Appleyard, Kocisky and Blunsom 2016, "Optimizing Performance of Recurrent
Neural Networks on GPUs"): the input projection of the whole window is one product before the
loop; the backward loop only forms the gate gradients, and the weight gradients are one product
each after it. All of it is meant for XLA.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def _sizes(tensor: tf.Tensor) -> list[Any]:
    """The sizes of a tensor: numbers where they are known, else scalar tensors."""
    dynamic = tf.shape(tensor)
    return [dynamic[i] if n is None else n for i, n in enumerate(tensor.shape)]


def _rows(tensor: tf.Tensor) -> tf.Tensor:
    """(time, batch, features) as the matrix (time * batch, features)."""
    return tf.reshape(tensor, [-1, tensor.shape[-1]])


def _array(size: Any, width: int) -> tf.TensorArray:
    return tf.TensorArray(tf.float32, size, element_shape=[None, width])


def _columns(stacked: tf.Tensor, t: tf.Tensor, block: int, units: int) -> tf.Tensor:
    """Block `block` of `units` columns of a (time, batch, columns) array at time t.

    A slice of its own for each gate: XLA turns it into vector code, which it does not where two
    gates are cut from one slice.
    """
    _, batch, _ = _sizes(stacked)
    part = tf.slice(stacked, tf.stack([t, 0, block * units]), tf.stack([1, batch, units]))
    return tf.reshape(part, tf.stack([batch, units]))


def _projection(
    inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
) -> Callable[[tf.Tensor], tf.Tensor]:
    """inputs @ kernel + bias as a function of time: t -> (batch, columns)."""
    if inputs.dtype.is_integer:
        table = tf.concat([kernel, tf.zeros([1, kernel.shape[1]])], 0) + bias
        return lambda t: tf.gather(table, inputs[t])
    time, batch, _ = _sizes(inputs)
    projected = tf.reshape(_rows(inputs) @ kernel + bias, tf.stack([time, batch, kernel.shape[1]]))
    return lambda t: projected[t]


def _projection_gradients(
    inputs: tf.Tensor, kernel: tf.Tensor, gates: tf.Tensor
) -> tuple[tf.Tensor | None, tf.Tensor, tf.Tensor]:
    """Gradients of inputs, kernel and bias from those of the projection, (time, batch, columns)."""
    flat = _rows(gates)
    if inputs.dtype.is_integer:
        one_hot = tf.one_hot(tf.reshape(inputs, [-1]), kernel.shape[0])
        return None, tf.matmul(one_hot, flat, transpose_a=True), tf.reduce_sum(flat, 0)
    d_inputs = tf.reshape(tf.matmul(flat, kernel, transpose_b=True), tf.shape(inputs))
    d_kernel = tf.matmul(_rows(inputs), flat, transpose_a=True)
    return d_inputs, d_kernel, tf.reduce_sum(flat, 0)


def _previous(outputs: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
    """The state that each step began with: `outputs` one step later in time."""
    return tf.concat([initial[None], outputs[:-1]], 0)


@tf.custom_gradient
def lstm(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    hidden: tf.Tensor,
    carry: tf.Tensor,
) -> tuple[tuple[tf.Tensor, tf.Tensor, tf.Tensor], Callable]:
    """An LSTM layer over a window, with Keras's weights: gates i, f, c, o.

    Args:
        inputs: (time, batch, features) float32, or ids (time, batch) int32 that stand for
            one-hot rows; `features` stands for a row of zeros.
        kernel: (features, 4 * units).
        recurrent_kernel: (units, 4 * units).
        bias: (4 * units,).
        hidden: the state h before the window, (batch, units).
        carry: the state c before the window, (batch, units).

    Returns:
        outputs (time, batch, units), and the states h and c after the window.
    """
    units = recurrent_kernel.shape[0]
    time = _sizes(inputs)[0]
    # sigmoid(x) = tanh(x / 2) / 2 + 1/2: with the inner half in the weights, one pass of tanh
    # serves all four gates.
    half = tf.repeat(tf.constant([0.5, 0.5, 1.0, 0.5]), units)
    projected = _projection(inputs, kernel * half, bias * half)
    recurrent = recurrent_kernel * half

    def step(t, h, c, gates, carries, outputs):  # type: ignore[no-untyped-def]
        activated = tf.tanh(projected(t) + h @ recurrent)
        i, f, g, o = tf.split(activated, 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * g
        h = _sigmoid(o) * tf.tanh(c)
        return (
            t + 1,
            h,
            c,
            gates.write(t, activated),
            carries.write(t, c),
            outputs.write(t, h),
        )

    arrays = (_array(time, 4 * units), _array(time, units), _array(time, units))
    _, last_h, last_c, gate_array, carry_array, output_array = tf.while_loop(
        lambda t, *_: t < time, step, (0, hidden, carry, *arrays)
    )
    gates, carries, outputs = gate_array.stack(), carry_array.stack(), output_array.stack()

    def gradient(d_outputs: tf.Tensor, d_h: tf.Tensor, d_c: tf.Tensor) -> tuple:
        before = _previous(carries, carry)
        transposed = tf.transpose(recurrent_kernel)

        def step_back(t, d_h, d_c, d_gates):  # type: ignore[no-untyped-def]
            t = t - 1
            i, f, g, o = (_columns(gates, t, k, units) for k in range(4))
            i, f, o = _sigmoid(i), _sigmoid(f), _sigmoid(o)
            squashed = tf.tanh(_columns(carries, t, 0, units))
            d_h = d_h + _columns(d_outputs, t, 0, units)
            d_c = d_c + d_h * o * (1 - squashed * squashed)
            d_z = tf.concat(
                [
                    d_c * g * i * (1 - i),
                    d_c * _columns(before, t, 0, units) * f * (1 - f),
                    d_c * i * (1 - g * g),
                    d_h * squashed * o * (1 - o),
                ],
                axis=1,
            )
            return t, d_z @ transposed, d_c * f, d_gates.write(t, d_z)

        _, d_h, d_c, gate_gradients = tf.while_loop(
            lambda t, *_: t > 0, step_back, (time, d_h, d_c, _array(time, 4 * units))
        )
        d_gates = gate_gradients.stack()
        d_recurrent = tf.matmul(_rows(_previous(outputs, hidden)), _rows(d_gates), transpose_a=True)
        d_inputs, d_kernel, d_bias = _projection_gradients(inputs, kernel, d_gates)
        return d_inputs, d_kernel, d_recurrent, d_bias, d_h, d_c

    return (outputs, last_h, last_c), gradient


def _sigmoid(half_tanh: tf.Tensor) -> tf.Tensor:
    """sigmoid(x) from tanh(x / 2)."""
    return half_tanh * 0.5 + 0.5


@tf.custom_gradient
def gru(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    hidden: tf.Tensor,
) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable]:
    """A GRU layer over a window, with Keras's weights (`reset_after`): gates z, r, h.

    Args:
        inputs: (time, batch, features) float32, or ids (time, batch) int32 that stand for
            one-hot rows; `features` stands for a row of zeros.
        kernel: (features, 3 * units).
        recurrent_kernel: (units, 3 * units).
        bias: (2, 3 * units): of the input projection and of the recurrent one.
        hidden: the state before the window, (batch, units).

    Returns:
        outputs (time, batch, units), and the state after the window.
    """
    units = recurrent_kernel.shape[0]
    time = _sizes(inputs)[0]
    half = tf.repeat(tf.constant([0.5, 0.5, 1.0]), units)
    projected = _projection(inputs, kernel * half, bias[0] * half)
    recurrent, recurrent_bias = recurrent_kernel * half, bias[1] * half

    def step(t, h, gates, candidates, outputs):  # type: ignore[no-untyped-def]
        x_z, x_r, x_g = tf.split(projected(t), 3, axis=1)
        h_z, h_r, h_g = tf.split(h @ recurrent + recurrent_bias, 3, axis=1)
        z, r = tf.tanh(x_z + h_z), tf.tanh(x_r + h_r)
        g = tf.tanh(x_g + _sigmoid(r) * h_g)
        h = g + _sigmoid(z) * (h - g)
        activated = tf.concat([z, r, g], axis=1)
        return (
            t + 1,
            h,
            gates.write(t, activated),
            candidates.write(t, h_g),
            outputs.write(t, h),
        )

    arrays = (_array(time, 3 * units), _array(time, units), _array(time, units))
    _, last_h, gate_array, candidate_array, output_array = tf.while_loop(
        lambda t, *_: t < time, step, (0, hidden, *arrays)
    )
    gates, candidates = gate_array.stack(), candidate_array.stack()
    outputs = output_array.stack()

    def gradient(d_outputs: tf.Tensor, d_h: tf.Tensor) -> tuple:
        before = _previous(outputs, hidden)
        transposed = tf.transpose(recurrent_kernel)

        def step_back(t, d_h, d_inputs, d_recurrents):  # type: ignore[no-untyped-def]
            t = t - 1
            z, r, g = (_columns(gates, t, k, units) for k in range(3))
            z, r = _sigmoid(z), _sigmoid(r)
            d_h = d_h + _columns(d_outputs, t, 0, units)
            d_g = d_h * (1 - z) * (1 - g * g)
            d_z = d_h * (_columns(before, t, 0, units) - g) * z * (1 - z)
            d_r = d_g * _columns(candidates, t, 0, units) * r * (1 - r)
            d_recurrent = tf.concat([d_z, d_r, d_g * r], axis=1)
            return (
                t,
                d_h * z + d_recurrent @ transposed,
                d_inputs.write(t, tf.concat([d_z, d_r, d_g], axis=1)),
                d_recurrents.write(t, d_recurrent),
            )

        _, d_h, input_gates, recurrent_gates = tf.while_loop(
            lambda t, *_: t > 0,
            step_back,
            (time, d_h, _array(time, 3 * units), _array(time, 3 * units)),
        )
        flat = _rows(recurrent_gates.stack())
        d_recurrent = tf.matmul(_rows(before), flat, transpose_a=True)
        d_inputs, d_kernel, d_bias = _projection_gradients(inputs, kernel, input_gates.stack())
        d_biases = tf.stack([d_bias, tf.reduce_sum(flat, 0)])
        return d_inputs, d_kernel, d_recurrent, d_biases, d_h

    return (outputs, last_h), gradient


@tf.custom_gradient
def simple_rnn(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    hidden: tf.Tensor,
) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable]:
    """A SimpleRNN layer over a window, with Keras's weights and tanh.

    Args:
        inputs: (time, batch, features) float32, or ids (time, batch) int32 that stand for
            one-hot rows; `features` stands for a row of zeros.
        kernel: (features, units).
        recurrent_kernel: (units, units).
        bias: (units,).
        hidden: the state before the window, (batch, units).

    Returns:
        outputs (time, batch, units), and the state after the window.
    """
    units = recurrent_kernel.shape[0]
    time = _sizes(inputs)[0]
    projected = _projection(inputs, kernel, bias)

    def step(t, h, outputs):  # type: ignore[no-untyped-def]
        h = tf.tanh(projected(t) + h @ recurrent_kernel)
        return t + 1, h, outputs.write(t, h)

    _, last_h, output_array = tf.while_loop(
        lambda t, *_: t < time, step, (0, hidden, _array(time, units))
    )
    outputs = output_array.stack()

    def gradient(d_outputs: tf.Tensor, d_h: tf.Tensor) -> tuple:
        transposed = tf.transpose(recurrent_kernel)

        def step_back(t, d_h, d_sums):  # type: ignore[no-untyped-def]
            t = t - 1
            h = _columns(outputs, t, 0, units)
            d_z = (d_h + _columns(d_outputs, t, 0, units)) * (1 - h * h)
            return t, d_z @ transposed, d_sums.write(t, d_z)

        _, d_h, sum_array = tf.while_loop(
            lambda t, *_: t > 0, step_back, (time, d_h, _array(time, units))
        )
        d_sums = sum_array.stack()
        d_recurrent = tf.matmul(_rows(_previous(outputs, hidden)), _rows(d_sums), transpose_a=True)
        d_inputs, d_kernel, d_bias = _projection_gradients(inputs, kernel, d_sums)
        return d_inputs, d_kernel, d_recurrent, d_bias, d_h

    return (outputs, last_h), gradient


def _compiled(layer: Callable) -> Callable:
    """The layer as an XLA program of its own; inside a larger one it is a part of that."""
    return tf.function(layer, jit_compile=True, autograph=False)


_LSTM, _GRU, _SIMPLE_RNN = _compiled(lstm), _compiled(gru), _compiled(simple_rnn)


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
            and cell.compute_dtype == "float32"
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
        return states[0], outputs if self.return_sequences else states[0][:, None], states

    def of_ids(self, ids: tf.Tensor, initial_state: list[tf.Tensor]) -> tuple:
        """The layer's outputs and states for one-hot input, without making it.

        Args:
            ids: (batch, time) int32; the number of features stands for a row of zeros.
            initial_state: before the window, each (batch, units).

        Returns:
            outputs (batch, time, units), and each state after the window.
        """
        if self.served():
            return self._run(ids, initial_state)
        one_hot = keras.ops.one_hot(ids, self.cell.kernel.shape[0])
        return self(one_hot, initial_state=initial_state)

    def _run(self, inputs: tf.Tensor, states: list[tf.Tensor]) -> tuple:
        """Run the layer's function, which is time-major, on (batch, time, ...)."""
        cell = self.cell
        weights = (cell.kernel, cell.recurrent_kernel, cell.bias)
        outputs, *after = type(self).function(
            tf.transpose(inputs, [1, 0, *range(2, len(inputs.shape))]),
            *(tf.convert_to_tensor(weight) for weight in weights),
            *states,
        )
        return tf.transpose(outputs, [1, 0, 2]), *after


class LSTM(_Fast, keras.layers.LSTM):
    """`keras.layers.LSTM`, faster on a CPU; same arguments, weights and results."""

    function = staticmethod(_LSTM)


class GRU(_Fast, keras.layers.GRU):
    """`keras.layers.GRU`, faster on a CPU; same arguments, weights and results."""

    function = staticmethod(_GRU)


class SimpleRNN(_Fast, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`, faster on a CPU; same arguments, weights and results."""

    function = staticmethod(_SIMPLE_RNN)
