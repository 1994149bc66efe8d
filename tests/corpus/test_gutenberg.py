"""The NLTK selections, on original text in the forms that their files really have."""

import pytest

from textgen.corpus.gutenberg import FILEIDS, clean, matching
from textgen.errors import TextgenError

BODY = "THE FERRY\n\n  The ferry leaves at half past two,\n  and so, my dear, do I and you.\n"
TITLE = "[The Ferry by Nobody At All 1901]"
LICENCE = (
    "\n\n\nEnd of Project Gutenberg's The Ferry, by Nobody\n\n"
    "*** END OF THE PROJECT GUTENBERG EBOOK THE FERRY ***\n\nThis file is named ferry10.txt\n\n"
    "*END THE SMALL PRINT! FOR PUBLIC DOMAIN EBOOKS*Ver.02/11/02*END*\n\n"
)


@pytest.mark.parametrize(
    "raw",
    [
        f"{TITLE}\n\n\n{BODY}",
        f"{TITLE}\n\n{BODY}".replace("\n", "\r\n"),
        f"{TITLE}\n\n{BODY}".replace("\n", " \n") + "\x1a\x1a",
        f"{TITLE}\n{BODY}{LICENCE}",
        f"\ufeff{TITLE}\n{BODY}",
        BODY,
    ],
)
def test_all_files_come_out_alike(raw: str) -> None:
    assert clean(raw.encode(), keep_boilerplate=False) == BODY


def test_files_are_latin_1_where_they_are_not_utf8() -> None:
    text = "At the café they speak of Barrès.\n"
    assert clean(text.encode("latin-1"), False) == clean(text.encode(), False) == text


def test_boilerplate_can_be_kept() -> None:
    raw = f"{TITLE}\r\n{BODY}{LICENCE}\x1a"
    kept = clean(raw.encode(), keep_boilerplate=True)
    assert kept == f"{TITLE}\n{BODY}{LICENCE}".rstrip("\n") + "\n"


def test_brackets_in_the_text_stay() -> None:
    assert clean(b"Enter two [or three].\n[Exit]\n", False) == "Enter two [or three].\n[Exit]\n"


def test_patterns() -> None:
    assert matching("blake-poems") == matching("blake-poems.txt") == ["blake-poems"]
    assert [name.split("-")[1] for name in matching("shakespeare-*")] == [
        "caesar",
        "hamlet",
        "macbeth",
    ]
    assert matching("*") == list(FILEIDS)
    assert len(FILEIDS) == 18


@pytest.mark.parametrize(
    ("wrong", "right"), [("blake-poem", "blake-poems"), ("Austen-Ema", "austen-emma")]
)
def test_an_unknown_id_gets_a_suggestion(wrong: str, right: str) -> None:
    with pytest.raises(TextgenError, match=f"Did you mean {right}"):
        matching(wrong)


@pytest.mark.parametrize("wrong", ["", "zzz", "[", "\udcff", "a\nb", "../blake-poems"])
def test_any_other_id_is_refused(wrong: str) -> None:
    with pytest.raises(TextgenError, match="--list") as error:
        matching(wrong)
    assert "\n" not in str(error.value)
