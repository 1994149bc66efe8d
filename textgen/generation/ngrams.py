"""The n-grams of a training text: which characters would continue a copy of it.

The n-grams of the training text are kept as sorted 64-bit keys: 8 bytes for each distinct
n-gram with its next character, so at most 8 MB per MB of text, and about 17 MB while the
index is built. A key that matches by accident (about once in 10^10 questions for a book of
1 MB) makes an n-gram look copied that is not; one that is copied is never missed.
"""

import numpy as np

# Polynomial hash modulo 2^64 (Karp and Rabin 1987) with Knuth's multiplier; the multiplier
# is odd, so it has an inverse, and hashes of all windows follow from one running sum.
_BASE = 6364136223846793005
_WORD = 1 << 64
_INVERSE = pow(_BASE, -1, _WORD)
# Windows hashed at a time, which bounds the memory that building takes beside the keys.
_CHUNK = 1 << 18


def _word(value: int) -> np.ndarray:
    """A number modulo 2^64 as an array (1,): arrays wrap silently, NumPy scalars warn."""
    return np.array([value % _WORD], dtype=np.uint64)


def _mix(hashes: np.ndarray) -> np.ndarray:
    """Spread hashes over all bits (the finalizer of MurmurHash3)."""
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return hashes ^ (hashes >> np.uint64(33))


def _powers(base: int, count: int) -> np.ndarray:
    """base^0, ..., base^(count - 1) modulo 2^64, (count,)."""
    factors = np.full(count, base % _WORD, dtype=np.uint64)
    factors[:1] = 1
    return np.multiply.accumulate(factors)


class NgramIndex:
    """All n-grams of a text, each with the characters that follow it.

    Args:
        ids: the text (characters,), a memory map if need be; read once, in chunks.
        n: length of the n-grams, at least 1.
        vocabulary_size: the text's ids are below this, or equal to it where a character
            is unknown.
    """

    def __init__(self, ids: np.ndarray, n: int, vocabulary_size: int):
        self.n = n
        self._bits = np.uint64((vocabulary_size + 1).bit_length())
        self._next_mask = (np.uint64(1) << self._bits) - np.uint64(1)
        # The last n-gram has no next character; one more than all ids stands for that.
        self._end = vocabulary_size + 1
        self._unknown = np.uint64(vocabulary_size)
        self._keys = self._sorted_keys(ids)

    @property
    def nbytes(self) -> int:
        """Memory that the index takes, in bytes."""
        return self._keys.nbytes

    def _sorted_keys(self, ids: np.ndarray) -> np.ndarray:
        """The distinct keys: hash of the n-gram in the high bits, next id in the low ones."""
        keys = np.empty(max(0, len(ids) - self.n + 1), dtype=np.uint64)
        for start in range(0, len(keys), _CHUNK):
            stop = min(start + _CHUNK, len(keys))
            following = np.full(stop - start, self._end, dtype=np.uint64)
            after = ids[start + self.n : stop + self.n]
            following[: len(after)] = after
            keys[start:stop] = self._keys_of(ids[start : stop + self.n - 1]) | following
        keys.sort()
        return keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys

    def _keys_of(self, ids: np.ndarray) -> np.ndarray:
        """For each window of n ids, the smallest key that it can have."""
        count = len(ids) - self.n + 1
        # 1 is added so that leading zeros count.
        terms = (ids.astype(np.uint64) + np.uint64(1)) * _powers(_INVERSE, len(ids))
        sums = np.append(np.uint64(0), np.add.accumulate(terms))
        hashes = (sums[self.n :] - sums[:count]) * _powers(_BASE, len(ids))[self.n - 1 :]
        return self.key(hashes)

    def key(self, hashes: np.ndarray) -> np.ndarray:
        """The smallest keys that n-grams with these hashes can have."""
        return _mix(hashes) << self._bits

    def contains(self, ids: np.ndarray) -> np.ndarray:
        """Which n-grams of another text occur in this one.

        Args:
            ids: the other text (characters,), in the same ids.

        Returns:
            Booleans (characters - n + 1,), empty if the other text is shorter than n.
        """
        found = np.zeros(max(0, len(ids) - self.n + 1), dtype=bool)
        for start in range(0, len(found), _CHUNK):
            stop = min(start + _CHUNK, len(found))
            found[start:stop] = self._found(self._keys_of(ids[start : stop + self.n - 1]))
        return found

    def _found(self, keys: np.ndarray) -> np.ndarray:
        places = self._keys.searchsorted(keys)
        inside = places < len(self._keys)
        found = np.zeros(len(keys), dtype=bool)
        found[inside] = self._keys[places[inside]] - keys[inside] <= self._next_mask
        return found

    def followers(self, keys: np.ndarray) -> list[np.ndarray]:
        """For each key (batch,) of an n-gram, the distinct known ids that follow it."""
        lows = self._keys.searchsorted(keys)
        highs = self._keys.searchsorted(keys | self._unknown)
        return [
            self._keys[low:high] & self._next_mask
            for low, high in zip(lows.tolist(), highs.tolist(), strict=True)
        ]


class CopyGuard:
    """Follows a batch of growing texts and names the characters that would copy too much.

    A text so guarded has no n + 1 consecutive characters in common with the indexed text.

    Args:
        index: the n-grams of the training text.
        batch: how many texts grow side by side.
    """

    def __init__(self, index: NgramIndex, batch: int):
        self._index = index
        self._recent = np.zeros((index.n, batch), dtype=np.uint64)
        self._hashes = np.zeros(batch, dtype=np.uint64)
        self._base, self._leaving = _word(_BASE), _word(pow(_BASE, index.n, _WORD))
        self._length = 0

    def push(self, ids: np.ndarray) -> None:
        """Each text grows by one character; ids (batch,)."""
        place = self._length % self._index.n
        oldest = self._recent[place]
        self._hashes = self._hashes * self._base - oldest * self._leaving
        oldest[:] = ids
        oldest += np.uint64(1)
        self._hashes += oldest
        self._length += 1

    def excluded(self) -> list[np.ndarray]:
        """For each text the ids that must not come next; empty arrays where all may."""
        if self._length < self._index.n:
            return []
        return self._index.followers(self._index.key(self._hashes))
