"""Sources and cleaning: from what the user names to a stream of clean text."""

from textgen.corpus.cleaning import clean_prompt
from textgen.corpus.sources import (
    default_source,
    list_sources,
    note_on_stderr,
    open_sources,
    source_names,
    source_stem,
)

__all__ = [
    "clean_prompt",
    "default_source",
    "list_sources",
    "note_on_stderr",
    "open_sources",
    "source_names",
    "source_stem",
]
