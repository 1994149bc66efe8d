"""Bytes become text: encodings, byte order marks, universal newlines."""

import codecs
import io
from collections.abc import Iterable, Iterator
from itertools import chain

from textgen.corpus import formats
from textgen.errors import TextgenError

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST_MARK = 4


def check_encoding(encoding: str) -> str:
    """Return Python's name of an encoding.

    Raises:
        TextgenError: Python does not know it, or it does not turn bytes into text.
    """
    try:
        codecs.getincrementaldecoder(encoding)
        " ".encode(encoding)  # refuses codecs such as rot13, which are not for bytes
        return codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:
        raise TextgenError(
            f"Unknown encoding {encoding!a}. Common ones: utf-8, latin-1, cp1252, utf-16, "
            "shift_jis, gb18030."
        ) from error


def decode(blocks: Iterable[bytes], name: str, encoding: str) -> Iterator[str]:
    r"""Decode a stream of bytes; every `\r\n` and `\r` becomes `\n`, a leading mark goes.

    A byte order mark of UTF-16 or UTF-32 overrules `utf-8`, the default, and nothing else.

    Args:
        blocks: the bytes, cut anywhere.
        name: what messages call the source.
        encoding: as `check_encoding` returns it.

    Yields:
        Pieces of the text, none empty.

    Raises:
        TextgenError: the bytes are those of a document, an archive or the like; they are not
            in that encoding (with the offset); or the text holds what no text does: NUL or a
            lone surrogate.
    """
    blocks = iter(blocks)
    head = _at_least(blocks, _LONGEST_MARK)
    if formats.needs_more(head):
        head += _at_least(blocks, formats.LONGEST)
    formats.refuse_other_formats(head, name)
    codec = _by_mark(head, encoding)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(codec)(), translate=True)
    offset = characters = 0
    for block, last in chain(((block, False) for block in chain([head], blocks)), [(b"", True)]):
        try:
            text = decoder.decode(block, last)
        except UnicodeError as error:
            raise _undecodable(error, name, codec, offset, block) from error
        if not characters:
            text = text.removeprefix("\ufeff")
        _refuse_binary(text, name, characters)
        offset += len(block)
        characters += len(text)
        if text:
            yield text


def _at_least(blocks: Iterator[bytes], size: int) -> bytes:
    """The first `size` bytes or more; fewer only when there are no more."""
    head = b""
    while len(head) < size and (block := next(blocks, b"")):
        head += block
    return head


def _by_mark(head: bytes, encoding: str) -> str:
    """The encoding that a byte order mark shows, unless another was asked for."""
    if encoding != "utf-8":
        return encoding
    return next((codec for mark, codec in _MARKS if head.startswith(mark)), encoding)


def _undecodable(
    error: UnicodeError, name: str, codec: str, offset: int, block: bytes
) -> TextgenError:
    """The one line that says where decoding failed, with two fixes.

    `offset` is that of `block`; the decoder may have kept bytes of earlier blocks.
    """
    if b"\0" in block and codec == "utf-8":
        return _binary(name, "")
    where = ""
    fix = (
        "give its encoding, such as --encoding latin-1, or convert it first: "
        "iconv -f latin1 -t utf-8."
    )
    if isinstance(error, UnicodeDecodeError):
        offset += error.start - (len(error.object) - len(block))
        where = f": byte 0x{error.object[error.start]:02x} at offset {offset} ({error.reason})"
        if error.reason == "unexpected end of data":
            fix = f"If it was cut off within a character, get all of it; else {fix}"
    return TextgenError(f"{name} is not valid {codec}{where}. {fix[0].upper()}{fix[1:]}")


def _binary(name: str, where: str) -> TextgenError:
    """The one line for a file with NULs."""
    return TextgenError(
        f"{name} contains NUL{where}: it is not plain text, or UTF-16 without a byte order mark. "
        "Export it as plain text, or give its encoding, such as --encoding utf-16."
    )


def _refuse_binary(text: str, name: str, before: int) -> None:
    """Raise where the text holds NUL or a lone surrogate; `before` characters came before."""
    if "\0" in text:
        raise _binary(name, f" (character {before + text.index(chr(0))})")
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError as error:
        raise TextgenError(
            f"{name} contains half a surrogate pair (character {before + error.start}). "
            "Give its encoding with --encoding."
        ) from error
