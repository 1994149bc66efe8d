"""The most that a float32 training step could reach: its matrix products alone, each at its best.

    taskset -c 0 python benchmarks/step_products.py

For an LSTM stack of 3 x 256, windows of 100 and 32 rows (half a batch of 64: what one of two cores
does), this measures each product that a step needs, one after the other as the recurrence asks for,
by XLA, by TensorFlow's own operation and by NumPy, as a share of the rate of a product of two
2048 x 2048 matrices. Next to nothing else is done: no gates, no states, no gradients of them.
Products in the loop are measured in both layouts, rows x units and units x rows. The last lines add
up what all of them take, each by the fastest, whether or not the layouts fit together.
"""

import os
import time
from collections.abc import Callable

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

UNITS, GATES, TIME, ROWS, LAYERS = 256, 1024, 100, 32, 3
PRODUCT = 2048
SECONDS = 1.0


def seconds(call: Callable[[], object]) -> float:
    """The fastest of some calls."""
    call()
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def random(*shape: int) -> np.ndarray:
    """Small numbers."""
    return np.random.default_rng(0).normal(scale=0.05, size=shape).astype(np.float32)


def compiled(function: Callable, *arguments: np.ndarray) -> Callable[[], object]:
    """A call of the function as an XLA program, waited for."""
    program = tf.function(function, jit_compile=True, autograph=False)
    tensors = [tf.constant(argument) for argument in arguments]
    return lambda: program(*tensors).numpy()


def looped(product: Callable[[tf.Tensor], tf.Tensor], back: Callable) -> Callable:
    """TIME products, each with what `back` makes of the one before."""

    def loop(start: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(
            lambda t, _: t < TIME, lambda t, x: (t + 1, back(product(x))), (0, start)
        )[1]

    return loop


def in_loop() -> dict[str, dict[str, Callable[[], object]]]:
    """The products inside the loops."""
    kernel, state, gates = random(UNITS, GATES), random(ROWS, UNITS), random(ROWS, GATES)
    turned = np.ascontiguousarray(kernel.T)
    forward = {
        "XLA": compiled(looped(lambda h: h @ kernel, lambda z: z[:, :UNITS]), state),
        "XLA, units x rows": compiled(looped(lambda h: turned @ h, lambda z: z[:UNITS]), state.T),
        "NumPy": lambda: [state @ kernel for _ in range(TIME)],
    }
    back = {
        "XLA": compiled(looped(lambda z: z @ turned, lambda h: tf.tile(h, [1, 4])), gates),
        "XLA, units x rows": compiled(
            looped(lambda z: kernel @ z, lambda h: tf.tile(h, [4, 1])), gates.T
        ),
        "NumPy": lambda: [gates @ turned for _ in range(TIME)],
    }
    return {"forward, in the loop": forward, "back, in the loop": back}


def after_loop() -> dict[str, dict[str, Callable[[], object]]]:
    """The products of a whole window."""
    kernel = random(UNITS, GATES)
    inputs, gates = random(TIME * ROWS, UNITS), random(TIME * ROWS, GATES)
    factors = {
        "input projection": (inputs, kernel, False, False),
        "its gradient": (gates, kernel, False, True),
        "weight gradient": (inputs, gates, True, False),
    }
    return {name: ways(*product) for name, product in factors.items()}


def ways(a: np.ndarray, b: np.ndarray, a_turned: bool, b_turned: bool) -> dict[str, Callable]:
    """A product by each library."""

    def product(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.matmul(x, y, transpose_a=a_turned, transpose_b=b_turned)

    x, y = tf.constant(a), tf.constant(b)
    return {
        "XLA": compiled(product, a, b),
        "TensorFlow": lambda: product(x, y).numpy(),
        "NumPy": lambda: (a.T if a_turned else a) @ (b.T if b_turned else b),
    }


def main() -> None:
    """Measure and print."""
    large = random(PRODUCT, PRODUCT)
    rate = 2 * PRODUCT**3 / seconds(ways(large, large, False, False)["TensorFlow"])
    print(f"a product of {PRODUCT} x {PRODUCT}: {rate / 1e9:.0f} GFLOP/s\n")
    ideal = 2 * TIME * ROWS * UNITS * GATES / rate
    fastest = {}
    for name, candidates in (in_loop() | after_loop()).items():
        times = {library: seconds(call) for library, call in candidates.items()}
        fastest[name] = min(times.values())
        shares = ", ".join(f"{library} {ideal / t:.2f}" for library, t in times.items())
        print(f"{name:<22}{shares}", flush=True)
    # Input projections and their gradients only above the first layer, which reads characters.
    counts = dict(
        zip(fastest, (LAYERS, LAYERS, LAYERS - 1, LAYERS - 1, 2 * LAYERS - 1), strict=True)
    )
    best = sum(count * fastest[name] for name, count in counts.items())
    least = sum(counts.values()) * ideal
    print(f"\nat the rate of the large product {least * 1e3:.0f} ms")
    print(
        f"each by its fastest              {best * 1e3:.0f} ms, {100 * least / best:.0f} % of rate"
    )
    print(f"85 % of the rate                 {least / 0.85 * 1e3:.0f} ms with everything else")


if __name__ == "__main__":
    main()
