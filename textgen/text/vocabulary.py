"""Characters and their ids."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from textgen.errors import TextgenError

# As many characters a new model may know: each step of generation computes the chance of all.
MOST_CHARACTERS = 1 << 17
# What an unknown character costs, so that models with different vocabularies compare:
# enough bits to name any code point.
UNKNOWN_BITS = 21.0
# The commonest character of English text stands in where the blank is unknown.
ON_UNKNOWN = ("error", "skip", "replace")


def id_dtype(size: int) -> np.dtype:
    """The smallest unsigned dtype that holds `size` different ids."""
    return np.dtype(np.uint8 if size <= 1 << 8 else np.uint16 if size <= 1 << 16 else np.uint32)


def code_points(text: str) -> np.ndarray:
    """The text as a uint32 array (characters,), one code point each."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def describe(character: str) -> str:
    """A character as a person finds it again: itself, code point and Unicode name."""
    name = unicodedata.name(character, "no name")
    return f"{character!r} (U+{ord(character):04X}, {name})"


class Vocabulary:
    """The distinct characters of a text, in code point order; a character's id is its place.

    Args:
        characters: distinct characters; at least one.
        commonest: what replaces an unknown character where the blank is unknown too.
    """

    def __init__(self, characters: str, commonest: str | None = None):
        self.characters = characters
        self.commonest = commonest if commonest is not None else characters[0]
        points = code_points(characters)
        self._points = points
        self._ids = np.full(int(points.max()) + 2, len(points), dtype=np.uint32)
        self._ids[points] = np.arange(len(points), dtype=np.uint32)

    def __len__(self) -> int:
        return len(self.characters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.characters == other.characters

    def __hash__(self) -> int:
        return hash(self.characters)

    def __contains__(self, character: str) -> bool:
        return character in self.characters

    @property
    def dtype(self) -> np.dtype:
        """The dtype of ids on disk and in memory."""
        return id_dtype(len(self))

    def lookup(self, text: str) -> np.ndarray:
        """Ids (characters,) uint32; an unknown character gets the id `len(self)`."""
        points = code_points(text)
        return self._ids[np.minimum(points, len(self._ids) - 1)]

    def encode(self, text: str, on_unknown: str = "error") -> np.ndarray:
        """Turn a text into ids.

        Args:
            text: any text.
            on_unknown: `error`; `skip`; or `replace` (by a blank if that is known, else by
                the commonest character).

        Returns:
            Ids (characters,), in `self.dtype`.

        Raises:
            TextgenError: for `error`, names the first unknown character.
        """
        ids = self.lookup(text)
        unknown = ids == len(self)
        if unknown.any():
            if on_unknown == "error":
                character = text[int(unknown.argmax())]
                raise TextgenError(
                    f"The model does not know the character {describe(character)}. "
                    "Use --on-unknown skip or --on-unknown replace."
                )
            if on_unknown == "skip":
                ids = ids[~unknown]
            else:
                stand_in = " " if " " in self else self.commonest
                ids[unknown] = self.characters.index(stand_in)
        return ids.astype(self.dtype)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Turn ids (characters,) back into text."""
        points = self._points[np.asarray(ids, dtype=np.int64)]
        return points.astype("<u4").tobytes().decode("utf-32-le")
