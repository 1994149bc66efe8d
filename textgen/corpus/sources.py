"""Sources: what the user names, found and read."""

import difflib
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, BinaryIO

from textgen.config import Cleaning
from textgen.corpus import cat_in_the_hat, gutenberg
from textgen.corpus.cleaning import Cleaner, cleaner
from textgen.corpus.decoding import check_encoding, decode
from textgen.corpus.licence import without_licence
from textgen.errors import TextgenError
from textgen.messages import quoted, shown

BLOCK = 1 << 18
STDIN = "-"
CAT = "cat-in-the-hat"
BUILTIN = "builtin:"
GUTENBERG = "gutenberg:"
LONGEST_STEM = 50


@dataclass(frozen=True)
class Source:
    """One text that can be read.

    Attributes:
        name: what the user finds it by; for a path, its last part.
        stem: the default name of a run that is trained on it.
        read: its text, given the encoding and whether licences are kept.
        fetch: makes sure that `read` will find it; may use the network.
    """

    name: str
    stem: str
    read: Callable[[str, bool], Iterator[str]]
    fetch: Callable[[], None] = lambda: None


def open_sources(
    sources: Sequence[str],
    cleaning: Cleaning,
    encoding: str = "utf-8",
    keep_boilerplate: bool = False,
) -> "Joined":
    """The clean text of one or more sources, as a stream of pieces in bounded memory.

    Where a source does not end with a newline, one separates it from the next. All
    sources are looked for, and what is missing is fetched, before this returns; files are
    opened one after another, as the text is taken.

    Args:
        sources: paths, `-` (stdin), `builtin:NAME`, `gutenberg:FILEID` (or a pattern) and
            `cat-in-the-hat`, in any number and order.
        cleaning: how the text is cleaned.
        encoding: that of paths and of stdin.
        keep_boilerplate: leave Project Gutenberg's licence in.

    Returns:
        An iterator of pieces of text, none empty.

    Raises:
        TextgenError: a source is missing, cannot be read or decoded, or is empty.
    """
    encoding = check_encoding(encoding)
    found = find_sources(sources)
    clean = cleaner(cleaning)
    for source in found:
        source.fetch()
    return Joined([partial(_text, source, clean, encoding, keep_boilerplate) for source in found])


class Joined(Iterator[str]):
    """Texts one after another in pieces, each text on a line of its own.

    Attributes:
        lengths: characters of each text that was begun; a newline that was added counts for the
            text before it.
    """

    def __init__(self, texts: Sequence[Callable[[], Iterator[str]]]):
        self.lengths: list[int] = []
        self._pieces = self._read(texts)

    def __next__(self) -> str:
        piece = next(self._pieces)
        self.lengths[-1] += len(piece)
        return piece

    def _read(self, texts: Sequence[Callable[[], Iterator[str]]]) -> Iterator[str]:
        last = "\n"
        for text in texts:
            if not last.endswith("\n"):
                yield "\n"
            self.lengths.append(0)
            for last in text():
                yield last


def _text(source: Source, clean: Cleaner, encoding: str, keep_boilerplate: bool) -> Iterator[str]:
    """The clean text of one source."""
    empty = True
    for chunk in clean(source.read(encoding, keep_boilerplate)):
        empty = False
        yield chunk
    if empty:
        raise TextgenError(f"{shown(source.name)} is empty, or cleaning leaves nothing of it.")


def source_names(sources: Sequence[str]) -> list[str]:
    """What a model's provenance calls its sources; patterns are resolved.

    Raises:
        TextgenError: a source is missing.
    """
    return [utf8(source.name) for source in find_sources(sources)]


def utf8(name: str) -> str:
    """A file's name as JSON can hold it: what is not UTF-8 becomes U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")


def source_stem(sources: Sequence[str]) -> str:
    """The default name of a run: the first source's, made safe for a file name.

    Without sources it is `text`.

    Raises:
        TextgenError: a source is missing.
    """
    stem = next((source.stem for source in find_sources(sources)), "")
    return re.sub(r"[^\w.-]+", "-", stem)[:LONGEST_STEM].strip("-.") or "text"


def list_sources() -> list[tuple[str, str]]:
    """What is there and what can be fetched: names, and where each stands."""
    listed = [(BUILTIN + name, "ships with textgen") for name in builtin_files()]
    for fileid in gutenberg.FILEIDS:
        where = "on disk" if gutenberg.on_disk(fileid) else "can be fetched"
        listed.append((GUTENBERG + fileid, where))
    own = cat_in_the_hat.own_copy()
    cached = "fetched before" if cat_in_the_hat.cached_page().exists() else "can be fetched"
    listed.append((CAT, f"your own copy, {own}" if own else f"{cached}; in copyright"))
    return listed


def find_sources(sources: Sequence[str]) -> list[Source]:
    """Find every source without reading or fetching anything.

    Raises:
        TextgenError: one is missing, or stdin is named twice.
    """
    _refuse_split_name(sources)
    for source in sources:
        if sources.count(source) > 1 and (source == STDIN or Path(source).is_fifo()):
            name = "stdin (-)" if source == STDIN else f"The pipe {shown(source)}"
            raise TextgenError(f"{name} is given twice but can only be read once.")
    return [found for source in sources for found in _find(source)]


def _refuse_split_name(sources: Sequence[str]) -> None:
    """Check that no file is named without the quotes that the blanks in its name need.

    Raises:
        TextgenError: one is.
    """
    for start, source in enumerate(sources):
        if os.path.exists(source):  # noqa: PTH110 - false for names that no system allows
            continue
        for end in range(start + 2, len(sources) + 1):
            name = " ".join(sources[start:end])
            if os.path.isfile(name):  # noqa: PTH113 - as above
                raise TextgenError(
                    f"No such file: {shown(source)}. Blanks in a name need quotes: {quoted(name)}"
                )


def _find(source: str) -> list[Source]:
    """What one name means; a pattern may mean several sources."""
    if source == STDIN:
        return [Source("stdin", "stdin", _read_stdin)]
    if source == CAT:
        return [Source(CAT, CAT, _read_cat, cat_in_the_hat.fetch)]
    if source.startswith(BUILTIN):
        return [_builtin(source.removeprefix(BUILTIN))]
    if source.startswith(GUTENBERG):
        return _gutenberg(source.removeprefix(GUTENBERG))
    return [_path(source)]


def builtin_files() -> dict[str, Traversable]:
    """The texts that ship with textgen, by name."""
    folder = resources.files("textgen.corpora")
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    texts = [file for file in files if file.name.endswith(".txt")]
    return {
        file.name.removesuffix(".txt"): file
        for file in texts
        if file.name != cat_in_the_hat.OWN_COPY
    }


def _builtin(name: str) -> Source:
    """A text that ships with textgen."""
    files = builtin_files()
    if name not in files:
        raise TextgenError(f"There is no built-in text {name!a}. Available: {', '.join(files)}.")

    def read(encoding: str, keep_boilerplate: bool) -> Iterator[str]:
        with files[name].open("rb") as file:
            yield from decode(_blocks(file, name), name, "utf-8")

    return Source(BUILTIN + name, name, read)


def _gutenberg(pattern: str) -> list[Source]:
    """The NLTK selections that a pattern means; a run is named after the pattern."""

    def source(fileid: str) -> Source:
        def read(encoding: str, keep_boilerplate: bool) -> Iterator[str]:
            yield gutenberg.read(fileid, keep_boilerplate)

        return Source(GUTENBERG + fileid, stem, read, partial(gutenberg.fetch, fileid))

    fileids = gutenberg.matching(pattern)
    stem = fileids[0] if len(fileids) == 1 else pattern.removesuffix(".txt")
    return [source(fileid) for fileid in fileids]


def _read_cat(encoding: str, keep_boilerplate: bool) -> Iterator[str]:
    """The user's own copy, or the poem on the fetched page."""
    own = cat_in_the_hat.own_copy()
    if own is None:
        yield cat_in_the_hat.read_page()
    else:
        yield from _read_path(str(own), encoding, keep_boilerplate)


def _path(path: str) -> Source:
    """A file, a pipe or a device by its path."""
    if re.match(r"https?://", path):
        raise TextgenError(
            f"{shown(path)} is an address: download the text first, for example with "
            f"curl -Lo text.txt {quoted(path)}"
        )
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (for Path, an empty name is a folder)
    except FileNotFoundError as error:
        raise TextgenError(f"No such file: {shown(path)}. {_hint(path)}") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(mode):
        raise TextgenError(f"{shown(path)} is a folder. Give the files in it.")
    if not os.access(path, os.R_OK):
        raise TextgenError(f"{shown(path)} cannot be read: permission denied.")
    return Source(Path(path).name, Path(path).stem, partial(_read_path, path))


def _hint(path: str) -> str:
    """What the user may have meant by the path of a file that is not there."""
    folder, name = os.path.split(path)
    with suppress(OSError, ValueError):
        files = [file.name for file in Path(folder or ".").iterdir()]
        if near := difflib.get_close_matches(name, files, n=1, cutoff=0.75):
            return f"Did you mean {shown(Path(folder, near[0]))}?"
    names = [CAT, *(BUILTIN + name for name in builtin_files())]
    names += [GUTENBERG + fileid for fileid in gutenberg.FILEIDS]
    titles = {name.split(":")[-1]: name for name in names} | {name: name for name in names}
    near = difflib.get_close_matches(name.removesuffix(".txt"), titles, n=1)
    if near:
        return f"Did you mean {titles[near[0]]}?"
    return "To list other sources: textgen prepare --list."


def _unreadable(name: str, error: Exception) -> TextgenError:
    """The line that says why a source cannot be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return TextgenError(f"{shown(name)} cannot be read: {reason}.")


def _read_path(path: str, encoding: str, keep_boilerplate: bool) -> Iterator[str]:
    """The text of a file, a pipe or a device."""
    try:
        file = Path(path).open("rb")  # noqa: SIM115 (only opening is within this try)
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        yield from _read_stream(file, shown(path), encoding, keep_boilerplate)


def _read_stdin(encoding: str, keep_boilerplate: bool) -> Iterator[str]:
    """The text on stdin."""
    yield from _read_stream(stdin(), "stdin", encoding, keep_boilerplate)


def stdin() -> BinaryIO:
    """The bytes on stdin.

    Raises:
        TextgenError: it is closed.
    """
    if sys.stdin is None:
        raise TextgenError("stdin is closed. Give a file, or pipe a text to -.")
    return sys.stdin.buffer


def _read_stream(
    file: IO[bytes], name: str, encoding: str, keep_boilerplate: bool
) -> Iterator[str]:
    """Decoded text without a licence."""
    text = decode(_blocks(file, name), name, encoding)
    return text if keep_boilerplate else without_licence(text)


def _blocks(file: IO[bytes], name: str) -> Iterator[bytes]:
    """A stream in blocks, each as soon as there is something."""
    read = getattr(file, "read1", file.read)
    try:
        while block := read(BLOCK):
            yield block
    except OSError as error:
        raise _unreadable(name, error) from error
