"""Sources: named, found, joined and read, as a program calls them."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from textgen.config import Cleaning
from textgen.corpus.sources import list_sources, open_sources, source_names, source_stem
from textgen.errors import TextgenError

STORY = "builtin:runaway-echo"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def text_of(*sources: str | Path, **options: Any) -> str:
    return "".join(open_sources(list(map(str, sources)), Cleaning(), **options))


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8", newline="")
    return name


def test_each_source_begins_on_a_line_of_its_own() -> None:
    write("a", "one"), write("b", "two\n"), write("c", "three")
    assert text_of("a", "b", "c", "a") == "one\ntwo\nthree\none"
    assert "".join(open_sources(["a", "b"], Cleaning(tokenize=True))) == "one\ntwo"


def test_byte_order_marks_newlines_and_licences_go_in_every_source() -> None:
    marked = "\ufeffHead\r\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\r\nfog\r\n"
    write("a", marked)
    assert text_of("a", "a") == "fog\nfog\n"
    assert text_of("a", keep_boilerplate=True) == marked[1:].replace("\r\n", "\n")


@pytest.mark.parametrize("missing", ["nothing.txt", "builtin:nothing", "gutenberg:nothing", "."])
def test_all_names_are_checked_before_anything_is_read(missing: str) -> None:
    os.mkfifo("never-opened")
    with pytest.raises(TextgenError):
        open_sources(["never-opened", missing], Cleaning())


def test_stdin_can_be_named_once() -> None:
    with pytest.raises(TextgenError, match="twice"):
        open_sources(["-", "-"], Cleaning())


def test_a_bad_encoding_is_found_at_once() -> None:
    with pytest.raises(TextgenError, match="Unknown encoding"):
        open_sources(["-"], Cleaning(), encoding="klingon")


def test_pipes_are_read_one_after_another() -> None:
    os.mkfifo("first")
    os.mkfifo("second")
    long = "fog and rain\n" * 50_000  # more than a pipe holds

    def feed() -> None:
        for name in ("first", "second"):
            Path(name).write_text(long)

    writer = threading.Thread(target=feed)
    writer.start()
    assert text_of("first", "second") == long * 2
    writer.join()


def test_a_file_that_vanishes_is_an_error_when_its_turn_comes() -> None:
    write("a", "one"), write("b", "two")
    pieces = open_sources(["a", "b"], Cleaning())
    assert next(pieces) == "one"
    Path("b").unlink()
    with pytest.raises(TextgenError, match=r"b cannot be read: No such file"):
        list(pieces)


@pytest.mark.parametrize("size", [0, 300_000])
def test_a_file_that_shrinks_while_it_is_read_is_as_long_as_it_was_read(size: int) -> None:
    whole = "fog and rain\n" * 80_000
    pieces = open_sources([write("a", whole)], Cleaning())
    text = next(pieces)
    os.truncate("a", size)
    text += "".join(pieces)
    assert whole.startswith(text)
    assert size <= len(text) < len(whole)


def test_a_file_that_grows_while_it_is_read_is_read_to_its_new_end() -> None:
    pieces = open_sources([write("a", "fog and rain\n" * 80_000)], Cleaning())
    next(pieces)
    os.truncate("a", 5_000_000)
    with pytest.raises(TextgenError, match=r"a contains NUL \(character 1040000\)"):
        list(pieces)


@pytest.mark.parametrize("text", ["", "\ufeff", "*** END OF THE PROJECT GUTENBERG EBOOK X ***\n"])
def test_an_empty_source_is_an_error(text: str) -> None:
    write("empty.txt", text)
    with pytest.raises(TextgenError, match=r"empty\.txt is empty"):
        text_of("empty.txt")


def test_a_text_that_cleaning_empties_is_an_error() -> None:
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
def test_a_run_is_named_safely_after_its_first_source(name: str, stem: str) -> None:
    Path(name).write_bytes(b"x")
    assert source_stem([name, "-"]) == stem


def test_other_sources_have_names_and_stems() -> None:
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


def test_the_built_in_story_needs_no_network_and_no_checkout() -> None:
    text = text_of(STORY, encoding="utf-16")
    assert len(text) > 10_000
    assert text.isascii()


def test_a_copy_of_a_book_among_the_built_in_texts_is_none_of_them() -> None:
    assert not any("cat_in_hat" in name for name, _ in list_sources())


def test_the_users_own_copy_is_found_in_either_folder(caplog: pytest.LogCaptureFixture) -> None:
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
def test_a_file_without_permission() -> None:
    Path(write("secret", "x")).chmod(0)
    with pytest.raises(TextgenError, match="permission denied"):
        open_sources(["secret"], Cleaning())
