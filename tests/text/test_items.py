"""Lists: items are shuffled once for the hold-out, and again for each pass."""

import base64
import hashlib
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from support.names import names

from textgen.errors import TextgenError
from textgen.text import items
from textgen.text.encoding import open_ids, write_ids
from textgen.text.items import Arranged, Items, ItemStreams, ItemWindows, arrange, newline_of
from textgen.text.vocabulary import Vocabulary

NAMES = names(400)
MOST = 1_000_000


def arranged(
    path: Path, text: str, split: float = 0.1, most: int = MOST, seed: int = 0
) -> tuple[Arranged, str]:
    """A list in a file, and the text of the file."""
    encoded = write_ids([text], path)
    assert encoded is not None
    found = arrange(path, encoded.vocabulary, split, most, seed)
    return found, encoded.vocabulary.decode(open_ids(path, len(encoded.vocabulary)))


def test_blank_lines_are_dropped_and_the_last_line_is_completed(tmp_path: Path) -> None:
    text = "\n \t\n" + "\n\n".join(NAMES)
    found, shuffled = arranged(tmp_path / "ids", text)
    assert shuffled.endswith("\n") and "\n\n" not in shuffled
    assert sorted(shuffled.split()) == NAMES
    assert found.characters == len(shuffled)
    assert found.sha256 == hashlib.sha256(shuffled.encode()).hexdigest()
    assert found.items.items == 400 and found.items.longest == max(map(len, NAMES))


def test_the_holdout_is_a_random_tenth_of_the_items(tmp_path: Path) -> None:
    found, shuffled = arranged(tmp_path / "ids", "\n".join(NAMES))
    held = shuffled[-found.holdout :].split("\n")[:-1]
    assert len(held) == found.holdout_items == 40
    assert shuffled[-found.holdout - 1] == "\n"
    places = np.array([NAMES.index(name) for name in held])
    assert (np.diff(places) < 0).any() and 120 < places.mean() < 280
    _, other = arranged(tmp_path / "ids", "\n".join(NAMES), seed=1)
    assert set(other[-found.holdout :].split("\n")) != {*held, ""}


def test_the_holdout_has_so_many_characters_at_most(tmp_path: Path) -> None:
    found, shuffled = arranged(tmp_path / "ids", "\n".join(NAMES), split=0.5, most=100)
    longer = shuffled[: -found.holdout].rstrip("\n").rpartition("\n")[2]
    assert found.holdout <= 100 < found.holdout + len(longer) + 1
    assert arranged(tmp_path / "ids", "ab\ncd\n", split=0.001)[0].holdout_items == 1


def test_the_hashes_know_the_items(tmp_path: Path) -> None:
    found, _ = arranged(tmp_path / "ids", "\n".join(NAMES))
    assert found.items.known == {crc32(name.encode()) for name in NAMES}
    assert len(base64.b64decode(found.items.hashes)) == 4 * len(NAMES)


def test_many_items_have_no_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "MOST_HASHED", 399)
    assert arranged(tmp_path / "ids", "\n".join(NAMES))[0].items.known is None


def test_a_large_list_is_arranged_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\n\n".join(NAMES)
    whole = arranged(tmp_path / "ids", text)
    monkeypatch.setattr(items, "BLOCK", 13)
    assert arranged(tmp_path / "ids", text) == whole


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no line break", "no line breaks"),
        ("one\n\n", "two items or more"),
        ("one\n" + "x" * 10_001 + "\ntwo\n", "Line 2 has 10,001 characters"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TextgenError, match=said):
        arranged(tmp_path / "ids", text)


@pytest.fixture
def listed() -> tuple[np.ndarray, Items, Vocabulary]:
    """The ids of a list, its items, and the vocabulary."""
    text = "\n".join(NAMES) + "\n"
    vocabulary = Vocabulary("".join(sorted(set(text))))
    ids = vocabulary.encode(text)
    return ids, Items(ids, newline_of(vocabulary), seed=3), vocabulary


def test_each_pass_has_all_items_in_an_order_of_its_own(
    listed: tuple[np.ndarray, Items, Vocabulary],
) -> None:
    ids, list_, vocabulary = listed
    passes = [
        vocabulary.decode(list_.read(np.arange(len(ids)), number)).split("\n")[:-1]
        for number in (0, 1, 2, 0)
    ]
    assert all(sorted(found) == NAMES for found in passes)
    assert passes[0] == passes[3]
    assert len({tuple(found) for found in [*passes, NAMES]}) == 4


def test_streams_of_items_begin_before_an_item_and_cover_a_pass(
    listed: tuple[np.ndarray, Items, Vocabulary],
) -> None:
    ids, list_, vocabulary = listed
    streams = ItemStreams(ids, batch_size=4, seq_length=10, seed=3, items=list_)
    steps = streams.steps_per_pass
    newline = newline_of(vocabulary)
    for number in (0, 1):
        batches = [streams.batch(number * steps + place) for place in range(steps)]
        assert batches[0].fresh.all() and (batches[0].inputs[:, 0] == newline).all()
        for before, after in pairwise(batches):
            assert np.array_equal(before.targets[:, -1], after.inputs[:, 0])
            assert np.array_equal(after.inputs[:, 1:], after.targets[:, :-1])
        rows = np.concatenate([batch.targets for batch in batches], axis=1)
        seen = set("\n".join(vocabulary.decode(row) for row in rows).split("\n"))
        assert len(seen & set(NAMES)) > 0.95 * len(NAMES)


def test_windows_of_items_read_a_pass_in_its_order(
    listed: tuple[np.ndarray, Items, Vocabulary],
) -> None:
    ids, list_, _ = listed
    windows = ItemWindows(ids, batch_size=7, seq_length=12, step=3, seed=3, items=list_)
    for number in (0, 1):
        text = list_.read(np.arange(len(ids)), number)
        wanted = sorted(
            tuple(text[start : start + 13]) for start in range(0, len(ids) - 12, windows.step)
        )
        batches = [
            windows.batch(number * windows.steps_per_pass + place)
            for place in range(windows.steps_per_pass)
        ]
        rows = [
            (*row, target)
            for batch in batches
            for row, target in zip(batch.inputs, batch.targets, strict=True)
        ]
        assert sorted(rows[: windows.count]) == wanted


@pytest.mark.parametrize("kind", [ItemStreams, ItemWindows])
def test_a_batch_of_items_is_a_pure_function_of_seed_and_step(
    listed: tuple[np.ndarray, Items, Vocabulary], kind: type
) -> None:
    """Workers take their rows of the same batch, and a resumed run begins anywhere."""
    ids, _, vocabulary = listed
    options = {"step": 3} if kind is ItemWindows else {}

    def batches() -> ItemStreams | ItemWindows:
        list_ = Items(ids, newline_of(vocabulary), seed=3)
        return kind(ids, batch_size=8, seq_length=20, seed=3, items=list_, **options)

    used = batches()
    for step in (0, 5, 40, 7, 1000):
        whole, again = used.batch(step), batches().batch(step)
        assert np.array_equal(whole.inputs, again.inputs)
        assert np.array_equal(whole.fresh, again.fresh)
        assert np.array_equal(used.batch(step, 3, 6).targets, whole.targets[3:6])


def test_ids_that_end_within_an_item_are_refused(
    listed: tuple[np.ndarray, Items, Vocabulary],
) -> None:
    ids, _, vocabulary = listed
    with pytest.raises(TextgenError, match="no list of items"):
        Items(ids[:-1], newline_of(vocabulary), seed=3)
