"""Bytes become text, wherever the stream is cut."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.corpus.decoding import check_encoding, decode
from textgen.errors import TextgenError

VERSE = "Der Fuchs, der hört den Regen gern;\r\nil pleut, ça va, \U0001f98a\rund fern.\n"
PLAIN = "Der Fuchs, der hört den Regen gern;\nil pleut, ça va, \U0001f98a\nund fern.\n"


def decoded(data: bytes, encoding: str = "utf-8", size: int = 1 << 16) -> str:
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    return "".join(decode(blocks, "a.txt", encoding))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_byte_order_marks_tell_the_encoding_and_are_removed(
    mark: bytes, encoding: str, size: int
) -> None:
    assert decoded(mark + VERSE.encode(encoding), size=size) == PLAIN


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig", "gb18030"])
def test_named_encodings(encoding: str) -> None:
    assert decoded(VERSE.encode(encoding), check_encoding(encoding)) == PLAIN


def test_a_named_encoding_is_obeyed() -> None:
    assert decoded(b"\xff\xfeA", "latin-1") == "ÿþA"


@given(st.text(alphabet="ab\r\n\u00e9\u6f22\U0001f98a"), st.integers(1, 5))
def test_newlines_become_universal_wherever_the_stream_is_cut(text: str, size: int) -> None:
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert decoded(text.encode(), size=size) == expected


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"caf\xe9 au lait", 3),
        (b"\xff", 0),
        ("über".encode() * 3 + b"\x80", 15),
        ("Regen \U0001f98a".encode()[:-1], 6),  # cut off inside a character
        (b"overlong \xc0\xaf", 9),
        (b"surrogate \xed\xa0\x80", 10),
    ],
)
def test_invalid_utf8_names_file_offset_and_ways_out(data: bytes, offset: int, size: int) -> None:
    with pytest.raises(TextgenError) as error:
        decoded(data, size=size)
    message = str(error.value)
    assert message.startswith("a.txt is not valid utf-8")
    assert f"at offset {offset} " in message
    assert "--encoding latin-1" in message
    assert "iconv" in message
    assert "\n" not in message


@given(st.binary(max_size=40), st.sampled_from(["utf-8", "utf-16", "utf-7", "shift_jis"]))
def test_any_bytes_are_decoded_or_refused(data: bytes, encoding: str) -> None:
    try:
        decoded(data, encoding, 3).encode()
    except TextgenError as error:
        assert "\n" not in str(error)


def test_nul_is_refused_with_a_hint_at_utf16() -> None:
    with pytest.raises(TextgenError, match=r"NUL \(character 1\).*--encoding utf-16"):
        decoded("fox\n".encode("utf-16-le"), size=3)


def test_text_before_an_error_has_been_given() -> None:
    pieces = decode([b"fine so far\n", b"\xff"], "a.txt", "utf-8")
    assert next(pieces) == "fine so far\n"
    with pytest.raises(TextgenError, match="offset 12"):
        next(pieces)


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "hex", "", "a\0b", "\udcff", "x" * 5000])
def test_unknown_encodings(encoding: str) -> None:
    with pytest.raises(TextgenError, match="Unknown encoding"):
        check_encoding(encoding)
