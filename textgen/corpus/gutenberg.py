"""The Project Gutenberg selections of NLTK: eighteen books in English."""

import difflib
import re
from fnmatch import fnmatchcase

from textgen.corpus import nltk_data
from textgen.corpus.licence import without_licence
from textgen.errors import TextgenError

FILEIDS = (
    "austen-emma",
    "austen-persuasion",
    "austen-sense",
    "bible-kjv",
    "blake-poems",
    "bryant-stories",
    "burgess-busterbrown",
    "carroll-alice",
    "chesterton-ball",
    "chesterton-brown",
    "chesterton-thursday",
    "edgeworth-parents",
    "melville-moby_dick",
    "milton-paradise",
    "shakespeare-caesar",
    "shakespeare-hamlet",
    "shakespeare-macbeth",
    "whitman-leaves",
)

# The first line of every file, such as [Emma by Jane Austen 1816].
_TITLE = re.compile(r"\A\s*\[[^\n]*\][ \t]*\n")
_TRAILING_BLANKS = re.compile(r"[ \t]+$", re.MULTILINE)


def matching(pattern: str) -> list[str]:
    """The file ids that a pattern such as `shakespeare-*` means; `.txt` may end it.

    Raises:
        TextgenError: there is none; suggests near ones.
    """
    fileids = [name for name in FILEIDS if fnmatchcase(name, pattern.removesuffix(".txt"))]
    if not fileids:
        near = difflib.get_close_matches(pattern.lower(), FILEIDS, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise TextgenError(
            f"NLTK's Gutenberg selections have no {pattern!a}. {hint}"
            "To list them: textgen prepare --list."
        )
    return fileids


def on_disk(fileid: str) -> bool:
    """Whether the book is in one of NLTK's data folders."""
    return nltk_data.find(_resource(fileid)) is not None


def fetch(fileid: str) -> None:
    """Download the selections unless the book is there.

    Raises:
        TextgenError: they cannot be fetched.
    """
    if not on_disk(fileid):
        nltk_data.fetch("gutenberg", f"gutenberg:{fileid}")


def read(fileid: str, keep_boilerplate: bool) -> str:
    """The clean text of a book that `fetch` has put on disk.

    Raises:
        TextgenError: it is not there after all, or cannot be read.
    """
    pointer = nltk_data.find(_resource(fileid))
    if pointer is None:
        raise TextgenError(f"NLTK's package has no {fileid}.txt. Download it again with NLTK.")
    try:
        with pointer.open() as file:
            return clean(file.read(), keep_boilerplate)
    except OSError as error:
        raise TextgenError(f"Cannot read {fileid}.txt: {error}") from error


def clean(data: bytes, keep_boilerplate: bool) -> str:
    """What the author wrote, out of the bytes of one of NLTK's files.

    The files are latin-1 where they are not UTF-8; some have CRLF, blanks at line ends,
    or the end-of-file mark of CP/M (control Z). All begin with a line that NLTK added,
    and one still ends with the licence: these two `keep_boilerplate` keeps.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x1a", "")
    text = _TRAILING_BLANKS.sub("", text)
    if not keep_boilerplate:
        text = "".join(without_licence([_TITLE.sub("", text, count=1)]))
    return text.strip("\n") + "\n"


def _resource(fileid: str) -> str:
    """Where NLTK keeps the book."""
    return f"corpora/gutenberg/{fileid}.txt"
