"""The poem on a web page, whatever else the page holds."""

from functools import cached_property
from html.parser import HTMLParser

# Never a part of a poem; nor is the text of a link.
_SKIPPED = {"a", "aside", "button", "footer", "head", "header", "nav", "noscript"}
_SKIPPED |= {"script", "select", "style", "svg", "template", "textarea", "title"}
_SKIPPED |= {"h1", "h2", "h3", "h4", "h5", "h6"}
_CONTAINERS = {"article", "blockquote", "body", "center", "div", "figure", "html", "main", "pre"}
_CONTAINERS |= {"section", "table", "tbody", "td", "tr", "dl", "dt", "dd", "ol", "ul", "li"}

_DEEPEST = 100  # blocks within blocks; deeper ones are read as a part of the last


class _Container:
    """A block of a page: its paragraphs (lists of lines) and blocks, in their order."""

    def __init__(self, tag: str):
        self.tag = tag
        self.content: list[list[str] | _Container] = [[""]]

    @cached_property
    def count(self) -> int:
        """How many lines with text are in it, at any depth; for when the page is read."""
        return sum(
            part.count if isinstance(part, _Container) else sum(map(bool, map(str.strip, part)))
            for part in self.content
        )

    def paragraphs(self) -> list[list[str]]:
        """The paragraphs in it with some text, at any depth."""
        found = []
        for part in self.content:
            if isinstance(part, _Container):
                found.extend(part.paragraphs())
            elif any(map(str.strip, part)):
                found.append(part)
        return found

    def main_part(self) -> "_Container":
        """The innermost block in it that holds more than half of its lines."""
        half = self.count / 2
        for part in self.content:
            if isinstance(part, _Container) and part.count > half:
                return part.main_part()
        return self


class _PageParser(HTMLParser):
    """Builds the containers of a page; what is never part of a poem is left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = _Container("")
        self.open = [self.root]
        self.skipped: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body" or (tag == "a" and self.skipped[-1:] == ["a"]):
            self.skipped.clear()  # the end of a head or a link may go unsaid
        if tag in _SKIPPED:
            if tag != "a" or "href" in dict(attrs):
                self.skipped.append(tag)
        elif tag == "br":
            self._lines().append("")
        elif tag in _CONTAINERS and len(self.open) < _DEEPEST:
            container = _Container(tag)
            self.open[-1].content += [container, [""]]
            self.open.append(container)
        elif tag in ("p", "hr"):
            self.open[-1].content.append([""])

    def handle_endtag(self, tag: str) -> None:
        if tag in self.skipped:
            while self.skipped.pop() != tag:
                pass
        elif tag == "p":
            self.open[-1].content.append([""])
        elif any(container.tag == tag for container in self.open):
            while self.open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.skipped:
            return
        lines = data.split("\n") if self.open[-1].tag == "pre" else [data]
        self._lines()[-1] += lines[0]
        self._lines().extend(lines[1:])

    def _lines(self) -> list[str]:
        """The paragraph that text goes to."""
        last = self.open[-1].content[-1]
        assert isinstance(last, list)  # a container is always followed by a paragraph
        return last


def poem(html: str) -> list[str]:
    """The lines of the longest text on a page; an empty line between stanzas.

    Nothing is known of the page but that its main text is a poem. Assumed is that more
    than half of the page's lines (outside links, headings, menus, forms and scripts) are
    the poem's, at each depth down to the block that holds them; that lines end with
    `<br>`, `<p>` or, in `<pre>`, with the line; and that stanzas are paragraphs, blocks, or
    set off by two `<br>`.
    """
    parser = _PageParser()
    parser.feed(html)
    parser.close()
    paragraphs = [
        [" ".join(line.split()) for line in paragraph]
        for paragraph in parser.root.main_part().paragraphs()
    ]
    # Where each line is a paragraph, paragraphs are not stanzas.
    stanzas = any(sum(map(bool, paragraph)) > 1 for paragraph in paragraphs)
    lines: list[str] = []
    for paragraph in paragraphs:
        for line in [*paragraph, ""] if stanzas else paragraph:
            if line or (lines and lines[-1]):
                lines.append(line)
    return lines[:-1] if lines and not lines[-1] else lines
