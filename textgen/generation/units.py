"""Where sentences, lines and paragraphs end: for `textgen sample` and for a page that writes."""

import re
from collections.abc import Callable

# Characters of each unit at most, if no other length is asked for; words are the page's only.
MOST = {"word": 30, "sentence": 400, "line": 300, "paragraph": 1500}

# What ends a sentence before a blank, and what does so wherever it stands.
MARKS = ".!?…؟۔।"  # noqa: RUF001
WIDE_MARKS = "。！？"  # noqa: RUF001
CLOSERS = "\"'”’»)]」』）"  # noqa: RUF001
# Words whose full stop ends no sentence; so does none after a single letter, I apart.
ABBREVIATIONS = (
    *("mr", "mrs", "ms", "mx", "messrs", "mme", "mlle", "dr", "prof", "rev", "st", "mt", "jr"),
    *("sr", "capt", "col", "gen", "lt", "maj", "sgt", "esq", "vs", "viz", "cf", "hr", "nr", "bzw"),
)
_INITIALS = re.compile(r"[^\W\d_](\.[^\W\d_])*")


def _ends_sentence(text: str, following: str) -> bool:
    bare = text.rstrip(CLOSERS)
    if not any(map(str.isalnum, text)):
        return False
    if bare[-1] in WIDE_MARKS:
        return following not in CLOSERS + WIDE_MARKS
    if bare[-1] not in MARKS or not following.isspace():
        return False
    return bare[-1] != "." or not _abbreviates(bare[:-1])


def _abbreviates(text: str) -> bool:
    """Whether a full stop after this belongs to the word, as in `Mr.` or `J. S.`."""
    word = re.sub(r"^[\W_]+", "", re.split(r"\s", text)[-1])
    return word.lower() in ABBREVIATIONS or bool(word != "I" and _INITIALS.fullmatch(word))


def _ends_line(text: str, following: str) -> bool:
    return text.endswith("\n") and not text.isspace()


def _ends_paragraph(text: str, following: str) -> bool:
    return _ends_line(text, following) and "\n" in text[len(text.rstrip()) : -1]


_ENDS: dict[str, Callable[[str, str], bool]] = {
    "sentence": _ends_sentence,
    "line": _ends_line,
    "paragraph": _ends_paragraph,
}
UNITS = tuple(_ENDS)

# The same for a page that writes.
SENTENCES = {
    "marks": MARKS,
    "wide_marks": WIDE_MARKS,
    "closers": CLOSERS,
    "abbreviations": ABBREVIATIONS,
}


def ends(unit: str, text: str, following: str) -> bool:
    """Whether a text is complete.

    Args:
        unit: one of `UNITS`.
        text: what was written so far, or its end.
        following: the character that would come next; a sentence ends only before a blank.
    """
    return bool(text) and _ENDS[unit](text, following)
