"""Characters of a prompt that a model does not know, and what it knows in their place."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import chain

from textgen.corpus.cleaning import TYPEWRITER
from textgen.messages import note, visible

# Straight, opening, closing and rarer quotes.
QUOTES = (("'", "‘", "’", "‚‛ʼ′`´‹›"), ('"', "“", "”", "„‟″«»"))  # noqa: RUF001
OPENING = "‘‚‹“„«"  # noqa: RUF001
DASHES = "-–—―‒−‐‑"  # noqa: RUF001
SPACES = " \n"
# Latin letters and punctuation, with what typewriters lack.
TYPED = {*map(chr, (9, *range(0x20, 0x250), *range(0x2000, 0x2070), *TYPEWRITER))}


def as_known(text: str, characters: str) -> str:
    """A text in characters that a model knows, as far as there are any; a note names the others.

    Capitals become small letters, curly quotes straight ones or the other way round, and
    dashes, ellipses, accents and blanks what is nearest to them.

    Args:
        text: a prompt.
        characters: what the model knows.
    """
    known = set(characters)
    unknown = sorted(set(text) - known)
    if not unknown:
        return text
    read: dict[str, str] = {}

    def in_place(found: re.Match[str]) -> str:
        before = text[found.start() - 1] if found.start() else " "
        after_blank = before.isspace() or before in "([{—"
        opens = after_blank if found[0] in "'\"" else None
        instead = relative(found[0], known, opens)
        read.setdefault(found[0], instead)
        return instead

    text = re.sub(f"[{re.escape(''.join(unknown))}]", in_place, text)
    changed = [character for character in unknown if read[character] != character]
    if changed:
        instead = " ".join("".join(map(visible, read[one])) or "nothing" for one in changed)
        note(f"The model does not know {' '.join(map(visible, changed))}: read as {instead}.")
    return text


def relatives(characters: str, opens: bool = False) -> dict[str, str]:
    """What a model knows in place of the characters that people type in a Latin script.

    Args:
        characters: what the model knows.
        opens: whether a straight quote opens.
    """
    known = set(characters)
    unknown = sorted(TYPED - known)
    found = {one: relative(one, known, opens or None) for one in unknown}
    return {one: instead for one, instead in found.items() if instead != one}


def relative(character: str, known: set[str], opens: bool | None = None) -> str:
    """What a model knows in place of a character; the character itself where it is nothing.

    Args:
        character: one that may be unknown.
        known: the characters that the model knows.
        opens: whether a quote opens; None for what it looks like.
    """
    opens = character in OPENING if opens is None else opens
    relatives = [*_relatives(character, opens)]
    written = [*chain.from_iterable((one, one.lower()) for one in relatives)]
    written += [one.upper() for one in relatives]
    return next(filter(known.issuperset, written), character)


def _relatives(character: str, opens: bool) -> Iterator[str]:
    """What may stand in for a character, the nearest first."""
    yield character
    for straight, opening, closing, rarer in QUOTES:
        if character in straight + opening + closing + rarer:
            yield straight
            yield from (opening, closing) if opens else (closing, opening)
    if character == "—":
        yield "--"
    if character in DASHES:
        yield from DASHES
    if character.isspace():
        yield from SPACES
    typed = unicodedata.normalize("NFKD", character.translate(TYPEWRITER)).translate(TYPEWRITER)
    yield typed
    bare = "".join(part for part in typed if not unicodedata.combining(part))
    if bare or unicodedata.combining(character):
        yield bare
