"""Cleaning that the user chose: one definition for training texts and for prompts."""

# ruff: noqa: RUF001 (the characters that look like others are what this is about)

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from textgen.config import Cleaning
from textgen.corpus import nltk_data
from textgen.corpus.chunks import Form, independent, whole_lines

# What a typewriter has for characters that no compatibility decomposition makes ASCII.
TYPEWRITER = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′‹›ʻʼ", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–−", "-"),
        **dict.fromkeys("—―", "--"),
        **dict.fromkeys("\u2028\u2029\u0085", "\n"),
        **{"…": "...", "•": "*", "·": ".", "×": "x", "÷": "/", "⁄": "/", "¡": "!", "¿": "?"},
        **{"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O"},
        **{"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th"},
        "ı": "i",
    }
)

# A full stop before a blank, also with quotes or brackets between, that is no ellipsis.
_SENTENCE_END = re.compile(r"(?<!\.)\.(?=[\"'”’»)\]}>]*(?:\s|$))")

# The tokenizer writes a straight double quote as in the Penn Treebank.
_QUOTES = {"``": '"', "''": '"'}

Cleaner = Callable[[Iterable[str]], Iterator[str]]


def cleaner(cleaning: Cleaning) -> Cleaner:
    """A function that cleans a stream of text, wherever it is cut, in bounded memory.

    In this order: Unicode normalisation; `ascii`, which writes typographic characters as
    a typewriter would, takes accents off and drops what is left (so a text in another
    script vanishes); lower case; tokens. `drop_stopwords` implies `tokenize`.

    Raises:
        TextgenError: the stop words are needed and cannot be fetched.
    """
    form = _form(cleaning)
    drop = stop_words() if cleaning.drop_stopwords else frozenset()

    def clean(chunks: Iterable[str]) -> Iterator[str]:
        if cleaning.lowercase or cleaning.ascii or cleaning.normalize != "none":
            chunks = (_folded(chunk, cleaning) for chunk in independent(chunks, form))
        if cleaning.tokenize or cleaning.drop_stopwords:
            chunks = _tokens(chunks, drop)
        return filter(None, chunks)

    return clean


def clean_prompt(text: str, cleaning: Cleaning) -> str:
    """Clean a prompt as the training text was cleaned.

    Blanks at its ends stay, except with tokens, where they mean nothing.

    Raises:
        TextgenError: the stop words are needed and cannot be fetched.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(cleaner(cleaning)([lines]))


def _folded(text: str, cleaning: Cleaning) -> str:
    """Normalise, fold to ASCII and lower a piece of text that `independent` cut."""
    if text.isascii():
        return text.lower() if cleaning.lowercase else text
    text = _normalized(text, cleaning)
    if cleaning.ascii:
        decomposed = unicodedata.normalize("NFKD", text.translate(TYPEWRITER))
        text = decomposed.translate(TYPEWRITER).encode("ascii", "ignore").decode()
    if cleaning.lowercase:
        text = _normalized(text.lower(), cleaning)  # lower case can undo a normal form
    return text


def _normalized(text: str, cleaning: Cleaning) -> str:
    """The text in the normal form that was asked for."""
    return text if cleaning.normalize == "none" else unicodedata.normalize(_form(cleaning), text)


def _form(cleaning: Cleaning) -> Form:
    """The normal form in unicodedata's terms; without one, that which joins the least."""
    return "NFKC" if cleaning.normalize == "nfkc" else "NFC"


def _tokens(chunks: Iterable[str], drop: frozenset[str]) -> Iterator[str]:
    """NLTK's word tokens joined by one blank; line ends go, as in the tutorial.

    NLTK splits a full stop off only where the text ends that it is given: it wants one
    sentence at a time, and its way to find those needs a trained model and the whole text.
    Here each full stop before a blank is a token, after an abbreviation too.
    """
    from nltk.tokenize import NLTKWordTokenizer

    tokenize = NLTKWordTokenizer().tokenize
    blank = ""
    for chunk in whole_lines(chunks):
        text = _SENTENCE_END.sub(" .", chunk.replace("\n", " "))
        words = [_QUOTES.get(word, word) for word in tokenize(text)]
        if drop:
            words = [word for word in words if word.lower() not in drop]
        if words:
            yield blank + " ".join(words)
            blank = " "


@cache
def stop_words() -> frozenset[str]:
    """NLTK's English stop words, fetched on first use.

    Raises:
        TextgenError: they are not there and cannot be fetched.
    """
    resource = "corpora/stopwords/english"
    if nltk_data.find(resource) is None:
        nltk_data.fetch("stopwords", "NLTK's stop words")
    with nltk_data.find(resource).open() as file:
        return frozenset(file.read().decode().split())
