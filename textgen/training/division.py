"""How a text is divided into what is trained on and what is held out."""

from dataclasses import dataclass
from pathlib import Path

from textgen.config import TrainConfig
from textgen.corpus.lists import Look, look_of
from textgen.errors import TextgenError
from textgen.generation.items import known_items
from textgen.messages import shown
from textgen.storage.run import MOST_HOLDOUT, MOST_SOURCES, Run, holdout_characters
from textgen.text.encoding import EncodedText, Part, append_ids, open_ids
from textgen.text.items import Arranged, ItemList, arrange
from textgen.text.parts import divided, move_holdouts
from textgen.text.vocabulary import UNKNOWN_BITS, Vocabulary
from textgen.training.request import Request
from textgen.training.same_text import text_sha256


@dataclass(frozen=True)
class Division:
    """A text in its file, divided.

    Attributes:
        parts: each with its hold-out; all that is held out is the end of the file.
        ids_sha256: of the text in the file, where that is not as it was read; else None.
        items: what is to be kept of a list; None for a text that is none.
        unknown: characters of the hold-out that the text lacks, and that the file is without.
        choices: what was done and why, a line each.
    """

    parts: tuple[Part, ...]
    ids_sha256: str | None = None
    items: ItemList | None = None
    unknown: int = 0
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
    """Divide a text; a list is rearranged, and what is held out of several texts is moved.

    Args:
        request: what the user asked for.
        encoded: the text.
        ids: the file of its ids.

    Raises:
        TextgenError: it is to be a list, and cannot be one; or a hold-out of the user's own
            cannot be used.
    """
    if request.holdout is not None:
        return with_own_holdout(request, encoded, ids)
    split = request.given.get("validation_split", TrainConfig.validation_split)
    is_list, why = whether_list(request, encoded, ids)
    if not is_list:
        holdout = holdout_characters(encoded.characters, split)
        parts = divided(kept_lengths(encoded), holdout)
        if len(parts) == 1:
            return Division(parts, choices=why)
        move_holdouts(ids, encoded.vocabulary.dtype, parts)
        return Division(parts, text_sha256(ids, encoded.vocabulary), choices=why)
    seed = request.given.get("seed", TrainConfig.seed)
    found = arrange(ids, encoded.vocabulary, split, MOST_HOLDOUT, seed)
    part = Part(found.characters, found.holdout)
    line = described(found, duplicates(ids, encoded.vocabulary, found))
    return Division((part,), found.sha256, found.items, choices=(*why, line))


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


def kept_lengths(encoded: EncodedText) -> tuple[int, ...]:
    """The lengths of the sources; what comes after the first ones of very many counts as one."""
    lengths = encoded.lengths or (encoded.characters,)
    if len(lengths) <= MOST_SOURCES:
        return lengths
    return (*lengths[: MOST_SOURCES - 1], sum(lengths[MOST_SOURCES - 1 :]))


def with_own_holdout(request: Request, encoded: EncodedText, ids: Path) -> Division:
    """Put a hold-out of the user's own behind the text, all of which is trained on.

    Raises:
        TextgenError: the two sets of options do not go together, or nothing of it is known.
    """
    if request.given.get("list") or "validation_split" in request.given:
        other = "list" if request.given.get("list") else "validation_split"
        raise TextgenError(f"Use either holdout or {other}: both say what is held out.")
    vocabulary, name = encoded.vocabulary, shown(request.holdout or "")
    chunks = request.read_holdout(request.cleaning)
    known, unknown = append_ids(chunks, ids, vocabulary, MOST_HOLDOUT)
    if not known:
        raise TextgenError(f"The text has no character of the hold-out {name}. Give another one.")
    line = f"The hold-out is {name}: {known + unknown:,} characters"
    if unknown:
        line += f", {unknown:,} of which the text lacks; each costs {UNKNOWN_BITS:.0f} bits"
    parts = (*(Part(length, 0) for length in kept_lengths(encoded)), Part(known, known))
    return Division(parts, text_sha256(ids, vocabulary), None, unknown, (f"{line}.",))


def divide_as(run: Run, request: Request, encoded: EncodedText, ids: Path) -> None:
    """Divide a text as the chief did, whose run is given.

    Raises:
        TextgenError: the hold-out is missing here, or another one.
    """
    if run.items is not None:
        split, seed = run.train.validation_split, run.train.seed
        arrange(ids, encoded.vocabulary, split, MOST_HOLDOUT, seed)
    elif run.characters > encoded.characters:
        if request.holdout is None:
            raise TextgenError(
                "The hold-out of this run is not here. Let the workers share the run's folder."
            )
        append_ids(request.read_holdout(run.cleaning), ids, encoded.vocabulary, MOST_HOLDOUT)
    elif len(run.parts) > 1:
        move_holdouts(ids, encoded.vocabulary.dtype, run.parts)
    if text_sha256(ids, encoded.vocabulary) != (run.ids_sha256 or run.sha256):
        raise TextgenError(
            "What is held out here differs from the chief's. Give all workers the same files."
        )


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
