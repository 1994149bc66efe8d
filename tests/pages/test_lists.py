"""What a page knows of a list."""

import base64
import re
from dataclasses import asdict, replace
from pathlib import Path
from zlib import crc32

import numpy as np
from support.names import names
from support.small_run import make_run
from support.tiny import tiny_model

from textgen.config import ModelConfig
from textgen.pages.lists import item_hashes, list_facts
from textgen.pages.writing_page import writing_page
from textgen.storage.model_file import load_model
from textgen.storage.provenance import Provenance
from textgen.storage.run_folder import read_run_text
from textgen.text.items import ItemList

ITEMS = names(400)
HASHES = sorted(crc32(item.encode()) for item in ITEMS)
KEPT = base64.b64encode(np.array(HASHES, "<u4").tobytes()).decode()


def test_hashes_are_those_in_the_model() -> None:
    found = item_hashes(ItemList(400, 9, KEPT), None, tiny_model().vocabulary)
    assert found is not None
    assert found.tolist() == HASHES


def test_hashes_of_a_list_too_long_for_the_model_are_made_of_its_text(tmp_path: Path) -> None:
    long = ItemList(len(ITEMS), 9, "")
    run = make_run(tmp_path, text="".join(f"{item}\n" for item in ITEMS), items=asdict(long))
    model = load_model(run.model)
    text = read_run_text(run.model, model)
    found = item_hashes(long, text, model.vocabulary)
    assert found is not None
    # The cut of the hold-out goes through an item.
    assert len(set(HASHES) - set(found.tolist())) <= 1
    assert item_hashes(long, None, model.vocabulary) is None


def test_a_page_says_whether_new_items_can_be_told() -> None:
    provenance = Provenance(items=ItemList(1400, 9, ""))
    assert list_facts(Provenance(), None) == []
    (known,) = list_facts(provenance, np.zeros(3, np.uint32))
    assert known.startswith("1,400 items. This page knows them by hashes")
    (unknown,) = list_facts(provenance, None)
    assert "It is not in this page" in unknown


def test_only_a_list_has_a_button_for_items(tmp_path: Path) -> None:
    model = tiny_model(ModelConfig(units=(2,), seq_length=1), "ab\n")
    listed = replace(model, provenance={"items": asdict(ItemList(400, 9, KEPT))})
    button = "Ten new items</button>"
    assert button not in writing_page(tmp_path / "a.keras", model)
    page = writing_page(tmp_path / "a.keras", listed)
    assert button in page
    assert KEPT in page


def test_a_page_says_how_many_items_are_copies(tmp_path: Path) -> None:
    text = "".join(f"{item}\n" for item in ITEMS)
    run = make_run(tmp_path, text=text, items=asdict(ItemList(len(ITEMS), 9, KEPT)))
    page = writing_page(run.model, load_model(run.model))
    assert re.search(r"Does it copy\?</dt> <dd>Of [1-9]\d* items that it writes, \d+ are in", page)
