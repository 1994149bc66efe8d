"""Finding the poem on a web page, whatever the page looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.corpus.page import poem

POEM = """\
The kettle has a cold today,
it cannot whistle, only say
"I'd rather be a garden can
than boil again for any man."

The teapot, who was fat and proud,
said "Friend, you needn't steam so loud.
I hold the tea, I hold the tray,
and I don't grumble half the day."

The kettle coughed. The kettle cried.
It rattled, and it burned inside,
till someone came & filled it new
and off the winter sniffles flew."""
LINES = POEM.split("\n")
STANZAS = [stanza.split("\n") for stanza in POEM.split("\n\n")]

MENU = """<html><head><title>Verse</title><style>p { color: red }</style>
<script>var lines = "one<br>two<br>three<br>four";</script></head><body>
<div id=menu><ul>"""
MENU += "".join(f"<li><a href=x>Poem {n}</a></li>" for n in range(40)) + "</ul></div>"
FOOT = """<div class=foot><p>Copyright nobody.</p><p>Write to us.</p></div>
<footer>one<br>two<br>three<br>four<br>five</footer></body></html>"""


def escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace('"', "&quot;")


def joined(stanzas: str, lines: str) -> str:
    return stanzas.join(lines.join(map(escaped, stanza)) for stanza in STANZAS)


LAYOUTS = {
    "breaks": "<div>" + joined("<br><br>", "<br>") + "</div>",
    "xhtml": "<div>\n" + joined("<br />\n<br />\n", "<br />\n") + "\n</div>",
    "paragraphs": "<div><p>" + joined("</p>\n<p>", "<br>\n") + "</p></div>",
    "unclosed paragraphs": "<td><p>" + joined("<p>", "<br>") + "</td>",
    "blocks": "<div><div>" + joined("</div>\n<div>", "<br>") + "</div></div>",
    "preformatted": "<pre>\n" + joined("\n\n", "\n") + "\n</pre>",
    "styled": "<div><p><b><i>"
    + joined("</i></b></p><p><b><i>", "</i><br>\n<i>")
    + "</i></b></p></div>",
    "nested": "<table><tr><td><h1>Tea</h1><p>" + joined("<p>", "<br>") + "</td></tr></table>",
    "blanks": "<div><p>&nbsp;" + joined(" </p><p>\t", " \n<br>&nbsp; ") + "</p></div>",
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_the_poem_is_found_whole(layout: str) -> None:
    assert poem(MENU + layout + FOOT) == LINES


def test_a_line_may_be_a_paragraph() -> None:
    page = "".join(f"<p>{escaped(line)}</p>\n" for line in LINES if line)
    assert poem(MENU + "<div>" + page + "</div>" + FOOT) == [line for line in LINES if line]


def test_the_main_text_counts_not_the_first() -> None:
    aside = "<div>One of<br>our<br>sponsors</div>"
    assert poem(MENU + aside + LAYOUTS["breaks"] + aside + FOOT) == LINES


@pytest.mark.parametrize(
    "before",
    [
        "<html><head><title>Verse</title><body>",
        "<body><a name=top><p>",
        "<body><a href=x>Home<a href=y>Up</a>",
        "<body>" + "<div>" * 100_000,
        "<body>" + "<p></p><li>" * 50_000,
    ],
)
def test_careless_pages_are_read(before: str) -> None:
    assert poem(before + LAYOUTS["breaks"]) == LINES


@pytest.mark.parametrize("page", ["", "no tags", "<br>" * 50, "<div><div><p>", "</div></p></a>"])
def test_pages_without_a_poem(page: str) -> None:
    assert len(poem(page)) <= 1


@given(st.lists(st.sampled_from(["<div>", "</div>", "<p>", "<br>", "<a>", "</a>", "<pre>", "x\n"])))
def test_tags_in_any_disorder_are_read(tags: list[str]) -> None:
    assert all(line == line.strip() for line in poem("".join(tags)))
