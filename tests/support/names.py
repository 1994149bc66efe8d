"""Lists that tests learn: invented names, one a line."""

import random

FIRST = ("Bra", "Cal", "Do", "El", "Fen", "Gal", "Ha", "Is", "Jo", "Ka", "Lu", "Mar", "No", "Os")
MIDDLE = ("", "da", "li", "mo", "ri", "sa", "ven", "wi")
LAST = ("bert", "dra", "el", "gan", "ka", "lin", "mir", "na", "rick", "ta", "ulf", "wen")


def names(count: int, seed: int = 0) -> list[str]:
    """Distinct names, in alphabetical order."""
    every = [a + b + c for a in FIRST for b in MIDDLE for c in LAST]
    return sorted(random.Random(seed).sample(every, count))
