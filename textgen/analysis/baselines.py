"""What a model must beat: a uniform guess, a unigram, n-grams and xz, on the same hold-out."""

import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textgen.messages import bits
from textgen.storage.model_file import Model
from textgen.storage.provenance import Provenance
from textgen.storage.run_folder import read_run_text
from textgen.text.vocabulary import UNKNOWN_BITS, Vocabulary

MAX_ORDER = 6
# Beyond these a sample is taken, so that time (a second or two) and memory stay bounded.
TRAIN_LIMIT = 2_000_000
HOLDOUT_LIMIT = 1_000_000
# xz is slower: this much takes about two seconds.
XZ_TRAIN_LIMIT = 1_000_000
XZ_HOLDOUT_LIMIT = 200_000
# Hold-out characters looked up at a time.
BLOCK = 1 << 17
UNSEEN = -1
# A smaller lead than this, in bits per character, is chance.
LEAD = 0.005
# Where the hold-out costs this many times the training text, the model overfits.
OVERFIT = 1.25


@dataclass(frozen=True)
class Baselines:
    """Bits per character of simple models on the hold-out.

    Attributes:
        uniform: every character of the vocabulary equally likely.
        unigram: by frequency alone.
        ngrams: interpolated Witten-Bell n-grams of order 1, 2, ...; an order counts the
            predicted character too, so order 5 sees the four before it.
    """

    uniform: float
    unigram: float
    ngrams: tuple[float, ...]

    @property
    def order(self) -> int:
        """The order of the best n-gram."""
        return int(np.argmin(self.ngrams)) + 1

    @property
    def ngram(self) -> float:
        """Bits per character of the best n-gram."""
        return min(self.ngrams)

    def as_dict(self) -> dict[str, float]:
        """Name to bits per character, weakest first, as it is kept in the model file."""
        return {
            "uniform": self.uniform,
            "unigram": self.unigram,
            ngram_name(self.order): self.ngram,
        }


@dataclass(frozen=True)
class _Order:
    """The counts of one order: its n-grams, and what followed each of their contexts.

    An n-gram is the number context * vocabulary_size + character, where a context is the
    rank of its (n-1)-gram among the sorted (n-1)-grams. Ranks are below the length of
    the text, so the number fits in 64 bits for every vocabulary.
    """

    grams: np.ndarray  # (grams,) sorted
    counts: np.ndarray  # (grams,)
    followed: np.ndarray  # (contexts,) how often the context was followed by anything
    followers: np.ndarray  # (contexts,) by how many different characters


class WittenBell:
    """Interpolated Witten-Bell character n-grams of all orders up to `max_order`.

    p(c|h) = (count(hc) + T(h) p(c|h')) / (count(h) + T(h)), with T(h) the number of
    different characters seen after h, and h' = h without its first character; below
    order 1 stands the uniform distribution (Witten and Bell 1991, method C).

    Args:
        ids: the training text (characters,), ids below `vocabulary_size`.
        vocabulary_size: how many characters there are.
        max_order: the longest n-gram, in characters.
    """

    def __init__(self, ids: np.ndarray, vocabulary_size: int, max_order: int = MAX_ORDER):
        self.vocabulary_size = vocabulary_size
        self._orders: list[_Order] = []
        # Contexts (positions,): the rank of the n-gram that ends just before each position.
        contexts, num_contexts = np.zeros(len(ids), dtype=np.int64), 1
        for order in range(1, max_order + 1):
            following = ids[order - 1 :]
            keys = contexts * vocabulary_size + following
            grams, ranks, counts = np.unique(keys, return_inverse=True, return_counts=True)
            of_gram = grams // vocabulary_size
            followed = np.bincount(of_gram, weights=counts, minlength=num_contexts)
            followers = np.bincount(of_gram, minlength=num_contexts)
            self._orders.append(_Order(grams, counts, followed, followers))
            contexts, num_contexts = ranks[:-1], len(grams)

    def probabilities(self, ids: np.ndarray) -> Iterator[np.ndarray]:
        """Yield p (characters,) of each character of a text, order by order from 1.

        The first characters have shorter contexts; a context never seen in training
        leaves the probability of the order below.
        """
        p = np.full(len(ids), 1.0 / self.vocabulary_size)
        contexts = np.zeros(len(ids), dtype=np.int64)
        for counted in self._orders:
            known = contexts != UNSEEN
            context = np.where(known, contexts, 0)
            keys = context * self.vocabulary_size + ids
            places = np.minimum(np.searchsorted(counted.grams, keys), len(counted.grams) - 1)
            found = known & (counted.grams[places] == keys)
            # A context that ends the training text was followed by nothing: no evidence.
            new = np.where(known, counted.followers[context], 0)
            total = np.where(known, counted.followed[context], 0) + new
            seen = np.where(found, counted.counts[places], 0)
            p = np.where(total > 0, (seen + new * p) / np.maximum(total, 1), p)
            yield p
            ranks = np.where(found, places, UNSEEN)
            contexts = np.concatenate(([UNSEEN], ranks[:-1]))

    def bits_per_character(
        self, ids: np.ndarray, context: np.ndarray, block: int = BLOCK
    ) -> tuple[float, ...]:
        """Mean cost in bits of a text's characters, one number for each order.

        Args:
            ids: the text (characters,), at least one.
            context: the text before it; its end is seen, and not counted.
            block: how many characters are looked up at a time.
        """
        bits = np.zeros(len(self._orders))
        for start in range(0, len(ids), block):
            before = ids[max(0, start - len(self._orders)) : start] if start else context
            warm_up = before[len(before) - min(len(before), len(self._orders)) :]
            text = np.concatenate((warm_up, ids[start : start + block])).astype(np.int64)
            for order, p in enumerate(self.probabilities(text)):
                bits[order] -= np.log2(p[len(warm_up) :]).sum()
        return tuple((bits / len(ids)).tolist())


def baselines(
    train_ids: np.ndarray, holdout_ids: np.ndarray, vocabulary_size: int, max_order: int = MAX_ORDER
) -> Baselines:
    """Measure the simple models on a hold-out; of long texts on the sample of `sample_note`.

    Args:
        train_ids: the training text (characters,), at least one; a memory map will do.
        holdout_ids: the text just after it (characters,), at least one.
        vocabulary_size: how many characters there are.
        max_order: the longest n-gram tried, in characters.
    """
    train = np.asarray(train_ids[-TRAIN_LIMIT:], dtype=np.int64)
    holdout = np.asarray(holdout_ids[:HOLDOUT_LIMIT], dtype=np.int64)
    model = WittenBell(train, vocabulary_size, min(max_order, len(train)))
    ngrams = model.bits_per_character(holdout, context=train)
    return Baselines(
        uniform=float(np.log2(vocabulary_size)),
        unigram=ngrams[0],
        ngrams=ngrams,
    )


def xz_bits(train_text: str, holdout_text: str) -> float:
    """Bits per character that `xz -9e` spends on a hold-out when it has seen the training text.

    It is the growth of the compressed file when the hold-out is appended, so that xz may
    copy from the training text as a model may learn from it. The resolution is 4 bytes,
    to which xz pads.
    """
    seen = train_text.encode()
    both = seen + holdout_text.encode()
    preset = 9 | lzma.PRESET_EXTREME
    growth = len(lzma.compress(both, preset=preset)) - len(lzma.compress(seen, preset=preset))
    return 8 * growth / len(holdout_text)


def xz_of_ids(train_ids: np.ndarray, holdout_ids: np.ndarray, vocabulary: Vocabulary) -> float:
    """`xz_bits` of texts given as ids; of long ones, the parts next to the cut between them."""
    train = vocabulary.decode(train_ids[-XZ_TRAIN_LIMIT:])
    return xz_bits(train, vocabulary.decode(holdout_ids[:XZ_HOLDOUT_LIMIT]))


def with_xz(path: Path, model: Model) -> dict[str, float]:
    """The baselines in a model file, and xz where the run's text lies beside it."""
    known = Provenance.read(model.provenance).baselines
    text = read_run_text(path, model)
    if text is None or "xz" in known:
        return known
    xz = xz_of_ids(text.train, text.holdout, model.vocabulary)
    unknown = Provenance.read(model.provenance).unknown
    return {**known, "xz": with_unknown(xz, len(text.holdout), unknown)}


def with_unknown(bits: float, known: int, unknown: int) -> float:
    """Bits per character of a hold-out with so many more characters, which nothing can know."""
    return (bits * known + UNKNOWN_BITS * unknown) / (known + unknown)


def sample_note(train_characters: int | None, holdout_characters: int | None) -> str:
    """What the n-grams leave out of texts of these lengths, in one sentence; else empty."""
    left_out = []
    if (train_characters or 0) > TRAIN_LIMIT:
        left_out.append(f"counted on the last {TRAIN_LIMIT:,} characters before the hold-out")
    if (holdout_characters or 0) > HOLDOUT_LIMIT:
        left_out.append(f"measured on its first {HOLDOUT_LIMIT:,}")
    return f"The n-grams were {' and '.join(left_out)}." if left_out else ""


def ngram_name(order: int) -> str:
    """What the n-gram of an order is called, such as `5-gram`."""
    return f"{order}-gram"


def best_ngram(baselines: dict[str, float]) -> tuple[str, float] | None:
    """Name and bits per character of the n-gram among a model file's baselines, if any."""
    ngrams = {name: bpc for name, bpc in baselines.items() if name.endswith("-gram")}
    return min(ngrams.items(), key=lambda item: item[1]) if ngrams else None


def verdict(model_bpc: float, baselines: dict[str, float]) -> str:
    """One honest sentence: is the model better than the best n-gram? Empty if unknown."""
    best = best_ngram(baselines)
    if best is None:
        return ""
    name, bpc = best
    figures = f"{model_bpc:.3f} against {bpc:.3f} bits per character"
    if model_bpc < bpc - LEAD:
        return f"The model is better than a {name} on the hold-out: {figures}."
    return f"The model is no better than a {name} on the hold-out: {figures}."


def overfitting(train_loss: float, val_loss: float) -> str:
    """A warning when the model knows its training text much better than the hold-out, else empty.

    Args:
        train_loss: mean loss on the training text, in nats.
        val_loss: mean loss on the hold-out, in nats.
    """
    if val_loss < OVERFIT * train_loss:
        return ""
    gap = bits(val_loss - train_loss)
    return (
        f"It overfits: the hold-out costs {gap:.2f} bits per character more than the training "
        "text. More text or more dropout would help more than more passes."
    )


def sentences(provenance: Provenance) -> list[str]:
    """Whether a model is any good, in plain words."""
    found = []
    if provenance.val_bpc is not None:
        found.append(verdict(provenance.val_bpc, provenance.baselines))
    if provenance.train_loss is not None and provenance.val_loss is not None:
        found.append(overfitting(provenance.train_loss, provenance.val_loss))
    found.append(sample_note(provenance.train_characters, provenance.holdout_characters))
    return [sentence for sentence in found if sentence]
