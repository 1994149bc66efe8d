"""Items of a list: written whole, and compared with those of the training text."""

from collections.abc import Iterable

import numpy as np

from textgen.corpus.chunks import whole_lines
from textgen.text.vocabulary import Vocabulary

BLOCK = 1 << 22  # ids searched at a time


def known_items(wanted: Iterable[str], ids: np.ndarray, vocabulary: Vocabulary) -> set[str]:
    """Which items stand in a list.

    Args:
        wanted: the items.
        ids: the list (characters,), a memory map if need be.
        vocabulary: its characters.
    """
    wanted, known = set(wanted), set[str]()
    blocks = (ids[start : start + BLOCK] for start in range(0, len(ids), BLOCK))
    for piece in whole_lines(map(vocabulary.decode, blocks)):
        known |= wanted.intersection(piece.split("\n"))
    return known
