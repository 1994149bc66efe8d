"""Where a model came from: the free part of `textgen.json`, read without trusting its types."""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from textgen.messages import bits
from textgen.storage import schema
from textgen.text.encoding import Part
from textgen.text.items import LONGEST, MOST_HASHED, ItemList

# Greater numbers are no measurements.
MAX_BITS = 1e6
MAX_SECONDS = 1e10
MOST_ITEMS = 1 << 48
HASH_BYTES = 4
MOST_PARTS = 10  # texts of which a model file speaks one by one


@dataclass(frozen=True)
class TrainingText:
    """A text that the model was trained on."""

    name: str
    sha256: str
    characters: int | None


@dataclass(frozen=True)
class Origin:
    """A model that another one started from.

    Attributes:
        name: what it was called.
        sha256: of its file.
        licence: under which it may be used; None where it says nothing.
    """

    name: str
    sha256: str
    licence: str | None


@dataclass(frozen=True)
class NamedPart:
    """A text of several, which has a hold-out of its own.

    Attributes:
        name: its source.
        characters: its length, hold-out included.
        holdout: how many of them are held out.
    """

    name: str
    characters: int
    holdout: int


@dataclass(frozen=True)
class Provenance:
    """What a model file says of its training; None or empty where it says nothing.

    Attributes:
        sources: the corpus.
        versions: of textgen and the libraries, by name.
        baselines: bits per character of simple models on the hold-out, by name.
        train_loss: mean loss on the training text, in nats.
        val_loss: mean loss on the hold-out, in nats.
        train_characters: the text without the hold-out.
        holdout_characters: the tail of the text.
        step: how many steps had been made when the model was found the best.
        seconds: of training.
        licence: under which the model may be used.
        bases: what it started from, nearest first.
        items: what is kept of the list that it learned; None where it learned no list.
        parts: the texts that have a hold-out each; none where there is one hold-out of all.
        unknown: how many characters more the hold-out had, which are not in its text.
    """

    sources: tuple[TrainingText, ...] = ()
    preset: str | None = None
    seed: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    baselines: dict[str, float] = field(default_factory=dict)
    train_loss: float | None = None
    val_loss: float | None = None
    step: int | None = None
    seconds: float | None = None
    train_characters: int | None = None
    holdout_characters: int | None = None
    licence: str | None = None
    bases: tuple[Origin, ...] = ()
    items: ItemList | None = None
    parts: tuple[NamedPart, ...] = ()
    unknown: int = 0

    @property
    def val_bpc(self) -> float | None:
        """Loss on the hold-out in bits per character."""
        return None if self.val_loss is None else bits(self.val_loss)

    @property
    def train_bpc(self) -> float | None:
        """Loss on the training text in bits per character."""
        return None if self.train_loss is None else bits(self.train_loss)

    @classmethod
    def read(cls, notes: dict[str, Any]) -> "Provenance":
        """Take what has the expected type, and pass over the rest."""
        return cls(
            sources=tuple(_source(item) for item in _list(notes.get("corpus"))),
            preset=_text(notes.get("preset")),
            versions={key: str(value) for key, value in _dict(notes.get("versions")).items()},
            baselines={
                key: float(value)
                for key, value in _dict(notes.get("baselines")).items()
                if _number(value, MAX_BITS)
            },
            seed=_whole(notes.get("seed")),
            train_loss=_number(notes.get("train_loss"), MAX_BITS),
            val_loss=_number(notes.get("val_loss"), MAX_BITS),
            step=_whole(notes.get("step")),
            seconds=_number(notes.get("seconds"), MAX_SECONDS),
            train_characters=_whole(notes.get("train_characters")) or None,
            holdout_characters=_whole(notes.get("holdout_characters")) or None,
            licence=_text(notes.get("licence")),
            bases=origins(notes.get("bases")),
            items=_items(notes.get("items")),
            parts=_parts(notes),
            unknown=_whole(notes.get("unknown")) or 0,
        )


def _source(item: Any) -> TrainingText:
    item = _dict(item)
    return TrainingText(
        str(item.get("name", "?")), str(item.get("sha256", "")), _whole(item.get("characters"))
    )


def origins(value: Any) -> tuple[Origin, ...]:
    """The models that another one started from, as a file lists them, nearest first."""
    return tuple(_origin(item) for item in _list(value))


def _origin(item: Any) -> Origin:
    item = _dict(item)
    return Origin(
        str(item.get("name", "?")), str(item.get("sha256", "")), _text(item.get("licence"))
    )


def _parts(notes: dict[str, Any]) -> tuple[NamedPart, ...]:
    """The texts, if all they say fits together."""
    rows = [_dict(row) for row in _list(notes.get("parts"))]
    parts = tuple(
        NamedPart(
            str(row.get("name", "?")),
            _whole(row.get("characters")) or 0,
            _whole(row.get("holdout")) or 0,
        )
        for row in rows
    )
    held = sum(part.holdout for part in parts)
    return parts if held == _whole(notes.get("holdout_characters")) else ()


def named_parts(names: Sequence[str], parts: Sequence[Part]) -> list[dict[str, Any]]:
    """What a model file says of its texts; of very many, the last ones are one."""
    first = len(parts) if len(parts) <= MOST_PARTS else MOST_PARTS - 1
    named = list(zip(names[:first], parts[:first], strict=True))
    if rest := parts[first:]:
        held = sum(part.holdout for part in rest)
        named.append((f"{len(rest):,} more", Part(sum(part.characters for part in rest), held)))
    return [asdict(NamedPart(name, part.characters, part.holdout)) for name, part in named]


def _items(value: Any) -> ItemList | None:
    try:
        return item_list(value)
    except schema.Refused:
        return None


def item_list(value: Any) -> ItemList:
    """What is kept of a list, from JSON.

    Raises:
        Refused: it is not what is written of one.
    """
    schema.closed(value, ("items", "longest", "hashes"), "items")
    hashes = schema.string(value["hashes"], 2 * HASH_BYTES * MOST_HASHED, "hashes")
    try:
        data = b64decode(hashes, validate=True)
    except ValueError:
        raise schema.Refused("hashes is not base64") from None
    if len(data) % HASH_BYTES:
        raise schema.Refused("hashes is cut short")
    return ItemList(
        schema.integer(value["items"], 2, MOST_ITEMS, "items"),
        schema.integer(value["longest"], 1, LONGEST, "longest"),
        hashes,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: Any, most: float) -> float | None:
    return float(value) if _is_number(value) and 0 <= value <= most else None


def _whole(value: Any) -> int | None:
    return int(value) if _is_number(value) and value == int(value) >= 0 else None
