"""The model as plain NumPy: one step for a batch of streams, or a whole window at once.

The semantics are those of the stock Keras layers, to float rounding. Inside, everything is
kept features first, (features, batch): there a gate is a contiguous block of rows and a
product of a weight matrix with a batch is fastest (10 to 25 % over rows of streams).

Sigmoid gates are evaluated as 0.5 * tanh(0.5 * x) + 0.5. The inner factor is folded into
the weights, which is exact, so that one `tanh` call serves all gates of a layer.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from textgen.config import ModelConfig

# Columns (time * batch) for which `run` computes input projections in one product: wide
# enough for full BLAS speed, and 4 MB of memory for a layer of 256 units.
_RUN_COLUMNS = 1024

# 0-d arrays: a NumPy function takes them without converting a scalar at every call.
_ONE = np.array(1.0, dtype=np.float32)
_HALF = np.array(0.5, dtype=np.float32)
# Rows that are transposed at once: what is read and written of so few stays in the cache.
_BLOCK = 32


def _sigmoid_from_tanh(gates: np.ndarray) -> None:
    """Turn tanh(x / 2) into sigmoid(x), in place."""
    np.add(gates, _ONE, out=gates)
    np.multiply(gates, _HALF, out=gates)


def _columns_first(matrix: np.ndarray, *parts: tuple[slice, np.ndarray]) -> np.ndarray:
    """A Keras kernel (inputs, columns) as a contiguous float32 (columns, inputs).

    Args:
        matrix: the kernel.
        parts: which columns come first, second and so on, and what they are multiplied by; all
            as they are if none are given.
    """
    out = np.empty(matrix.shape[::-1], np.float32)
    done = 0
    for columns, factor in parts or [(slice(None), _ONE)]:
        part = matrix[:, columns]
        rows = out[done : done + part.shape[1]]
        for start in range(0, len(matrix), _BLOCK):
            block = slice(start, start + _BLOCK)
            np.multiply(part[block].T, factor, out=rows[:, block])
        done += len(rows)
    return out


class _Lstm:
    """Weights of one LSTM layer, and its step (Hochreiter and Schmidhuber 1997)."""

    def __init__(self, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray):
        i, f, c, o = (slice(k * len(recurrent), (k + 1) * len(recurrent)) for k in range(4))
        # The sigmoid gates stand together: i, f, o, c.
        gates = (i, _HALF), (f, _HALF), (o, _HALF), (c, _ONE)
        self.units = len(recurrent)
        self.kernel = _columns_first(kernel, *gates)
        self.recurrent = _columns_first(recurrent, *gates)
        self.bias = _columns_first(bias[None], *gates)

    def start(self, batch: int) -> list[np.ndarray]:
        """The zero state [h, c], each (units, batch)."""
        return [np.zeros((self.units, batch), np.float32) for _ in range(2)]

    def views(self, state: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The state, a work buffer (4 * units, batch), and the buffer's gates."""
        z = np.empty((4 * self.units, state[0].shape[1]), np.float32)
        return (*state, z, z[: 3 * self.units], *np.split(z, 4))

    def step(self, x: np.ndarray, views: tuple[np.ndarray, ...]) -> None:
        """Advance the state by one character whose projection is `x` (4 * units, batch)."""
        h, c, z, sigmoids, i, f, o, g = views
        np.dot(self.recurrent, h, out=z)
        np.add(z, x, out=z)
        np.tanh(z, out=z)
        _sigmoid_from_tanh(sigmoids)

        np.multiply(c, f, out=c)
        np.multiply(i, g, out=i)
        np.add(c, i, out=c)
        np.tanh(c, out=g)
        np.multiply(o, g, out=h)


class _Gru:
    """Weights of one GRU layer (Cho et al. 2014; `reset_after` as in cuDNN), and its step."""

    def __init__(self, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray):
        self.units = len(recurrent)
        gates = (slice(2 * self.units), _HALF), (slice(2 * self.units, None), _ONE)
        self.kernel = _columns_first(kernel, *gates)
        self.recurrent = _columns_first(recurrent, *gates)
        # The candidate's recurrent bias stands inside the reset gate, so it stays apart.
        inside = bias[1].astype(np.float32)
        self.recurrent_bias = inside[2 * self.units :, None].copy()
        inside[2 * self.units :] = 0
        self.bias = _columns_first((bias[0].astype(np.float32) + inside)[None], *gates)

    def start(self, batch: int) -> list[np.ndarray]:
        """The zero state [h], (units, batch)."""
        return [np.zeros((self.units, batch), np.float32)]

    def views(self, state: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The state, a work buffer (3 * units, batch), and the buffer's gates."""
        z = np.empty((3 * self.units, state[0].shape[1]), np.float32)
        return (*state, z, z[: 2 * self.units], *np.split(z, 3))

    def step(self, x: np.ndarray, views: tuple[np.ndarray, ...]) -> None:
        """Advance the state by one character whose projection is `x` (3 * units, batch)."""
        h, z, sigmoids, update, reset, candidate = views
        np.dot(self.recurrent, h, out=z)
        np.add(sigmoids, x[: 2 * self.units], out=sigmoids)
        np.tanh(sigmoids, out=sigmoids)
        _sigmoid_from_tanh(sigmoids)

        np.add(candidate, self.recurrent_bias, out=candidate)
        np.multiply(candidate, reset, out=candidate)
        np.add(candidate, x[2 * self.units :], out=candidate)
        np.tanh(candidate, out=candidate)

        # update * h + (1 - update) * candidate
        np.subtract(h, candidate, out=h)
        np.multiply(h, update, out=h)
        np.add(h, candidate, out=h)


class _Rnn:
    """Weights of one simple recurrent layer (Elman 1990), and its step."""

    def __init__(self, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray):
        self.units = len(recurrent)
        self.kernel = _columns_first(kernel)
        self.recurrent = _columns_first(recurrent)
        self.bias = bias.astype(np.float32)[:, None]

    def start(self, batch: int) -> list[np.ndarray]:
        """The zero state [h], (units, batch)."""
        return [np.zeros((self.units, batch), np.float32)]

    def views(self, state: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The state and a work buffer (units, batch)."""
        return (*state, np.empty_like(state[0]))

    def step(self, x: np.ndarray, views: tuple[np.ndarray, ...]) -> None:
        """Advance the state by one character whose projection is `x` (units, batch)."""
        h, z = views
        np.dot(self.recurrent, h, out=z)
        np.add(z, x, out=z)
        np.tanh(z, out=h)


_Layer = _Lstm | _Gru | _Rnn
_LAYERS: dict[str, type[_Layer]] = {"lstm": _Lstm, "gru": _Gru, "rnn": _Rnn}


class State(list[list[np.ndarray]]):
    """What a batch of streams remembers, with the buffers in which it is advanced.

    `state[layer]` is [h, c] for LSTM and [h] for GRU and RNN, each (batch, units) float32.
    These are views: writing into them changes the state.
    """

    def __init__(self, layers: list[_Layer], vocabulary_size: int, batch: int):
        parts = [layer.start(batch) for layer in layers]
        super().__init__([part.T for part in state] for state in parts)
        self.batch = batch
        self.views = [layer.views(part) for layer, part in zip(layers, parts, strict=True)]
        # One projection buffer a layer, and one for the logits.
        self.inputs = [np.empty((len(layer.kernel), batch), np.float32) for layer in layers]
        self.logits = np.empty((vocabulary_size, batch), np.float32)


class Network:
    """A trained model in NumPy.

    Args:
        config: the architecture.
        weights: float32 arrays by name, shaped as `config.weight_shapes` says.
    """

    def __init__(self, config: ModelConfig, weights: Mapping[str, np.ndarray]):
        self.config = config
        self._layers = [
            _LAYERS[config.cell](
                *(weights[f"layer_{k}/{part}"] for part in ("kernel", "recurrent_kernel", "bias"))
            )
            for k in range(config.num_layers)
        ]
        # A one-hot input picks a column of the first kernel, here with the bias added.
        self._table = self._layers[0].kernel + self._layers[0].bias
        self._logits_kernel = _columns_first(weights["logits/kernel"])
        self._logits_bias = weights["logits/bias"].astype(np.float32)[:, None]

    @property
    def vocabulary_size(self) -> int:
        """How many different characters the model knows."""
        return len(self._logits_bias)

    def zero_state(self, batch: int) -> State:
        """The state of `batch` streams that have read nothing."""
        return State(self._layers, self.vocabulary_size, batch)

    def step(self, ids: np.ndarray, state: State) -> np.ndarray:
        """Read one character of every stream.

        Args:
            ids: (batch,) integers below the vocabulary size; the caller vouches for that.
            state: updated in place.

        Returns:
            Logits (batch, vocabulary) of the next characters, in a buffer that the next step
            on this state overwrites.
        """
        self.advance(self.project(ids, state.inputs[0]), state)
        return self.logits(state.views[-1][0], state.logits)

    def project(self, ids: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The first layer's projection of one character a stream.

        Args:
            ids: (batch,).
            out: buffer (columns, batch), not used where a view of the weights will do.

        Returns:
            (columns, batch).
        """
        if len(ids) == 1:
            return self._table[:, ids[0], None]
        # Any mode but "clip" makes NumPy fill a copy of `out` first.
        return np.take(self._table, ids, axis=1, out=out, mode="clip")

    def advance(self, x: np.ndarray, state: State) -> None:
        """Advance all layers by one character.

        Args:
            x: the first layer's projection, (columns, batch), or (columns, 1) if all streams
                read the same character.
            state: updated in place.
        """
        for k, layer in enumerate(self._layers):
            if k:
                x = state.inputs[k]
                np.dot(layer.kernel, state.views[k - 1][0], out=x)
                np.add(x, layer.bias, out=x)
            layer.step(x, state.views[k])

    def logits(self, hidden: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Logits (batch, vocabulary) of the last layer's output.

        Args:
            hidden: (units, batch).
            out: buffer (vocabulary, batch); the result is a view of it.
        """
        np.dot(self._logits_kernel, hidden, out=out)
        np.add(out, self._logits_bias, out=out)
        return out.T

    def run(self, ids: np.ndarray, state: State) -> np.ndarray:
        """Read a window of every stream, layer by layer.

        Args:
            ids: (batch, time) integers below the vocabulary size.
            state: updated in place, so that the next window can follow.

        Returns:
            Logits (batch, time, vocabulary) float32: at each place those of the next character.
        """
        batch, time = ids.shape
        logits = np.empty((batch, time, self.vocabulary_size), np.float32)
        chunk = max(1, _RUN_COLUMNS // batch)
        for start in range(0, time, chunk):
            part = slice(start, start + chunk)
            hidden = self._run_layers(ids[:, part], state)
            scores = _product_over_time(self._logits_kernel, self._logits_bias, hidden)
            logits[:, part] = scores.transpose(2, 0, 1)
        return logits

    def _run_layers(self, ids: np.ndarray, state: State) -> np.ndarray:
        """Read (batch, time) ids; returns the last layer's outputs (time, units, batch)."""
        inputs: Iterable[np.ndarray] = (self.project(column, state.inputs[0]) for column in ids.T)
        for layer, following, views in zip(
            self._layers, [*self._layers[1:], None], state.views, strict=True
        ):
            outputs = np.empty((ids.shape[1], layer.units, ids.shape[0]), np.float32)
            for x, output in zip(inputs, outputs, strict=True):
                layer.step(x, views)
                output[:] = views[0]
            if following is not None:
                inputs = _product_over_time(following.kernel, following.bias, outputs)
        return outputs


def _product_over_time(kernel: np.ndarray, bias: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """kernel @ hidden + bias for all times: (time, inputs, batch) -> (time, columns, batch)."""
    if hidden.shape[2] == 1:
        product = np.dot(hidden[:, :, 0], kernel.T)[:, :, None]
    else:
        product = np.matmul(kernel, hidden)
    return np.add(product, bias, out=product)
