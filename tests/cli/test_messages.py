"""What a mistake is answered with: one line that says the right thing, or simply the result."""

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from support.commands import Command, Done
from support.small_run import STORY, make_run

TINY = ("--units", "4", "--seq-length", "8", "--batch-size", "64", "--epochs", "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with the run `chesterton` and a text."""
    make_run(tmp_path, "chesterton")
    (tmp_path / "chesterton.txt").write_text(STORY[:4000], "utf-8")
    return tmp_path


def zipped(*members: tuple[str, bytes]) -> bytes:
    """A ZIP archive; its first member is stored, as EPUB and OpenDocument ask for."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return made.getvalue()


def png() -> bytes:
    """A picture of one grey point."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    points = chunk(b"IDAT", zlib.compress(b"\0\x80"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + points + chunk(b"IEND", b"")


WORD = zipped(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w:document/>"))
ODT = zipped(("mimetype", b"application/vnd.oasis.opendocument.text"), ("content.xml", b"<x/>"))
EPUB = zipped(("mimetype", b"application/epub+zip"), ("META-INF/container.xml", b"<x/>"))
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00"
MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(50)
DOC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)
FORMATS = {
    "book.pdf": (PDF, "book.pdf is a PDF, not plain text. Export it as plain text"),
    "book.docx": (WORD, "book.docx is an Office document, not plain text. Export it"),
    "book.doc": (DOC, "book.doc is an old Office document, not plain text."),
    "book.odt": (ODT, "book.odt is an OpenDocument file, not plain text. Export it"),
    "book.epub": (EPUB, "book.epub is an EPUB, not plain text. Convert it"),
    "model.keras": (
        zipped(("metadata.json", b"{}"), ("config.json", b"{}")),
        "model.keras is a model, not plain text. Give a text.",
    ),
    "book.zip": (zipped(("book.txt", b"fog")), "book.zip is a ZIP archive, not plain text. Unpack"),
    "book.txt.gz": (gzip.compress(b"fog"), "book.txt.gz is compressed, not plain text. Unpack it"),
    "page.png": (png(), "page.png is an image, not plain text."),
    "page.jpg": (JPEG, "page.jpg is an image, not plain text."),
    "page.gif": (GIF, "page.gif is an image, not plain text."),
    "page.webp": (WEBP, "page.webp is an image, not plain text."),
    "book.mp3": (MP3, "book.mp3 is sound or film, not plain text."),
}


def one_error(done: Done) -> str:
    """The one line of an error that the user can mend."""
    assert done.returncode == 1, done.stderr.decode()
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    return line.removeprefix("Error: ")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("command", ["prepare", "train", "score", "sample"])
def test_what_is_no_plain_text_is_known_by_its_first_bytes(
    invoke: Command, folder: Path, command: str, name: str
) -> None:
    data, message = FORMATS[name]
    (folder / name).write_bytes(data)
    said = one_error(invoke(command, *(["-f"] if command == "sample" else []), name))
    assert said.startswith(message)
    assert "latin-1" not in said
    assert "tr -d" not in said


def test_an_encoding_does_not_make_a_text_of_a_pdf(invoke: Command, folder: Path) -> None:
    (folder / "book.pdf").write_bytes(PDF)
    assert "is a PDF" in one_error(invoke("train", "book.pdf", "--encoding", "latin-1"))
    assert "is a PDF" in one_error(invoke("prepare", "-", stdin=PDF))


def test_bytes_of_no_known_format_are_not_called_latin_1(invoke: Command, tmp_path: Path) -> None:
    for options in ([], ["--encoding", "latin-1"]):
        said = one_error(invoke("prepare", "-", *options, stdin=b"\x7fELF\x02\0\0\xff" * 9))
        assert "it is not plain text" in said
        assert "latin-1" not in said
        assert "tr -d" not in said


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<!DOCTYPE html>\n<p>The fog", "HTML"),
        ("\n<html lang='en'><p>The fog", "HTML"),
        ("<?xml version='1.0'?>\n<!DOCTYPE html>\n<p>The fog", "HTML"),
        ("{\\rtf1\\ansi The fog}", "RTF"),
    ],
)
def test_markup_is_noted(invoke: Command, tmp_path: Path, text: str, kind: str) -> None:
    done = invoke("prepare", "-", stdin=text.encode())
    assert done.stdout.decode() == text
    assert done.stderr.decode().startswith(f"stdin is {kind}: its markup is taken as text too.")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("text", ["I was.", "But", "<3 you", "BMX", "ID", "GIF, said she", "PKs"])
def test_a_text_that_begins_like_another_format_is_one(
    invoke: Command, tmp_path: Path, text: str
) -> None:
    done = invoke("prepare", "-", stdin=text.encode())
    assert (done.stdout.decode(), done.stderr) == (text, b"")


def test_a_file_cut_off_within_a_character(invoke: Command, folder: Path) -> None:
    (folder / "cut.txt").write_bytes("fog 🦊".encode()[:-1])
    said = one_error(invoke("train", "cut.txt"))
    assert "at offset 4" in said
    assert "If it was cut off within a character, get all of it" in said


def test_a_name_with_blanks_needs_quotes(invoke: Command, folder: Path) -> None:
    (folder / "Sense and Sensibility.txt").write_text("fog")
    said = one_error(invoke("train", "Sense", "and", "Sensibility.txt"))
    assert said == (
        "No such file: Sense. Blanks in a name need quotes: 'Sense and Sensibility.txt'"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "meant"),
    [
        (["train", "chesterto.txt"], 1, "Did you mean chesterton.txt?"),
        (["train", "carol-alice"], 1, "Did you mean gutenberg:carroll-alice?"),
        (["train", "runaway-eco.txt"], 1, "Did you mean builtin:runaway-echo?"),
        (["trian"], 2, "No such command: trian. Did you mean train?"),
        (["train", "--minuets", "1"], 2, "Did you mean one of: '--minutes'"),
        (["sample", "-m", "chestertn"], 1, "Did you mean chesterton?"),
    ],
)
def test_what_may_have_been_meant(
    invoke: Command, folder: Path, arguments: list[str], status: int, meant: str
) -> None:
    done = invoke(*arguments)
    assert done.returncode == status
    assert meant in done.stderr.decode()


def test_an_unknown_command_that_is_like_no_other(invoke: Command) -> None:
    done = invoke("frobnicate")
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-1] == "Error: No such command: frobnicate."


# Sampling


def test_a_model_may_be_named_by_itself(invoke: Command, folder: Path) -> None:
    options = ("-s", "1", "-n", "20")
    named = invoke("sample", "chesterton", *options)
    assert named.returncode == 0
    assert named.stdout == invoke("sample", "-m", "chesterton", *options).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "The", "man", "said"], "A prompt of several words needs quotes: -p 'The man said'"),
        (["-p", "The", "man"], "A prompt of several words needs quotes: -p 'The man'"),
        (["The man"], "There is no model 'The man'. A prompt comes after -p: -p 'The man'"),
        (["The", "man"], "Name one model, not 2. A prompt comes after -p."),
        (["-m", "a", "chesterton"], "Name one model: -m a or chesterton."),
    ],
)
def test_words_that_belong_nowhere(
    invoke: Command, folder: Path, arguments: list[str], message: str
) -> None:
    done = invoke("sample", *arguments)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-1] == f"Error: {message}"


@pytest.mark.parametrize(
    ("temperature", "note"),
    [
        ("0,8", "Temperatures 0 and 8. For one, write 0.8."),
        ("1,2", "Temperatures 1 and 2. For one, write 1.2."),
        ("0,1", ""),
        ("0.2,1", ""),
        ("0,8,1", "At temperature 8 the text is mostly noise."),
        ("5", "At temperature 5 the text is mostly noise."),
        ("2", ""),
    ],
)
def test_strange_temperatures_are_noted(
    invoke: Command, folder: Path, temperature: str, note: str
) -> None:
    done = invoke("sample", "-n", "5", "-t", temperature)
    assert done.returncode == 0
    first, *_ = done.stderr.decode().splitlines()
    assert first.startswith(note or "seed ")


def test_a_text_is_no_model(invoke: Command, folder: Path) -> None:
    said = one_error(invoke("sample", "-m", "chesterton.txt"))
    assert said == (
        "chesterton.txt is not a usable model but a text. "
        "Train one on it: textgen train chesterton.txt"
    )


# Options and variables


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--minutes", "one"], "Invalid value for '--minutes': 'one' is not a number."),
        (["train", "--epochs", "1.5"], "'1.5' is not a whole number."),
        (["sample", "-n", "many"], "'many' is not a whole number."),
    ],
)
def test_a_value_that_is_no_number(invoke: Command, arguments: list[str], message: str) -> None:
    done = invoke(*arguments)
    assert done.returncode == 2
    assert message in done.stderr.decode()


def test_a_wrong_value_in_a_variable_is_the_variables(invoke: Command, folder: Path) -> None:
    done = invoke("sample", TEXTGEN_SAMPLE_TEMPERATURE="warm")
    assert done.returncode == 2
    assert "Invalid value for TEXTGEN_SAMPLE_TEMPERATURE: 'warm'" in done.stderr.decode()
    done = invoke("sample", "-t", "warm", TEXTGEN_SAMPLE_TEMPERATURE="1")
    assert "Invalid value for '-t' / '--temperature': 'warm'" in done.stderr.decode()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TEXTGEN_SAMPLE_TEMP", " Did you mean TEXTGEN_SAMPLE_TEMPERATURE?"),
        ("TEXTGEN_TEMPERATURE", " Did you mean TEXTGEN_SAMPLE_TEMPERATURE?"),
        ("TEXTGEN_X", ""),
    ],
)
def test_an_unknown_variable_is_noted(invoke: Command, folder: Path, name: str, meant: str) -> None:
    done = invoke("sample", "-n", "3", **{name: "1"})
    assert done.returncode == 0
    assert done.stderr.decode().splitlines()[0] == f"textgen has no variable {name}.{meant}"


def test_variables_of_textgen_are_not_noted(invoke: Command, folder: Path) -> None:
    known = {"TEXTGEN_TRAIN_MINUTES": "1", "TEXTGEN_CAT_URL": "x", "TEXTGEN_SAMPLE_SEED": "1"}
    assert invoke("sample", "-n", "3", **known).stderr == b"seed 1\n"


# Sources, runs and tables


def test_an_address_must_be_downloaded(invoke: Command) -> None:
    said = one_error(invoke("train", "https://example.org/book.txt"))
    assert said == (
        "https://example.org/book.txt is an address: download the text first, for example with "
        "curl -Lo text.txt https://example.org/book.txt"
    )


def test_without_a_network_gutenberg_says_first_what_to_do(
    invoke: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*arguments: object, **options: object) -> None:
        raise OSError("Temporary failure in name resolution")

    monkeypatch.setattr("nltk.downloader.Downloader.download", download)
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    said = one_error(invoke("prepare", "gutenberg:blake-poems"))
    assert said.startswith("Download https://")
    assert "gutenberg.zip and unzip it into " in said
    assert said.endswith("could not be fetched (Temporary failure in name resolution).")


def test_a_text_too_short_says_how_much_is_sensible(invoke: Command, folder: Path) -> None:
    (folder / "short.txt").write_text("fog and rain " * 20)
    said = one_error(invoke("train", "short.txt"))
    assert said.startswith("The text has 260 characters and must have at least ")
    assert said.endswith("20,000 characters or more, some ten pages, are sensible.")
    assert "--seq-length" not in said


def test_no_table_is_begun_for_a_file_that_is_missing(invoke: Command, folder: Path) -> None:
    assert "No such file: nosuch.txt" in one_error(invoke("score", "nosuch.txt"))
    (folder / "bad.txt").write_bytes(b"caf\xe9 au lait")
    assert "bad.txt is not valid utf-8" in one_error(invoke("score", "bad.txt"))


def test_a_name_of_several_words_is_one(invoke: Command, folder: Path) -> None:
    done = invoke("train", "chesterton.txt", *TINY, "--name", "my book")
    assert done.returncode == 0, done.stderr.decode()
    assert "Next: textgen sample --model 'my book'" in done.stderr.decode()
    assert "  textgen sample --model 'my book'" in invoke("info", "my book").stdout.decode()
    for name in (".hidden", "a/b", "a\nb"):
        said = one_error(invoke("train", "chesterton.txt", "--name", name))
        assert "a --name has no '/', no line break and no dot in front" in said
