"""How a network reads on, character by character: carried state, or a sliding window."""

import numpy as np

from textgen.generation.network import Network

# Characters of a prompt for which logits are held at a time.
_PROMPT_CHUNK = 4096
# Columns of a batch: more make a step no faster for each.
_MOST_TEXTS = 64
_MOST_WINDOWS = 4096


class CarriedState:
    """Texts whose next characters depend on all that was read: models of targets `every`.

    Args:
        network: the model.
        batch: how many texts are read side by side.

    Attributes:
        logits: (batch, vocabulary) of the next characters, in a buffer that is reused.
        widest: the largest batch that is worth its memory.
    """

    widest = _MOST_TEXTS

    def __init__(self, network: Network, batch: int = 1):
        self._network = network
        self._state = network.zero_state(batch)
        self.logits = np.zeros((batch, network.vocabulary_size), np.float32)

    def read(self, ids: np.ndarray) -> None:
        """Read a prompt (characters,), at least one; needs a batch of 1."""
        for start in range(0, len(ids), _PROMPT_CHUNK):
            logits = self._network.run(ids[None, start : start + _PROMPT_CHUNK], self._state)
        self.logits = logits[:, -1].copy()

    def fork(self, batch: int) -> "CarriedState":
        """A batch of texts that have all read what this one has."""
        copy = CarriedState(self._network, batch)
        copy.logits[:] = self.logits
        for layer, layer_copy in zip(self._state, copy._state, strict=True):
            for part, part_copy in zip(layer, layer_copy, strict=True):
                part_copy[:] = part
        return copy

    def step(self, ids: np.ndarray) -> None:
        """Read one character (batch,) of each text."""
        self.logits = self._network.step(ids, self._state)


class SlidingWindow:
    """Texts of which only the last seq_length characters count: models of targets `last`.

    Each window starts from a zero state. All windows that a character is part of are in
    flight at once, as one batch: window k is k characters along. So a character costs one
    batched step, and the logits are those of the window that it completes.

    Columns are kept slot by slot; each slot has a window of every text.

    Args:
        network: the model.
        batch: how many texts are read side by side.

    Attributes:
        logits: (batch, vocabulary) of the next characters, in a buffer that is reused.
        widest: the largest batch that is worth its memory.
    """

    def __init__(self, network: Network, batch: int = 1):
        self._network = network
        self._window = network.config.seq_length
        self._batch = batch
        self._state = network.zero_state(self._window * batch)
        self._logits = np.zeros((network.vocabulary_size, batch), np.float32)
        self._inputs = np.empty((len(self._state.inputs[0]), batch), np.float32)
        self._count = 0
        self.logits = self._logits.T
        self.widest = max(1, _MOST_WINDOWS // self._window)

    def read(self, ids: np.ndarray) -> None:
        """Read a prompt (characters,), at least one; needs a batch of 1."""
        for place in range(max(0, len(ids) - self._window), len(ids)):
            self.step(ids[place : place + 1])

    def fork(self, batch: int) -> "SlidingWindow":
        """A batch of texts that have all read what this one has."""
        copy = SlidingWindow(self._network, batch)
        copy._count = self._count
        copy.logits[:] = self.logits
        for layer, layer_copy in zip(self._state, copy._state, strict=True):
            for part, part_copy in zip(layer, layer_copy, strict=True):
                part_copy[:] = np.repeat(part, batch, axis=0)
        return copy

    def step(self, ids: np.ndarray) -> None:
        """Read one character (batch,) of each text."""
        self._restart(self._count % self._window)
        self._network.advance(self._projection(ids), self._state)
        self._count += 1

        # The slot that restarts next is complete; in the beginning the first is the longest.
        oldest = self._count % self._window if self._count >= self._window else 0
        hidden = self._state.views[-1][0][:, self._columns(oldest)]
        self.logits = self._network.logits(hidden, self._logits)

    def _columns(self, slot: int) -> slice:
        return slice(slot * self._batch, (slot + 1) * self._batch)

    def _restart(self, slot: int) -> None:
        for layer in self._state:
            for part in layer:
                part[self._columns(slot)] = 0

    def _projection(self, ids: np.ndarray) -> np.ndarray:
        """The first layer's projection: all windows of a text read the same character."""
        x = self._network.project(ids, self._inputs)
        if self._batch == 1:
            return x
        spread = self._state.inputs[0].reshape(len(x), self._window, self._batch)
        spread[:] = x[:, None, :]
        return self._state.inputs[0]


Continuation = CarriedState | SlidingWindow


def read_prompt(network: Network, ids: np.ndarray) -> Continuation:
    """Read a prompt (characters,) as the model's targets ask for; forks continue it."""
    kind = SlidingWindow if network.config.targets == "last" else CarriedState
    reader = kind(network)
    reader.read(ids)
    return reader
