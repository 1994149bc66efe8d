"""Which characters may stand for one another: other case, without accents, as typewritten."""

# ruff: noqa: RUF001 (the characters that look like others are what this is about)

import unicodedata
from collections.abc import Iterator

QUOTES = ("'‘’‚‛′‹›ʻʼ`´", '"“”„‟″«»')
DASHES = "-‐‑‒–—―−"
BLANKS = " \u00a0\u2002\u2003\u2009\u202f\u3000\t"
_FAMILIES = {character: family for family in (*QUOTES, DASHES, BLANKS) for character in family}


def relatives(character: str) -> Iterator[str]:
    """The characters that may stand for another one, nearest first, itself excluded.

    The other case; another quote, dash or blank; the letter without its accents; the first
    letter of a ligature.

    >>> list(relatives("É"))
    ['é', 'E', 'e']
    """
    bases = [character, unicodedata.normalize("NFKD", character)[0]]
    for base in bases:
        yield from (
            other for other in (base, base.swapcase()) if len(other) == 1 and other != character
        )
    family = _FAMILIES.get(character, "")
    yield from (other for other in family if other != character)
