"""Clean text for a program."""

import os
from collections.abc import Iterator

from textgen.config import NORMALIZATIONS, Cleaning
from textgen.corpus.sources import open_sources
from textgen.errors import TextgenError

_DEFAULT = Cleaning()


def prepare(
    source: str | os.PathLike[str],
    *sources: str | os.PathLike[str],
    lowercase: bool = _DEFAULT.lowercase,
    normalize: str = _DEFAULT.normalize,
    ascii: bool = _DEFAULT.ascii,
    tokenize: bool = _DEFAULT.tokenize,
    drop_stopwords: bool = _DEFAULT.drop_stopwords,
    encoding: str = "utf-8",
    keep_boilerplate: bool = False,
) -> Iterator[str]:
    """The clean text of one or more sources, in pieces, so that memory stays small.

    >>> import textgen
    >>> text = "".join(textgen.prepare("builtin:runaway-echo", lowercase=True))
    >>> text.islower()
    True

    Args:
        source: a path, `-` (stdin), `builtin:NAME`, `gutenberg:FILEID` (or a pattern) or
            `cat-in-the-hat`.
        sources: more of them; each begins on a line of its own.
        lowercase: lower-case everything.
        normalize: Unicode normal form: `nfc`, `nfkc` or `none`.
        ascii: write quotes, dashes and accents in ASCII, and drop all other characters.
        tokenize: NLTK's word tokens, joined by one blank.
        drop_stopwords: drop NLTK's English stop words; implies `tokenize`.
        encoding: that of files and of stdin.
        keep_boilerplate: keep Project Gutenberg's licence, if there is one.

    Yields:
        Pieces of text, none empty. All sources are found, and fetched if need be, before the
        first one.

    Raises:
        TextgenError: a source is missing, cannot be read or decoded, or is empty.
    """
    if normalize not in NORMALIZATIONS:
        raise TextgenError(
            f"normalize must be one of {', '.join(NORMALIZATIONS)}, not {normalize!r}."
        )
    cleaning = Cleaning(lowercase, normalize, ascii, tokenize or drop_stopwords, drop_stopwords)
    paths = [os.fspath(item) for item in (source, *sources)]
    return open_sources(paths, cleaning, encoding, keep_boilerplate)
