"""Where a stream of text may be cut: at line ends, and where no character looks back."""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal

# A longer line, or longer run without a blank, is cut, so that memory is bounded.
LONGEST = 1 << 16

Form = Literal["NFC", "NFKC"]


def whole_lines(chunks: Iterable[str]) -> Iterator[str]:
    """Cut a stream so that each piece ends at a line end.

    Only within a line that is longer than `LONGEST` characters a piece ends elsewhere,
    behind a blank if there is one, and never in the first half of those.
    """
    pending = ""
    for chunk in chunks:
        pending += chunk
        cut = pending.rfind("\n") + 1
        if len(pending) - cut > LONGEST:
            cut = pending.rfind(" ", cut + LONGEST // 2) + 1 or len(pending)
        if cut:
            yield pending[:cut]
            pending = pending[cut:]
    if pending:
        yield pending


def independent(chunks: Iterable[str], form: Form, longest: int = LONGEST) -> Iterator[str]:
    """Cut a stream so that cleaning the pieces equals cleaning the whole.

    A piece ends before a blank or a line end: no accent joins those, and no letter looks
    across them (a capital sigma's lower case depends on whether its word continues). In
    `longest` characters without one, a piece ends before a character that
    normalisation cannot join to those before it; where there is none of those either
    (thousands of accents on one letter), anywhere.

    Args:
        chunks: the text.
        form: the normal form that the pieces will be put into.
        longest: how many characters may wait for a blank.
    """
    pending = ""
    for chunk in chunks:
        pending += chunk
        cut = max(pending.rfind(" "), pending.rfind("\n"))
        if len(pending) - max(cut, 0) > longest:
            cut = _last_fresh(pending, max(cut, 0) + longest // 2, form)
        if cut > 0:
            yield pending[:cut]
            pending = pending[cut:]
    if pending:
        yield pending


def _last_fresh(text: str, lowest: int, form: Form) -> int:
    """The last place above `lowest` where a fresh character stands, or the end."""
    places = range(len(text) - 1, lowest, -1)
    return next((place for place in places if is_fresh(text[place], form)), len(text))


def is_fresh(character: str, form: Form) -> bool:
    """Whether normalisation never joins this character to one before it.

    True means never. False is cautious: marks, and letters without case (they include
    the Hangul vowels, which join), are not asked about any further.
    """
    category = unicodedata.category(character)
    uncertain = category[0] == "M" or category == "Lo"
    return not uncertain and unicodedata.is_normalized(form, character)
