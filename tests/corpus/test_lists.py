"""Whether a text is a list, by how it looks."""

import random
import textwrap
from pathlib import Path

import numpy as np
import pytest
from support.commands import Command
from support.names import names

from textgen.corpus.lists import Look, look_of
from textgen.errors import TextgenError
from textgen.storage.run import read_run
from textgen.text.vocabulary import Vocabulary

NAMES = names(300)
OPTIONS = ("--units", "8", "--seq-length", "16", "--batch-size", "8", "--epochs", "1")


def look(text: str) -> Look:
    vocabulary = Vocabulary("".join(sorted(set(text))))
    return look_of(vocabulary.encode(text), vocabulary)


def lines(*parts: list[str], count: int = 60, seed: int = 0) -> list[str]:
    """Lines of which each has one of each part."""
    chance = random.Random(seed)
    return ["".join(chance.choice(part) for part in parts) for _ in range(count)]


def shuffled(items: list[str]) -> str:
    return "\n".join(random.Random(1).sample(items, len(items)))


TITLES = sorted(
    lines(
        ["The ", "A ", "My ", "No "],
        ["Last ", "Quiet ", "Other ", "Winter ", "Broken "],
        ["Harbour", "Clockmaker", "Orchard", "Letter", "Bridge", "Island"],
        [" of Vell", " at Noon", " in the Rain", ""],
        count=200,
    )
)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(NAMES),
        "\n".join(name.lower() for name in NAMES) + "\n",
        "\n".join(NAMES[::2] + NAMES[1::2]),  # two sorted lists
        "\n".join(sorted(NAMES + [name.lower() for name in NAMES])),  # as in the C locale
        "\n\n".join("\n".join(NAMES[start : start + 30]) for start in range(0, 300, 30)),
        "\n".join(TITLES),
        "\n".join(sorted(set(TITLES), key=lambda title: title.replace(" ", ""))),
        "\n".join(f"{one} {other}" for one in NAMES for other in NAMES),  # more than is looked at
    ],
    ids=["names", "lower", "joined", "C locale", "in groups", "titles", "letters alone", "long"],
)
def test_short_lines_in_sorted_order_are_a_list(text: str) -> None:
    assert look(text) is Look.LIST


def test_accents_and_case_do_not_disturb_the_order() -> None:
    order = ["Ada", "Ähre", "Åke", "de Witt", "Édith", "Eva", "Olaf", "Øyvind", "Zelda", "Zoë"]
    assert sorted(order) != order
    assert look("\n".join(f"{name} {end}" for name in order for end in NAMES[::60])) is Look.LIST


def test_shuffled_names_look_like_a_list() -> None:
    assert look(shuffled(NAMES)) is Look.PERHAPS
    assert look(shuffled(NAMES).lower()) is Look.PERHAPS


def test_a_line_that_is_too_long_for_an_item_is_found_anywhere() -> None:
    items = [f"{one} {other}" for one in NAMES for other in NAMES]
    assert look("\n".join(items)) is Look.LIST
    items[len(items) // 3] += " x" * 100
    assert look("\n".join(items)) is Look.OTHER


PROSE = (
    "The ferry came late that morning, and nobody on the quay had thought to bring a coat. Wind "
    "leaned on the ropes; the gulls, who had seen worse, walked about between the crates as if "
    "they meant to buy something. When at last the gangway was down, an old man with a birdcage "
    "stepped off, looked at us all one after the other, and asked whether this was still Vell. "
) * 12
VERSE = lines(
    ["The river ", "My mother ", "A lantern ", "The harbour ", "One swallow "],
    ["keeps ", "remembers ", "carries ", "forgets "],
    ["its silver ", "the winter ", "a letter ", "her sorrow "],
    ["under stone", "until morning", "for the sea", "and is gone", "by the door"],
    ["", ",", ";"],
    count=120,
)
SHORT_VERSE = lines(
    ["Sleep ", "Snow ", "Bells ", "Leaves "],
    ["falls ", "come ", "lie "],
    ["softly", "over water", "at dawn", "down"],
    ["", ",", "."],
    count=90,
)
PLAY = [
    line
    for speaker, said in zip(lines(["ORLA", "FENN", "THE GUARD", "MESSENGER"]), VERSE, strict=False)
    for line in (f"{speaker}.", said.capitalize())
]
BARE_PLAY = [
    line
    for speaker, said in zip(
        lines(["ORLA", "FENN", "GUARD"]), lines(["Yes", "No", "Go now"]), strict=True
    )
    for line in (speaker, said)
]
CHAT = [
    f"{who}: {said}"
    for who, said in zip(
        lines(["mira", "tobe", "lun"], count=90),
        lines(["ok ", "no ", "and "], ["me too", "where", "later", "haha"], count=90),
        strict=True,
    )
]
LOG = [
    f"Nov {day:02} 10:{minute:02} link up" for day in range(1, 21) for minute in range(0, 60, 20)
]
CODE = [
    line
    for name in sorted({name.lower() for name in NAMES[:60]})
    for line in (f"def {name}(x):", f"    return x + {len(name)}")
]
IMPORTS = [f"import {name.lower()}" for name in NAMES]


@pytest.mark.parametrize(
    "text",
    {
        "prose": PROSE,
        "wrapped prose": "\n".join(textwrap.wrap(PROSE, 72)),
        "narrow prose": "\n".join(textwrap.wrap(PROSE, 16)),
        "words of prose": "\n".join(PROSE.split()),
        "verse": "\n".join(VERSE),
        "short verse": "\n".join(SHORT_VERSE),
        "play": "\n".join(PLAY),
        "bare play": "\n".join(BARE_PLAY),
        "chat": "\n".join(CHAT),
        "log": "\n".join(LOG),
        "code": "\n".join(CODE),
        "imports": "\n".join(IMPORTS),
        "settings": "\n".join(f"{name} = {len(name)}" for name in NAMES),
        "table": "\n".join(f"{name},{len(name)},{name[::-1]}" for name in NAMES),
        "table with tabs": "\n".join(f"{name}\t{name[::-1]}" for name in NAMES),
        "numbers": "\n".join(map(str, range(100, 500))),
        "names with years": "\n".join(f"{name} 19{i % 100:02}" for i, name in enumerate(NAMES)),
        "a few names": "\n".join(NAMES[:20]),
        "one line": "no line break",
        "line breaks": "\n" * 100,
    }.items(),
    ids=lambda pair: pair[0],
)
def test_other_texts_are_not_taken_for_lists(text: tuple[str, str]) -> None:
    assert look(text[1]) is Look.OTHER


WORKS = ("blake-poems", "milton-paradise", "shakespeare-hamlet", "shakespeare-macbeth")


@pytest.mark.parametrize("work", WORKS)
def test_verse_and_plays_are_not_taken_for_lists(work: str) -> None:
    """Real ones, with blank lines and without."""
    from textgen.config import Cleaning
    from textgen.corpus.sources import open_sources

    try:
        text = "".join(open_sources([f"gutenberg:{work}"], Cleaning()))
    except TextgenError:
        pytest.skip("the NLTK Gutenberg selections are not there")
    assert look(text) is Look.OTHER
    assert look("\n".join(line for line in text.split("\n") if line.strip())) is Look.OTHER


@pytest.mark.parametrize("sorted_", [True, False])
def test_training_says_what_it_takes_a_text_for(
    invoke: Command, tmp_path: Path, sorted_: bool
) -> None:
    text = "\n".join(NAMES) if sorted_ else shuffled(NAMES)
    (tmp_path / "n.txt").write_text(text)
    chosen = "The text is a list, short lines in sorted order. If it is not, use --no-list."
    note = "The text has short lines of few words. If it is a list, an item a line, use --list."
    for options, listed, said in (
        ((), sorted_, chosen if sorted_ else note),
        (("--no-list",), False, None),
        (("--list",), True, None),
    ):
        done = invoke("train", "n.txt", *OPTIONS, *options, "--name", "x", "--overwrite")
        found = done.stderr.decode().splitlines()
        assert done.returncode == 0, found
        assert [line for line in found if line in (chosen, note)] == ([said] if said else [])
        run = read_run(tmp_path / "checkpoints/x/run.json")
        assert run.train.list == listed == (run.items is not None)
    assert np.isfinite(list(run.baselines.values())).all()
