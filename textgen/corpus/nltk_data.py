"""NLTK's data: found in its folders, fetched into the user's on first use."""

import io
from typing import Any

from textgen.errors import TextgenError

_ARCHIVES = "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora"


def find(resource: str) -> Any:
    """NLTK's pointer to a file such as `corpora/gutenberg/blake-poems.txt`, or None.

    Every data folder is searched for the file itself: one folder may hold a part of a
    corpus, and NLTK's corpus readers look into the first folder only.

    Raises:
        TextgenError: NLTK refuses to read it.
    """
    from nltk import data

    try:
        return data.find(resource)
    except LookupError:
        return None
    except (OSError, ValueError) as error:
        raise TextgenError(f"NLTK cannot read {resource}: {_one_line(error)}") from error


def fetch(package: str, what: str) -> None:
    """Download a corpus package into NLTK's default folder for this user.

    NLTK bounds the size and the time of its downloads. Nothing goes to stdout.

    Args:
        package: NLTK's name, such as `gutenberg`.
        what: what a message calls it.

    Raises:
        TextgenError: it cannot be fetched; says what to download and where to put it.
    """
    from nltk.downloader import Downloader

    downloader = Downloader()
    folder = downloader.default_download_dir()
    try:
        downloader.download(package, quiet=True, raise_on_error=True, print_error_to=io.StringIO())
    except (OSError, ValueError) as error:
        raise TextgenError(
            f"Download {_ARCHIVES}/{package}.zip and unzip it into {folder}/corpora/, or set "
            f"NLTK_DATA to a folder that holds corpora/{package}/: {what} could not be fetched "
            f"({_reason(error)})."
        ) from error


def _reason(error: Exception) -> str:
    """Why a download failed, in a few words."""
    text = _one_line(error)
    if "NLTK_ALLOW_PROXIED_URLOPEN" in text:
        return "NLTK uses a proxy only with NLTK_ALLOW_PROXIED_URLOPEN=1"
    return text


def _one_line(error: Exception) -> str:
    """An error's text without its line breaks."""
    return " ".join(str(error).split())
