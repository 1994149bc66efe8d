"""Files that are no plain text, known by their first bytes."""

import re

from textgen.errors import TextgenError
from textgen.messages import note

LONGEST = 512  # first bytes that are looked at

_EXPORT = "Export it as plain text in the program that it was made with."
_UNPACK = "Unpack it, and give the text that is in it"
# First bytes, what such a file is, and how to get its text.
_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (rb"%PDF-", "a PDF", "Export it as plain text, for example with pdftotext."),
    (rb"PK\x03\x04.{26}mimetypeapplication/epub", "an EPUB", "Convert it to plain text."),
    (rb"PK\x03\x04.{26}mimetypeapplication/vnd.oasis", "an OpenDocument file", _EXPORT),
    (rb"PK\x03\x04.*(\[Content_Types\]|word/|_rels/)", "an Office document", _EXPORT),
    (rb"PK\x03\x04.{26}metadata\.json", "a model", "Give a text."),
    (rb"PK\x03\x04", "a ZIP archive", f"{_UNPACK}: unzip."),
    (rb"\x1f\x8b", "compressed", f"{_UNPACK}: gunzip."),
    (rb"BZh[1-9]1AY&SY", "compressed", f"{_UNPACK}: bunzip2."),
    (rb"\xfd7zXZ\x00", "compressed", f"{_UNPACK}: unxz."),
    (rb"\x28\xb5\x2f\xfd", "compressed", f"{_UNPACK}: unzstd."),
    (rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07", "an archive", f"{_UNPACK}."),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", _EXPORT),
    (
        rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|II\*\x00|MM\x00\*|BM.{4}\x00{4}",
        "an image",
        "Text in a picture must be typed first, or read by OCR software.",
    ),
    (
        rb"ID3[\x02-\x04]|OggS\x00|fLaC\x00|RIFF.{4}(WAVE|AVI )|.{4}ftyp|\x1aE\xdf\xa3",
        "sound or film",
        "Give a text.",
    ),
)
# How all of them begin: only then more bytes are waited for.
_STARTS = (
    *(b"%PDF", b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf"),
    *(b"Rar!", b"\xd0\xcf\x11\xe0", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\x00"),
    *(b"MM\x00*", b"BM", b"ID3", b"OggS", b"fLaC", b"\x00\x00\x00", b"\x1aE\xdf\xa3"),
    *(b"<", b"{\\rt"),
)
# Text, but with more in it than a person reads.
_MARKUP = (
    (rb"\s*(<!doctype html|<html|<\?xml[^>]*>\s*(<!doctype html|<html))", "HTML"),
    (rb"\{\\rtf", "RTF"),
)


def needs_more(head: bytes) -> bool:
    """Whether the first four bytes leave open what a file is."""
    return head.startswith(_STARTS)


def refuse_other_formats(head: bytes, name: str) -> None:
    """Check by its first bytes that a file is plain text; a note says where it is markup.

    Args:
        head: the first bytes, `LONGEST` of them or more where there are as many.
        name: what messages call the file.

    Raises:
        TextgenError: it is a document, an archive, an image or the like; says what to do.
    """
    for start, what, fix in _FORMATS:
        if re.match(start, head, re.DOTALL):
            raise TextgenError(f"{name} is {what}, not plain text. {fix}")
    for start, what in _MARKUP:
        if re.match(start, head, re.IGNORECASE):
            note(
                f"{name} is {what}: its markup is taken as text too. "
                "To leave that out, export it as plain text first."
            )
