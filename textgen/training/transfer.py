"""A model's weights for another vocabulary.

The input is one-hot, so a character is one row of the first kernel, one column of the logits'
kernel and one of their biases: those that both vocabularies have move without loss.
"""

from collections.abc import Mapping

import numpy as np

from textgen.generation.relatives import relative
from textgen.storage.model_file import Model
from textgen.text.vocabulary import Vocabulary

FIRST, LAST, BIAS = "layer_0/kernel", "logits/kernel", "logits/bias"


def transferred(
    model: Model, vocabulary: Vocabulary, counts: np.ndarray
) -> Mapping[str, np.ndarray]:
    """The weights with which the model reads and writes a vocabulary.

    A character that is new to it starts as its nearest relative, or as the mean of all, and is
    as probable as it is frequent.

    Args:
        model: the model, whose weights stay as they are.
        vocabulary: the characters wanted.
        counts: how often each of these is in the text (vocabulary,).

    Returns:
        Arrays by name, shaped for the vocabulary.
    """
    known = model.vocabulary
    own = known.lookup(vocabulary.characters) < len(known)
    places = np.array([_place(character, known) for character in vocabulary.characters])
    weights = model.weights
    rows = np.vstack((weights[FIRST], weights[FIRST].mean(axis=0)))
    columns = np.hstack((weights[LAST], weights[LAST].mean(axis=1, keepdims=True)))
    bias = np.append(weights[BIAS], np.float32(0))[places]
    bias[~own] = (_level(bias, counts, own) + np.log(np.maximum(counts, 1)))[~own]
    return dict(weights) | {FIRST: rows[places], LAST: columns[:, places], BIAS: bias}


def _place(character: str, known: Vocabulary) -> int:
    """The id that a character starts from; one past the last for the mean of all."""
    nearest = relative(character, set(known.characters)) or character  # a lone accent has none
    return int(known.lookup(nearest)[0])


def _level(bias: np.ndarray, counts: np.ndarray, own: np.ndarray) -> float:
    """The bias of a known character that is in the text once, by the mean over those in it."""
    seen = own & (counts > 0)
    if not seen.any():
        return -float(np.log(counts.sum()))
    levels = bias[seen] - np.log(counts[seen])
    return float(np.average(levels, weights=counts[seen]))
