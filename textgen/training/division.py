"""How a text is divided into what is trained on and what is held out."""

from dataclasses import dataclass
from pathlib import Path

from textgen.config import TrainConfig
from textgen.corpus.lists import Look, look_of
from textgen.generation.items import known_items
from textgen.storage.run import MOST_HOLDOUT, holdout_characters
from textgen.text.encoding import EncodedText, Part, open_ids
from textgen.text.items import Arranged, ItemList, arrange
from textgen.text.vocabulary import Vocabulary
from textgen.training.request import Request


@dataclass(frozen=True)
class Division:
    """A text in its file, divided.

    Attributes:
        parts: each with its hold-out; all that is held out is the end of the file.
        ids_sha256: of the text in the file, where that is not as it was read; else None.
        items: what is to be kept of a list; None for a text that is none.
        choices: what was done and why, a line each.
    """

    parts: tuple[Part, ...]
    ids_sha256: str | None = None
    items: ItemList | None = None
    choices: tuple[str, ...] = ()

    @property
    def characters(self) -> int:
        """Length of the file."""
        return sum(part.characters for part in self.parts)

    @property
    def holdout(self) -> int:
        """Characters at the end of the file that are held out."""
        return sum(part.holdout for part in self.parts)


def divide(request: Request, encoded: EncodedText, ids: Path) -> Division:
    """Divide a text; a list is rearranged.

    Args:
        request: what the user asked for.
        encoded: the text.
        ids: the file of its ids.

    Raises:
        TextgenError: it is to be a list, and cannot be one.
    """
    split = request.given.get("validation_split", TrainConfig.validation_split)
    is_list, why = whether_list(request, encoded, ids)
    if not is_list:
        holdout = holdout_characters(encoded.characters, split)
        return Division((Part(encoded.characters, holdout),), choices=why)
    seed = request.given.get("seed", TrainConfig.seed)
    found = arrange(ids, encoded.vocabulary, split, MOST_HOLDOUT, seed)
    part = Part(found.characters, found.holdout)
    line = described(found, duplicates(ids, encoded.vocabulary, found))
    return Division((part,), found.sha256, found.items, (*why, line))


def whether_list(request: Request, encoded: EncodedText, ids: Path) -> tuple[bool, tuple[str, ...]]:
    """Whether a text is to be a list, and what is to be said of it, a line or none."""
    if "list" in request.given:
        return request.given["list"], ()
    found = look_of(open_ids(ids, len(encoded.vocabulary)), encoded.vocabulary)
    if found is Look.LIST:
        return True, (f"The text is a list, {found.value}. If it is not, use --no-list.",)
    if found is Look.PERHAPS:
        return False, (f"The text has {found.value}. If it is a list, an item a line, use --list.",)
    return False, ()


def duplicates(ids: Path, vocabulary: Vocabulary, found: Arranged) -> int:
    """How many items of a hold-out are also among those that are trained on."""
    text = open_ids(ids, len(vocabulary))
    cut = found.characters - found.holdout
    held = vocabulary.decode(text[cut:]).split("\n")[:-1]
    known = known_items(held, text[:cut], vocabulary)
    return sum(item in known for item in held)


def described(found: Arranged, twice: int) -> str:
    """A list in one line: its items, those held out, and those of them that are not new."""
    line = f"A list of {found.items.items:,} items, of which {found.holdout_items:,} are held out"
    if not twice:
        return f"{line}."
    return f"{line}; {twice:,} of these are also among those that are trained on."
