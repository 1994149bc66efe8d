"""How a network reads on, character by character: carried state, or a sliding window."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

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
        batch: how many texts are read side by side.
        logits: (batch, vocabulary) of the next characters, in a buffer that is reused.
        state: what each layer remembers: arrays (batch, units).
    """

    def __init__(self, network: Network, batch: int):
        self.network = network
        self.batch = batch
        self.state = network.zero_state(batch)
        self.logits = np.zeros((batch, network.vocabulary_size), np.float32)

    def read(self, prompts: Sequence[np.ndarray]) -> None:
        """Read a prompt (characters,), at least one, for each text; nothing was read before."""
        ids, starts = _aligned(prompts)
        longest = max(1, _PROMPT_CHUNK // self.batch)
        for start, end in pairwise([*sorted(set(starts)), ids.shape[1]]):
            _forget(self, [row for row, begun in enumerate(starts) if begun == start])
            for place in range(start, end, longest):
                part = ids[:, place : min(place + longest, end)]
                logits = self.network.run(part, self.state)
        self.logits = logits[:, -1].copy()

    def step(self, ids: np.ndarray) -> None:
        """Read one character (batch,) of each text."""
        self.logits = self.network.step(ids, self.state)


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
        batch: how many texts are read side by side.
        logits: (batch, vocabulary) of the next characters, in a buffer that is reused.
        state: what each layer remembers: arrays (slots * batch, units).
    """

    def __init__(self, network: Network, batch: int):
        self.network = network
        self.batch = batch
        self._window = network.config.seq_length
        self.state = network.zero_state(self._window * batch)
        self._logits = np.zeros((network.vocabulary_size, batch), np.float32)
        self._inputs = np.empty((len(self.state.inputs[0]), batch), np.float32)
        # The slot that has read most; one that never restarted has read all that there was.
        self._oldest = 0
        self.logits = self._logits.T

    def read(self, prompts: Sequence[np.ndarray]) -> None:
        """Read a prompt (characters,), at least one, for each text; nothing was read before."""
        ids, starts = _aligned([prompt[-self._window :] for prompt in prompts])
        # So that slot 0 is the oldest one at the end, as in all texts that have just been read.
        self._oldest = -ids.shape[1] % self._window
        for place, column in enumerate(ids.T):
            _forget(self, [row for row, begun in enumerate(starts) if begun == place])
            self.step(column)

    def step(self, ids: np.ndarray) -> None:
        """Read one character (batch,) of each text."""
        self._restart(self._oldest)
        self.network.advance(self._projection(ids), self.state)
        self._oldest = (self._oldest + 1) % self._window
        hidden = self.state.views[-1][0][:, self._columns(self._oldest)]
        self.logits = self.network.logits(hidden, self._logits)

    def _columns(self, slot: int) -> slice:
        return slice(slot * self.batch, (slot + 1) * self.batch)

    def _restart(self, slot: int) -> None:
        for layer in self.state:
            for part in layer:
                part[self._columns(slot)] = 0

    def _projection(self, ids: np.ndarray) -> np.ndarray:
        """The first layer's projection: all windows of a text read the same character."""
        x = self.network.project(ids, self._inputs)
        if self.batch == 1:
            return x
        spread = self.state.inputs[0].reshape(len(x), self._window, self.batch)
        spread[:] = x[:, None, :]
        return self.state.inputs[0]


Continuation = CarriedState | SlidingWindow


@dataclass(frozen=True)
class Start:
    """Where a text begins: in a row of texts that have read their prompts."""

    texts: Continuation
    row: int


def widest(network: Network) -> int:
    """The largest batch that is worth its memory."""
    if network.config.targets == "last":
        return max(1, _MOST_WINDOWS // network.config.seq_length)
    return _MOST_TEXTS


def read_prompts(network: Network, prompts: Sequence[np.ndarray]) -> list[Start]:
    """Read prompts (characters,), those of about the same length side by side.

    Returns:
        The start of each, in their order.
    """
    kind = SlidingWindow if network.config.targets == "last" else CarriedState
    starts: dict[int, Start] = {}
    by_length = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    for _, group in groupby(by_length, key=lambda number: len(prompts[number]).bit_length()):
        numbers = list(group)
        for first in range(0, len(numbers), widest(network)):
            part = numbers[first : first + widest(network)]
            texts = kind(network, len(part))
            texts.read([prompts[number] for number in part])
            starts |= {number: Start(texts, row) for row, number in enumerate(part)}
    return [starts[number] for number in range(len(prompts))]


def read_prompt(network: Network, ids: np.ndarray) -> Continuation:
    """Read a prompt (characters,) as the model's targets ask for."""
    return read_prompts(network, [ids])[0].texts


def side_by_side(starts: Sequence[Start]) -> Continuation:
    """A batch of texts that continue these starts, which stay as they are."""
    first = starts[0].texts
    made = type(first)(first.network, len(starts))
    for row, start in enumerate(starts):
        made.logits[row] = start.texts.logits[start.row]
        for layer, read in zip(made.state, start.texts.state, strict=True):
            for part, part_read in zip(layer, read, strict=True):
                part[row :: made.batch] = part_read[start.row :: start.texts.batch]
    return made


def _aligned(prompts: Sequence[np.ndarray]) -> tuple[np.ndarray, list[int]]:
    """Prompts as rows (prompts, longest) that end together, and where each begins."""
    longest = max(map(len, prompts))
    ids = np.zeros((len(prompts), longest), prompts[0].dtype)
    starts = [longest - len(prompt) for prompt in prompts]
    for row, start, prompt in zip(ids, starts, prompts, strict=True):
        row[start:] = prompt
    return ids, starts


def _forget(texts: Continuation, rows: Sequence[int]) -> None:
    """Let some texts begin from a zero state."""
    for layer in texts.state:
        for part in layer:
            for row in rows:
                part[row :: texts.batch] = 0
