"""The Cat in the Hat: the user's own copy, or the page that the tutorial reads.

The book is in copyright. Nothing of it ships with textgen or enters its tests.
"""

import os
from importlib import resources
from pathlib import Path

from textgen.corpus import download
from textgen.corpus.page import poem
from textgen.errors import TextgenError
from textgen.messages import note

OWN_COPY = "cat_in_hat.txt"
PAGE = "https://www.oatridge.co.uk/poems/d/dr-seuss-cat-in-the-hat.php"

MAX_BYTES = 4 << 20
TIMEOUT = 20  # seconds of silence
DEADLINE = 60  # seconds in all
LEAST_LINES = 20  # a page with fewer is another page

_OWN_COPY_HINT = f"Put your own copy in this folder as {OWN_COPY}, or give its path."


def own_copy() -> Path | None:
    """The user's `cat_in_hat.txt`: in the working folder, or in a corpora folder."""
    folders = (Path(), Path("corpora"), Path(str(resources.files("textgen.corpora"))))
    return next((folder / OWN_COPY for folder in folders if (folder / OWN_COPY).is_file()), None)


def cached_page() -> Path:
    """Where the page is once it was fetched: in the user's cache folder."""
    import pooch

    return Path(pooch.os_cache("textgen")) / "cat_in_the_hat.html"


def page_url() -> str:
    """`PAGE`, or what the environment variable TEXTGEN_CAT_URL says (for tests)."""
    return os.environ.get("TEXTGEN_CAT_URL", PAGE)


def fetch() -> None:
    """Fetch the page into the cache unless the user has a copy.

    A note says that the book is in copyright.

    Raises:
        TextgenError: the page cannot be fetched, or holds no poem.
    """
    note("The Cat in the Hat is in copyright: for personal use only.")
    if own_copy() is None:
        _download(page_url(), cached_page())
        read_page()


def read_page() -> str:
    """The poem in the cached page; a page without one is deleted.

    Raises:
        TextgenError: there is no poem.
    """
    data = cached_page().read_bytes()
    try:
        html = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        html = data.decode("cp1252", "replace")
    lines = poem(html)
    if sum(map(bool, lines)) < LEAST_LINES:
        cached_page().unlink()
        raise TextgenError(f"No poem was found at {page_url()}. {_OWN_COPY_HINT}")
    return "\n".join(lines) + "\n"


def _download(url: str, path: Path) -> None:
    """Fetch the page unless it is there."""
    import pooch

    def downloader(url: str, output: str, _: object) -> None:
        download.save(url, output, MAX_BYTES, TIMEOUT, DEADLINE)

    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(url, None, path.name, path.parent, downloader=downloader)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TextgenError(f"{url} could not be fetched ({reason}). {_OWN_COPY_HINT}") from error
