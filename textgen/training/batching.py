"""What a run learns from, and what it is measured on."""

import numpy as np

from textgen.storage.run import Run
from textgen.text.batches import Streams, Windows
from textgen.text.items import Items, ItemStreams, ItemWindows, newline_of
from textgen.text.parts import Holdout, PartStreams, PartWindows, bounds_of


def batches_of(run: Run, text: np.ndarray) -> Streams | Windows:
    """The batches that a run learns from.

    Args:
        run: what is trained and how.
        text: ids of its training text (characters,).
    """
    model, train = run.model, run.train
    rows, window, seed = train.batch_size, model.seq_length, train.seed
    every = model.targets == "every"
    if run.items is not None:
        items = Items(text, newline_of(run.vocabulary), seed)
        if every:
            return ItemStreams(text, rows, window, seed, items)
        return ItemWindows(text, rows, window, train.step, seed, items)
    bounds = bounds_of([part.characters - part.holdout for part in run.parts], window + 1)
    if len(bounds) > 2:  # more than one text
        if every:
            return PartStreams(text, rows, window, seed, bounds)
        return PartWindows(text, rows, window, train.step, seed, bounds)
    if every:
        return Streams(text, rows, window, seed)
    return Windows(text, rows, window, train.step, seed)


def holdout_of(run: Run, ids: np.ndarray) -> Holdout:
    """What a run is measured on.

    Args:
        run: what is trained and how.
        ids: of its whole text (characters,).
    """
    lengths = [part.holdout for part in run.parts] or [run.holdout_characters]
    bounds = bounds_of(lengths, run.model.seq_length + 1)
    return Holdout(ids[run.train_characters :], bounds, run.unknown)
