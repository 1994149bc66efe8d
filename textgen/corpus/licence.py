"""Project Gutenberg's licence around a book: its marks, and a stream without it."""

import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from textgen.corpus.chunks import whole_lines

# The mark that ends a header is looked for in so many characters; the longest old
# headers ("small print") have about 20,000.
HEADER = 1 << 16

_START = re.compile(r"\*\*\* ?START OF (THE|THIS) PROJECT GUTENBERG", re.IGNORECASE)
_SMALL_PRINT = re.compile(r"\*END\*? ?THE SMALL PRINT!", re.IGNORECASE)
_END = re.compile(
    r"\*\*\* ?END OF (THE|THIS) PROJECT GUTENBERG|End of (the |this )?Project Gutenberg",
    re.IGNORECASE,
)
_NAMES = ("PROJECT GUTENBERG", "Project Gutenberg")  # one is in every mark


def without_licence(chunks: Iterable[str]) -> Iterator[str]:
    """Take a marked Project Gutenberg licence out of a stream of text.

    What stands before a start mark goes if that mark is in the first `HEADER`
    characters, and what follows an end mark goes until the next start mark, so that
    several books in one stream are all kept. Unmarked text is left as it is.
    """
    pieces = whole_lines(chunks)
    head = ""
    while len(head) < HEADER and (piece := next(pieces, "")):
        head += piece
    return _bodies(chain([head[_header_size(head) :]], pieces))


def _lines(text: str) -> Iterator[str]:
    r"""The lines with their ends; only `\n` ends one."""
    return io.StringIO(text, newline="\n")


def _header_size(head: str) -> int:
    """How many characters of a text's beginning are licence, with the blank lines behind."""
    size = position = 0
    wrapped = False
    for line in _lines(head):
        if position >= HEADER or _END.match(line):
            break
        starts = _START.match(line) is not None
        closes = line.rstrip().endswith("***")
        blank = 0 < size == position and not line.strip()
        if starts or blank or (wrapped and closes) or _SMALL_PRINT.match(line):
            size = position + len(line)
        wrapped = starts and not closes  # a long title continues on the next line
        position += len(line)
    return size


def _bodies(pieces: Iterable[str]) -> Iterator[str]:
    """Drop what stands between an end mark and the next start mark.

    The first piece begins inside a book. Pieces are as `whole_lines` cuts them.
    """
    inside = at_line_start = True
    for piece in filter(None, pieces):
        body = piece if inside else ""
        if any(name in piece for name in _NAMES):
            kept = []
            for line in _lines(piece):
                if at_line_start and (_END if inside else _START).match(line):
                    inside = not inside
                elif inside:
                    kept.append(line)
                at_line_start = line.endswith("\n")
            body = "".join(kept)
        at_line_start = piece.endswith("\n")
        if body:
            yield body
