"""Sources and cleaning: from what the user names to a stream of clean text."""

from textgen.corpus.cleaning import clean_prompt
from textgen.corpus.sources import (
    list_sources,
    open_sources,
    source_names,
    source_stem,
)

__all__ = [
    "clean_prompt",
    "list_sources",
    "open_sources",
    "source_names",
    "source_stem",
]
