"""Sources: named, found, joined and read, as a program calls them."""

import os
import threading
from pathlib import Path

import pytest

from textgen.config import Cleaning
from textgen.corpus import list_sources, open_sources, source_names, source_stem
from textgen.errors import TextgenError

STORY = "builtin:runaway-echo"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def text_of(*sources: str | Path, **options) -> str:
    return "".join(open_sources(list(map(str, sources)), Cleaning(), **options))


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8", newline="")
    return name


def test_each_source_begins_on_a_line_of_its_own():
    write("a", "one"), write("b", "two\n"), write("c", "three")
    assert text_of("a", "b", "c", "a") == "one\ntwo\nthree\none"
    assert "".join(open_sources(["a", "b"], Cleaning(tokenize=True))) == "one\ntwo"


def test_byte_order_marks_newlines_and_licences_go_in_every_source():
    marked = "\ufeffHead\r\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\r\nfog\r\n"
    write("a", marked)
    assert text_of("a", "a") == "fog\nfog\n"
    assert text_of("a", keep_boilerplate=True) == marked[1:].replace("\r\n", "\n")


@pytest.mark.parametrize("missing", ["nothing.txt", "builtin:nothing", "gutenberg:nothing", "."])
def test_all_names_are_checked_before_anything_is_read(missing):
    os.mkfifo("never-opened")
    with pytest.raises(TextgenError):
        open_sources(["never-opened", missing], Cleaning())


def test_stdin_can_be_named_once():
    with pytest.raises(TextgenError, match="twice"):
        open_sources(["-", "-"], Cleaning())


def test_a_bad_encoding_is_found_at_once():
    with pytest.raises(TextgenError, match="Unknown encoding"):
        open_sources(["-"], Cleaning(), encoding="klingon")


def test_pipes_are_read_one_after_another():
    os.mkfifo("first"), os.mkfifo("second")
    long = "fog and rain\n" * 50_000  # more than a pipe holds

    def feed() -> None:
        for name in ("first", "second"):
            Path(name).write_text(long)

    writer = threading.Thread(target=feed)
    writer.start()
    assert text_of("first", "second") == long * 2
    writer.join()


def test_a_file_that_vanishes_is_an_error_when_its_turn_comes():
    write("a", "one"), write("b", "two")
    pieces = open_sources(["a", "b"], Cleaning())
    assert next(pieces) == "one"
    Path("b").unlink()
    with pytest.raises(TextgenError, match=r"b cannot be read: No such file"):
        list(pieces)


@pytest.mark.parametrize("text", ["", "\ufeff", "*** END OF THE PROJECT GUTENBERG EBOOK X ***\n"])
def test_an_empty_source_is_an_error(text):
    write("empty.txt", text)
    with pytest.raises(TextgenError, match=r"empty\.txt is empty"):
        text_of("empty.txt")


def test_a_text_that_cleaning_empties_is_an_error():
    write("kanji.txt", "漢字")
    with pytest.raises(TextgenError, match="cleaning leaves nothing"):
        list(open_sources(["kanji.txt"], Cleaning(ascii=True)))


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("story.txt", "story"),
        ("My Story (final).v2.txt", "My-Story-final-.v2"),
        ("--help", "help"),
        (".hidden", "hidden"),
        ("...", "text"),
        ("сказка.txt", "сказка"),
        ("two\nlines.txt", "two-lines"),
        ("bad\udcff\udcfe.txt", "bad"),
        ("x" * 200, "x" * 50),
    ],
)
def test_a_run_is_named_safely_after_its_first_source(name, stem):
    Path(name).write_bytes(b"x")
    assert source_stem([name, "-"]) == stem


def test_other_sources_have_names_and_stems():
    assert source_stem(["-"]) == "stdin"
    assert source_stem(["gutenberg:blake-poems.txt"]) == "blake-poems"
    assert source_stem(["gutenberg:shakespeare-*"]) == "shakespeare"
    assert source_stem(["cat-in-the-hat"]) == "cat-in-the-hat"
    assert source_stem([]) == "text"
    Path("folder").mkdir()
    write("folder/a.txt", "x")
    assert source_names(["folder/a.txt", "-", "gutenberg:austen-*", STORY]) == [
        "a.txt",
        "stdin",
        "gutenberg:austen-emma",
        "gutenberg:austen-persuasion",
        "gutenberg:austen-sense",
        STORY,
    ]


def test_the_built_in_story_needs_no_network_and_no_checkout():
    text = text_of(STORY, encoding="utf-16")
    assert len(text) > 10_000
    assert text.isascii()


def test_a_copy_of_a_book_among_the_built_in_texts_is_none_of_them():
    assert not any("cat_in_hat" in name for name, _ in list_sources())


def test_the_users_own_copy_is_found_in_either_folder(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "textgen")
    Path("corpora").mkdir()
    write("corpora/cat_in_hat.txt", "A verse of my own.\r\n")
    assert text_of("cat-in-the-hat") == "A verse of my own.\n"
    write("cat_in_hat.txt", "Another verse.\n")
    assert text_of("cat-in-the-hat") == "Another verse.\n"
    assert ("cat-in-the-hat", "your own copy, cat_in_hat.txt") in list_sources()
    assert all("copyright" in note and "personal use" in note for note in caplog.messages)
    assert len(caplog.messages) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission():
    Path(write("secret", "x")).chmod(0)
    with pytest.raises(TextgenError, match="permission denied"):
        open_sources(["secret"], Cleaning())
