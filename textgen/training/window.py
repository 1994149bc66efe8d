"""What the loops over a window share: arrays in time, products, and how they get gradients."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import tensorflow as tf


def sizes(tensor: tf.Tensor) -> list[Any]:
    """The sizes of a tensor: numbers where they are known, else scalar tensors."""
    dynamic = tf.shape(tensor)
    return [dynamic[i] if n is None else n for i, n in enumerate(tensor.shape)]


def as_matrix(tensor: tf.Tensor) -> tf.Tensor:
    """(time, batch, features) as the matrix (time * batch, features)."""
    return tf.reshape(tensor, [-1, tensor.shape[-1]])


def time_array(size: Any, width: int, dtype: tf.DType = tf.float32) -> tf.TensorArray:
    """An array in time of (batch, width) values, for `write` and `written`."""
    kept = tf.uint16 if dtype == tf.bfloat16 else dtype
    return tf.TensorArray(kept, size, element_shape=[None, width])


def write(array: tf.TensorArray, t: tf.Tensor, values: tf.Tensor) -> tf.TensorArray:
    """Write float32 values as what `array` keeps: float32, or the bits of bfloat16.

    XLA copies a whole bfloat16 array at each write into it, but not one of integers.
    """
    if array.dtype == tf.uint16:
        values = tf.bitcast(tf.cast(values, tf.bfloat16), tf.uint16)
    return array.write(t, values)


def written(array: tf.TensorArray) -> tf.Tensor:
    """All that was written: float32 or bfloat16."""
    values = array.stack()
    return tf.bitcast(values, tf.bfloat16) if array.dtype == tf.uint16 else values


def product(rows: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """rows @ kernel in the kernel's dtype, summed in float32."""
    if kernel.dtype == tf.float32:
        return rows @ kernel
    return tf.raw_ops.BatchMatMulV3(x=tf.cast(rows, kernel.dtype), y=kernel, Tout=tf.float32)


def columns(stacked: tf.Tensor, t: tf.Tensor, block: int, units: int) -> tf.Tensor:
    """Block `block` of `units` columns of a (time, batch, columns) array at time t, float32.

    A slice of its own for each gate: XLA turns it into vector code, which it does not where two
    gates are cut from one slice.
    """
    _, batch, _ = sizes(stacked)
    part = tf.slice(stacked, tf.stack([t, 0, block * units]), tf.stack([1, batch, units]))
    return tf.cast(tf.reshape(part, tf.stack([batch, units])), tf.float32)


def projection(
    inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
) -> Callable[[tf.Tensor], tf.Tensor]:
    """inputs @ kernel + bias as a function of time: t -> (batch, columns)."""
    if inputs.dtype.is_integer:
        rows = tf.concat([kernel, tf.zeros([1, kernel.shape[1]], kernel.dtype)], 0)
        table = tf.cast(rows, tf.float32) + bias
        return lambda t: tf.gather(table, inputs[t])
    time, batch, _ = sizes(inputs)
    projected = product(as_matrix(inputs), kernel) + bias
    projected = tf.reshape(projected, tf.stack([time, batch, kernel.shape[1]]))
    return lambda t: projected[t]


def previous(outputs: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
    """The state that each step began with: `outputs` one step later in time."""
    return tf.concat([initial[None], outputs[:-1]], 0)


def sigmoid(half_tanh: tf.Tensor) -> tf.Tensor:
    """sigmoid(x) from tanh(x / 2)."""
    return half_tanh * 0.5 + 0.5


def _compiled(function: Callable) -> Callable:
    """The function as an XLA program of its own; inside a larger one it is a part of that."""
    return tf.function(function, jit_compile=True, autograph=False)


def differentiable(backward: Callable) -> Callable:
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
                before = as_matrix(previous(outputs, tf.cast(states[0], outputs.dtype)))
                d_inputs, d_kernel = _projection_gradients(inputs, kernel, as_matrix(d_inward))
                d_recurrent_kernel = tf.matmul(before, as_matrix(d_recurrent), transpose_a=True)
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
    return d_inputs, tf.matmul(as_matrix(inputs), gates, transpose_a=True)
