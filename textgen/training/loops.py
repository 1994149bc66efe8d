"""`lstm`, `gru` and `simple_rnn`: recurrent layers as functions of tensors.

They are time-major, (time, batch, features), and have the weights of Keras's layers. They also take
integer ids (time, batch) and gather rows of the kernel where a layer would multiply it by a one-hot
matrix.

How one works (Appleyard, Kocisky and Blunsom 2016, "Optimizing Performance of Recurrent Neural
Networks on GPUs"): the input projection of the whole window is one product before the loop; the
backward loop only forms the gate gradients, and the weight gradients are one product each after
it. The loops are XLA programs. The products after them are TensorFlow's own, which for bfloat16
are twice as fast as XLA's, unless all this is part of a larger XLA program.

The dtype of the kernels is that of the products: with bfloat16 they take half the time on a
processor that multiplies it. Their sums, the states and all else stay float32.
"""

import tensorflow as tf

from textgen.training.window import (
    columns,
    differentiable,
    previous,
    product,
    projection,
    sigmoid,
    sizes,
    time_array,
    write,
    written,
)


def _lstm_back(
    kept: tuple,
    outputs: tf.Tensor,
    states: tuple,
    transposed: tf.Tensor,
    d_outputs: tf.Tensor,
    d_after: tuple,
) -> tuple:
    gates, carries = kept
    time, batch, units = sizes(outputs)
    before = previous(carries, states[1])

    def step_back(t, d_h, d_c, d_bias, d_gates):  # type: ignore[no-untyped-def]
        t = t - 1
        i, f, g, o = (columns(gates, t, k, units) for k in range(4))
        i, f, o = sigmoid(i), sigmoid(f), sigmoid(o)
        squashed = tf.tanh(columns(carries, t, 0, units))
        d_h = d_h + columns(d_outputs, t, 0, units)
        d_c = d_c + d_h * o * (1 - squashed * squashed)
        d_z = tf.concat(
            [
                d_c * g * i * (1 - i),
                d_c * columns(before, t, 0, units) * f * (1 - f),
                d_c * i * (1 - g * g),
                d_h * squashed * o * (1 - o),
            ],
            axis=1,
        )
        return t, product(d_z, transposed), d_c * f, d_bias + d_z, write(d_gates, t, d_z)

    array = time_array(time, 4 * units, transposed.dtype)
    d_bias = tf.zeros(tf.stack([batch, 4 * units]))
    _, d_h, d_c, d_bias, array = tf.while_loop(
        lambda t, *_: t > 0, step_back, (time, *d_after, d_bias, array)
    )
    d_gates = written(array)
    return d_gates, d_gates, tf.reduce_sum(d_bias, 0), (d_h, d_c)


@differentiable(_lstm_back)
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
    time = sizes(inputs)[0]
    # sigmoid(x) = tanh(x / 2) / 2 + 1/2: with the inner half in the weights, one pass of tanh
    # serves all four gates.
    half = tf.repeat(tf.constant([0.5, 0.5, 1.0, 0.5]), units)
    projected = projection(inputs, kernel * tf.cast(half, kernel.dtype), bias * half)
    recurrent = recurrent_kernel * tf.cast(half, kernel.dtype)

    def step(t, h, c, gates, carries, outputs):  # type: ignore[no-untyped-def]
        activated = tf.tanh(projected(t) + product(h, recurrent))
        i, f, g, o = tf.split(activated, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * g
        h = sigmoid(o) * tf.tanh(c)
        return (
            t + 1,
            h,
            c,
            write(gates, t, activated),
            write(carries, t, c),
            write(outputs, t, h),
        )

    arrays = (
        time_array(time, 4 * units),
        time_array(time, units),
        time_array(time, units, kernel.dtype),
    )
    _, last_h, last_c, gates, carries, outputs = tf.while_loop(
        lambda t, *_: t < time, step, (0, hidden, carry, *arrays)
    )
    return written(outputs), (last_h, last_c), (written(gates), written(carries))


def _gru_back(
    kept: tuple,
    outputs: tf.Tensor,
    states: tuple,
    transposed: tf.Tensor,
    d_outputs: tf.Tensor,
    d_after: tuple,
) -> tuple:
    gates, candidates = kept
    time, batch, units = sizes(outputs)
    before = previous(outputs, tf.cast(states[0], outputs.dtype))

    def step_back(t, d_h, d_bias, d_inward, d_recurrent):  # type: ignore[no-untyped-def]
        t = t - 1
        z, r, g = (columns(gates, t, k, units) for k in range(3))
        z, r = sigmoid(z), sigmoid(r)
        d_h = d_h + columns(d_outputs, t, 0, units)
        d_g = d_h * (1 - z) * (1 - g * g)
        h = columns(before, t, 0, units)
        d_z = d_h * (h - g) * z * (1 - z)
        d_r = d_g * columns(candidates, t, 0, units) * r * (1 - r)
        inward = tf.concat([d_z, d_r, d_g], axis=1)
        recurrent = tf.concat([d_z, d_r, d_g * r], axis=1)
        return (
            t,
            d_h * z + product(recurrent, transposed),
            d_bias + tf.stack([inward, recurrent]),
            write(d_inward, t, inward),
            write(d_recurrent, t, recurrent),
        )

    arrays = (time_array(time, 3 * units, transposed.dtype) for _ in range(2))
    d_bias = tf.zeros(tf.stack([2, batch, 3 * units]))
    _, d_h, d_bias, d_inward, d_recurrent = tf.while_loop(
        lambda t, *_: t > 0, step_back, (time, *d_after, d_bias, *arrays)
    )
    return written(d_inward), written(d_recurrent), tf.reduce_sum(d_bias, 1), (d_h,)


@differentiable(_gru_back)
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
    time = sizes(inputs)[0]
    half = tf.repeat(tf.constant([0.5, 0.5, 1.0]), units)
    projected = projection(inputs, kernel * tf.cast(half, kernel.dtype), bias[0] * half)
    recurrent = recurrent_kernel * tf.cast(half, kernel.dtype)
    recurrent_bias = bias[1] * half

    def step(t, h, gates, candidates, outputs):  # type: ignore[no-untyped-def]
        x_z, x_r, x_g = tf.split(projected(t), 3, axis=1)
        h_z, h_r, h_g = tf.split(product(h, recurrent) + recurrent_bias, 3, axis=1)
        z, r = tf.tanh(x_z + h_z), tf.tanh(x_r + h_r)
        g = tf.tanh(x_g + sigmoid(r) * h_g)
        h = g + sigmoid(z) * (h - g)
        activated = tf.concat([z, r, g], axis=1)
        return (
            t + 1,
            h,
            write(gates, t, activated),
            write(candidates, t, h_g),
            write(outputs, t, h),
        )

    arrays = (
        time_array(time, 3 * units),
        time_array(time, units),
        time_array(time, units, kernel.dtype),
    )
    _, last_h, gates, candidates, outputs = tf.while_loop(
        lambda t, *_: t < time, step, (0, hidden, *arrays)
    )
    return written(outputs), (last_h,), (written(gates), written(candidates))


def _simple_rnn_back(
    kept: tuple,
    outputs: tf.Tensor,
    states: tuple,
    transposed: tf.Tensor,
    d_outputs: tf.Tensor,
    d_after: tuple,
) -> tuple:
    time, batch, units = sizes(outputs)

    def step_back(t, d_h, d_bias, d_sums):  # type: ignore[no-untyped-def]
        t = t - 1
        h = columns(outputs, t, 0, units)
        d_h = d_h + columns(d_outputs, t, 0, units)
        d_z = d_h * (1 - h * h)
        return t, product(d_z, transposed), d_bias + d_z, write(d_sums, t, d_z)

    array = time_array(time, units, transposed.dtype)
    d_bias = tf.zeros(tf.stack([batch, units]))
    _, d_h, d_bias, array = tf.while_loop(
        lambda t, *_: t > 0, step_back, (time, *d_after, d_bias, array)
    )
    d_sums = written(array)
    return d_sums, d_sums, tf.reduce_sum(d_bias, 0), (d_h,)


@differentiable(_simple_rnn_back)
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
    time = sizes(inputs)[0]
    projected = projection(inputs, kernel, bias)

    def step(t, h, outputs):  # type: ignore[no-untyped-def]
        h = tf.tanh(projected(t) + product(h, recurrent_kernel))
        return t + 1, h, write(outputs, t, h)

    _, last_h, outputs = tf.while_loop(
        lambda t, *_: t < time, step, (0, hidden, time_array(time, units, kernel.dtype))
    )
    return written(outputs), (last_h,), ()
