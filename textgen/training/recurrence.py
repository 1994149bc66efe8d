"""The fast LSTM, GRU and SimpleRNN: stock Keras's weights and results, in less time.

`LSTM`, `GRU` and `SimpleRNN` are those of `keras.layers` with the same constructor, weights,
outputs and gradients (to float32 rounding). On a GPU, and for configurations that no
textgen model has, they leave the work to stock Keras. Masks are refused.

`lstm`, `gru` and `simple_rnn` are the same layers as functions of tensors, time-major:
(time, batch, features). They also take integer ids (time, batch) and gather rows of the kernel
where a layer would multiply it by a one-hot matrix; the layers do so in `window`.

How a layer works (Appleyard, Kocisky and Blunsom 2016, "Optimizing Performance of Recurrent
Neural Networks on GPUs"): the input projection of the whole window is one product before the
loop; the backward loop only forms the gate gradients, and the weight gradients are one product
each after it. The loops are XLA programs. The products after them are TensorFlow's own, which
for bfloat16 are twice as fast as XLA's, unless all this is part of a larger XLA program.

The dtype of the kernels is that of the products: with bfloat16 they take half the time on a
processor that multiplies it. Their sums, the states and all else stay float32.
"""

from collections.abc import Callable
from functools import wraps
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


def _array(size: Any, width: int, dtype: tf.DType = tf.float32) -> tf.TensorArray:
    kept = tf.uint16 if dtype == tf.bfloat16 else dtype
    return tf.TensorArray(kept, size, element_shape=[None, width])


def _write(array: tf.TensorArray, t: tf.Tensor, values: tf.Tensor) -> tf.TensorArray:
    """Write float32 values as what `array` keeps: float32, or the bits of bfloat16.

    XLA copies a whole bfloat16 array at each write into it, but not one of integers.
    """
    if array.dtype == tf.uint16:
        values = tf.bitcast(tf.cast(values, tf.bfloat16), tf.uint16)
    return array.write(t, values)


def _stacked(array: tf.TensorArray) -> tf.Tensor:
    """All that was written: float32 or bfloat16."""
    values = array.stack()
    return tf.bitcast(values, tf.bfloat16) if array.dtype == tf.uint16 else values


def _product(rows: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """rows @ kernel in the kernel's dtype, summed in float32."""
    if kernel.dtype == tf.float32:
        return rows @ kernel
    return tf.raw_ops.BatchMatMulV3(x=tf.cast(rows, kernel.dtype), y=kernel, Tout=tf.float32)


def _columns(stacked: tf.Tensor, t: tf.Tensor, block: int, units: int) -> tf.Tensor:
    """Block `block` of `units` columns of a (time, batch, columns) array at time t, float32.

    A slice of its own for each gate: XLA turns it into vector code, which it does not where two
    gates are cut from one slice.
    """
    _, batch, _ = _sizes(stacked)
    part = tf.slice(stacked, tf.stack([t, 0, block * units]), tf.stack([1, batch, units]))
    return tf.cast(tf.reshape(part, tf.stack([batch, units])), tf.float32)


def _projection(
    inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
) -> Callable[[tf.Tensor], tf.Tensor]:
    """inputs @ kernel + bias as a function of time: t -> (batch, columns)."""
    if inputs.dtype.is_integer:
        rows = tf.concat([kernel, tf.zeros([1, kernel.shape[1]], kernel.dtype)], 0)
        table = tf.cast(rows, tf.float32) + bias
        return lambda t: tf.gather(table, inputs[t])
    time, batch, _ = _sizes(inputs)
    projected = _product(_rows(inputs), kernel) + bias
    projected = tf.reshape(projected, tf.stack([time, batch, kernel.shape[1]]))
    return lambda t: projected[t]


def _previous(outputs: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
    """The state that each step began with: `outputs` one step later in time."""
    return tf.concat([initial[None], outputs[:-1]], 0)


def _compiled(function: Callable) -> Callable:
    """The function as an XLA program of its own; inside a larger one it is a part of that."""
    return tf.function(function, jit_compile=True, autograph=False)


def _differentiable(backward: Callable) -> Callable:
    """Make a layer of its forward loop.

    The forward loop returns outputs (time, batch, units), the states after the window, and what
    the backward loop needs. That one takes the latter, the outputs, the states before, the
    transposed recurrent kernel, and the gradients of outputs and of the states after. It returns
    the gradients of the input projection and of the recurrent one, both (time, batch, columns),
    of the bias, and of the states before.
    """

    def layer_of(forward: Callable) -> Callable:
        forth, back = _compiled(forward), _compiled(backward)

        @wraps(forward)
        @tf.custom_gradient
        def layer(
            inputs: tf.Tensor,
            kernel: tf.Tensor,
            recurrent_kernel: tf.Tensor,
            bias: tf.Tensor,
            *states: tf.Tensor,
        ) -> tuple[tuple, Callable]:
            # The tape must not prepare gradients of its own for the forward loop.
            unwatched = (tf.stop_gradient(x) for x in (inputs, kernel, recurrent_kernel, bias))
            outputs, after, kept = forth(*unwatched, *map(tf.stop_gradient, states))

            def gradient(d_outputs: tf.Tensor, *d_after: tf.Tensor) -> tuple:
                # Transposed here: where XLA sees it, it makes it part of each product.
                transposed = tf.transpose(recurrent_kernel)
                d_inward, d_recurrent, d_bias, d_states = back(
                    kept, outputs, states, transposed, d_outputs, d_after
                )
                before = _rows(_previous(outputs, tf.cast(states[0], outputs.dtype)))
                d_inputs, d_kernel = _projection_gradients(inputs, kernel, _rows(d_inward))
                d_recurrent_kernel = tf.matmul(before, _rows(d_recurrent), transpose_a=True)
                return d_inputs, d_kernel, d_recurrent_kernel, d_bias, *d_states

            return (outputs, *after), gradient

        return layer

    return layer_of


def _projection_gradients(
    inputs: tf.Tensor, kernel: tf.Tensor, gates: tf.Tensor
) -> tuple[tf.Tensor | None, tf.Tensor]:
    """Gradients of inputs and kernel from those of the projection, (time * batch, columns)."""
    if inputs.dtype.is_integer:
        one_hot = tf.one_hot(tf.reshape(inputs, [-1]), kernel.shape[0], dtype=gates.dtype)
        return None, tf.matmul(one_hot, gates, transpose_a=True)
    d_inputs = tf.reshape(tf.matmul(gates, kernel, transpose_b=True), tf.shape(inputs))
    return d_inputs, tf.matmul(_rows(inputs), gates, transpose_a=True)


def _sigmoid(half_tanh: tf.Tensor) -> tf.Tensor:
    """sigmoid(x) from tanh(x / 2)."""
    return half_tanh * 0.5 + 0.5


def _lstm_back(
    kept: tuple,
    outputs: tf.Tensor,
    states: tuple,
    transposed: tf.Tensor,
    d_outputs: tf.Tensor,
    d_after: tuple,
) -> tuple:
    gates, carries = kept
    time, batch, units = _sizes(outputs)
    before = _previous(carries, states[1])

    def step_back(t, d_h, d_c, d_bias, d_gates):  # type: ignore[no-untyped-def]
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
        return t, _product(d_z, transposed), d_c * f, d_bias + d_z, _write(d_gates, t, d_z)

    array = _array(time, 4 * units, transposed.dtype)
    d_bias = tf.zeros(tf.stack([batch, 4 * units]))
    _, d_h, d_c, d_bias, array = tf.while_loop(
        lambda t, *_: t > 0, step_back, (time, *d_after, d_bias, array)
    )
    d_gates = _stacked(array)
    return d_gates, d_gates, tf.reduce_sum(d_bias, 0), (d_h, d_c)


@_differentiable(_lstm_back)
def lstm(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    hidden: tf.Tensor,
    carry: tf.Tensor,
) -> tuple:
    """An LSTM layer over a window, with Keras's weights: gates i, f, c, o.

    Args:
        inputs: (time, batch, features) in the kernels' dtype, or ids (time, batch) int32 that
            stand for one-hot rows; `features` stands for a row of zeros.
        kernel: (features, 4 * units), float32 or bfloat16.
        recurrent_kernel: (units, 4 * units), the same dtype.
        bias: (4 * units,) float32.
        hidden: the state h before the window, (batch, units) float32.
        carry: the state c before the window, (batch, units) float32.

    Returns:
        outputs (time, batch, units) in the kernels' dtype, and the states h and c after the
        window, float32.
    """
    units = recurrent_kernel.shape[0]
    time = _sizes(inputs)[0]
    # sigmoid(x) = tanh(x / 2) / 2 + 1/2: with the inner half in the weights, one pass of tanh
    # serves all four gates.
    half = tf.repeat(tf.constant([0.5, 0.5, 1.0, 0.5]), units)
    projected = _projection(inputs, kernel * tf.cast(half, kernel.dtype), bias * half)
    recurrent = recurrent_kernel * tf.cast(half, kernel.dtype)

    def step(t, h, c, gates, carries, outputs):  # type: ignore[no-untyped-def]
        activated = tf.tanh(projected(t) + _product(h, recurrent))
        i, f, g, o = tf.split(activated, 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * g
        h = _sigmoid(o) * tf.tanh(c)
        return (
            t + 1,
            h,
            c,
            _write(gates, t, activated),
            _write(carries, t, c),
            _write(outputs, t, h),
        )

    arrays = (_array(time, 4 * units), _array(time, units), _array(time, units, kernel.dtype))
    _, last_h, last_c, gates, carries, outputs = tf.while_loop(
        lambda t, *_: t < time, step, (0, hidden, carry, *arrays)
    )
    return _stacked(outputs), (last_h, last_c), (_stacked(gates), _stacked(carries))


def _gru_back(
    kept: tuple,
    outputs: tf.Tensor,
    states: tuple,
    transposed: tf.Tensor,
    d_outputs: tf.Tensor,
    d_after: tuple,
) -> tuple:
    gates, candidates = kept
    time, batch, units = _sizes(outputs)
    before = _previous(outputs, tf.cast(states[0], outputs.dtype))

    def step_back(t, d_h, d_bias, d_inward, d_recurrent):  # type: ignore[no-untyped-def]
        t = t - 1
        z, r, g = (_columns(gates, t, k, units) for k in range(3))
        z, r = _sigmoid(z), _sigmoid(r)
        d_h = d_h + _columns(d_outputs, t, 0, units)
        d_g = d_h * (1 - z) * (1 - g * g)
        h = _columns(before, t, 0, units)
        d_z = d_h * (h - g) * z * (1 - z)
        d_r = d_g * _columns(candidates, t, 0, units) * r * (1 - r)
        inward = tf.concat([d_z, d_r, d_g], axis=1)
        recurrent = tf.concat([d_z, d_r, d_g * r], axis=1)
        return (
            t,
            d_h * z + _product(recurrent, transposed),
            d_bias + tf.stack([inward, recurrent]),
            _write(d_inward, t, inward),
            _write(d_recurrent, t, recurrent),
        )

    arrays = (_array(time, 3 * units, transposed.dtype) for _ in range(2))
    d_bias = tf.zeros(tf.stack([2, batch, 3 * units]))
    _, d_h, d_bias, d_inward, d_recurrent = tf.while_loop(
        lambda t, *_: t > 0, step_back, (time, *d_after, d_bias, *arrays)
    )
    return _stacked(d_inward), _stacked(d_recurrent), tf.reduce_sum(d_bias, 1), (d_h,)


@_differentiable(_gru_back)
def gru(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    hidden: tf.Tensor,
) -> tuple:
    """A GRU layer over a window, with Keras's weights (`reset_after`): gates z, r, h.

    Args:
        inputs: (time, batch, features) in the kernels' dtype, or ids (time, batch) int32 that
            stand for one-hot rows; `features` stands for a row of zeros.
        kernel: (features, 3 * units), float32 or bfloat16.
        recurrent_kernel: (units, 3 * units), the same dtype.
        bias: (2, 3 * units) float32: of the input projection and of the recurrent one.
        hidden: the state before the window, (batch, units) float32.

    Returns:
        outputs (time, batch, units) in the kernels' dtype, and the state after the window,
        float32.
    """
    units = recurrent_kernel.shape[0]
    time = _sizes(inputs)[0]
    half = tf.repeat(tf.constant([0.5, 0.5, 1.0]), units)
    projected = _projection(inputs, kernel * tf.cast(half, kernel.dtype), bias[0] * half)
    recurrent = recurrent_kernel * tf.cast(half, kernel.dtype)
    recurrent_bias = bias[1] * half

    def step(t, h, gates, candidates, outputs):  # type: ignore[no-untyped-def]
        x_z, x_r, x_g = tf.split(projected(t), 3, axis=1)
        h_z, h_r, h_g = tf.split(_product(h, recurrent) + recurrent_bias, 3, axis=1)
        z, r = tf.tanh(x_z + h_z), tf.tanh(x_r + h_r)
        g = tf.tanh(x_g + _sigmoid(r) * h_g)
        h = g + _sigmoid(z) * (h - g)
        activated = tf.concat([z, r, g], axis=1)
        return (
            t + 1,
            h,
            _write(gates, t, activated),
            _write(candidates, t, h_g),
            _write(outputs, t, h),
        )

    arrays = (_array(time, 3 * units), _array(time, units), _array(time, units, kernel.dtype))
    _, last_h, gates, candidates, outputs = tf.while_loop(
        lambda t, *_: t < time, step, (0, hidden, *arrays)
    )
    return _stacked(outputs), (last_h,), (_stacked(gates), _stacked(candidates))


def _simple_rnn_back(
    kept: tuple,
    outputs: tf.Tensor,
    states: tuple,
    transposed: tf.Tensor,
    d_outputs: tf.Tensor,
    d_after: tuple,
) -> tuple:
    time, batch, units = _sizes(outputs)

    def step_back(t, d_h, d_bias, d_sums):  # type: ignore[no-untyped-def]
        t = t - 1
        h = _columns(outputs, t, 0, units)
        d_h = d_h + _columns(d_outputs, t, 0, units)
        d_z = d_h * (1 - h * h)
        return t, _product(d_z, transposed), d_bias + d_z, _write(d_sums, t, d_z)

    array = _array(time, units, transposed.dtype)
    d_bias = tf.zeros(tf.stack([batch, units]))
    _, d_h, d_bias, array = tf.while_loop(
        lambda t, *_: t > 0, step_back, (time, *d_after, d_bias, array)
    )
    d_sums = _stacked(array)
    return d_sums, d_sums, tf.reduce_sum(d_bias, 0), (d_h,)


@_differentiable(_simple_rnn_back)
def simple_rnn(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    hidden: tf.Tensor,
) -> tuple:
    """A SimpleRNN layer over a window, with Keras's weights and tanh.

    Args:
        inputs: (time, batch, features) in the kernels' dtype, or ids (time, batch) int32 that
            stand for one-hot rows; `features` stands for a row of zeros.
        kernel: (features, units), float32 or bfloat16.
        recurrent_kernel: (units, units), the same dtype.
        bias: (units,) float32.
        hidden: the state before the window, (batch, units) float32.

    Returns:
        outputs (time, batch, units) in the kernels' dtype, and the state after the window,
        float32.
    """
    units = recurrent_kernel.shape[0]
    time = _sizes(inputs)[0]
    projected = _projection(inputs, kernel, bias)

    def step(t, h, outputs):  # type: ignore[no-untyped-def]
        h = tf.tanh(projected(t) + _product(h, recurrent_kernel))
        return t + 1, h, _write(outputs, t, h)

    _, last_h, outputs = tf.while_loop(
        lambda t, *_: t < time, step, (0, hidden, _array(time, units, kernel.dtype))
    )
    return _stacked(outputs), (last_h,), ()


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

    function = staticmethod(lstm)


class GRU(_Fast, keras.layers.GRU):
    """`keras.layers.GRU`, faster on a CPU; same arguments, weights and results."""

    function = staticmethod(gru)


class SimpleRNN(_Fast, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`, faster on a CPU; same arguments, weights and results."""

    function = staticmethod(simple_rnn)
