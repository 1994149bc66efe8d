"""A stream of text becomes ids on disk."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.text.encoding import open_ids, write_ids

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8)


@settings(max_examples=60)
@given(chunks=texts)
def test_ids_stand_for_the_text(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[str]
) -> None:
    path = tmp_path_factory.mktemp("ids") / "text.ids"
    text = "".join(chunks)
    encoded = write_ids(chunks, path)
    if not text:
        assert encoded is None
        return
    assert encoded is not None
    assert encoded.characters == len(text)
    assert encoded.vocabulary.characters == "".join(sorted(set(text)))
    assert encoded.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert encoded.vocabulary.decode(open_ids(path, len(encoded.vocabulary))) == text


@pytest.mark.parametrize("distinct", [255, 256, 257, 20_000, 70_000])
def test_the_file_widens_with_the_vocabulary(tmp_path: Path, distinct: int) -> None:
    # Surrogates are no characters, so count from beyond them.
    text = "".join(map(chr, range(0xE000, 0xE000 + distinct)))
    chunks = [text[start : start + 100] for start in range(0, len(text), 100)] + ["ab" * 50]
    encoded = write_ids(chunks, tmp_path / "text.ids")
    assert encoded is not None
    ids = open_ids(tmp_path / "text.ids", len(encoded.vocabulary))
    assert encoded.vocabulary.decode(ids) == "".join(chunks)
    assert (tmp_path / "text.ids").stat().st_size == len(ids) * encoded.vocabulary.dtype.itemsize


def test_the_commonest_character_is_noted(tmp_path: Path) -> None:
    encoded = write_ids(["zebra", "zoo z"], tmp_path / "text.ids")
    assert encoded is not None
    assert encoded.vocabulary.commonest == "z"
