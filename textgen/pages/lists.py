"""What a page that writes knows of the list that its model learned."""

import numpy as np

from textgen.generation.items import items_in
from textgen.storage.provenance import Provenance
from textgen.storage.run_folder import RunText
from textgen.text.items import ItemList, hash_of
from textgen.text.vocabulary import Vocabulary


def item_hashes(items: ItemList, text: RunText | None, vocabulary: Vocabulary) -> np.ndarray | None:
    """What stands for the items of a list in a page: those that are held out, too.

    Args:
        items: what the model keeps of it.
        text: the list itself, if it is beside the model.
        vocabulary: the model's characters.

    Returns:
        CRC-32 of each item in UTF-8, uint32, sorted; None where the list is unknown.
    """
    if items.known is not None:
        return np.array(sorted(items.known), "<u4")
    if text is None:
        return None
    found = [np.empty(0, "<u4")]
    for ids in (text.train, text.holdout):
        for some in items_in(ids, vocabulary):
            found.append(np.fromiter(map(hash_of, some), "<u4", len(some)))
    return np.unique(np.concatenate(found))


def list_facts(provenance: Provenance, hashes: np.ndarray | None) -> list[str]:
    """What the list is, and whether new items are in it."""
    if provenance.items is None:
        return []
    count = f"{provenance.items.items:,} items."
    if hashes is None:
        return [f"{count} It is not in this page, so that new items may be among them."]
    return [f"{count} This page knows them by hashes: none of its new items is among them."]
