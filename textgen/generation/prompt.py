"""What a model reads before it writes."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textgen.corpus import clean_prompt
from textgen.errors import TextgenError
from textgen.messages import note, shown
from textgen.storage.model_file import Model


@dataclass(frozen=True)
class Prompt:
    """A prompt as the model knows it.

    Attributes:
        text: the user's prompt, cleaned; empty if there was none.
        ids: what the model reads (characters,): the text, or what stands in or before it.
    """

    text: str
    ids: np.ndarray


def read_prompt_file(path: str) -> str:
    """The text of a UTF-8 file, or of stdin for `-`, newline at the end included.

    Raises:
        TextgenError: it cannot be read, or is not UTF-8.
    """
    name = "stdin" if path == "-" else shown(path)
    try:
        if path != "-":
            data = Path(path).read_bytes()
        elif sys.stdin is None:
            raise TextgenError("stdin is closed. Give the prompt with -p.")
        else:
            data = sys.stdin.buffer.read()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextgenError(
            f"The prompt in {name} is not UTF-8 at byte {error.start}. Convert it with iconv."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TextgenError(f"Could not read the prompt from {name}: {reason}.") from None


def make_prompt(model: Model, text: str, on_unknown: str) -> Prompt:
    """Clean a prompt like the training text, and make it long enough to read.

    Without a prompt the model reads its own default prompt. With targets last a prompt
    shorter than the window is preceded by that prompt's tail.

    Args:
        model: what is to read it.
        text: what the user wrote, or nothing.
        on_unknown: `error`, `skip` or `replace`.

    Raises:
        TextgenError: for `error`, names the first unknown character.
    """
    vocabulary = model.vocabulary
    text = _lowered(model, clean_prompt(text, model.cleaning))
    ids = vocabulary.encode(text, on_unknown)
    before = vocabulary.encode(model.default_prompt)
    if model.config.targets == "last":
        missing = max(0, model.config.seq_length - len(ids))
        read = np.concatenate((before[max(0, len(before) - missing) :], ids))
    else:
        read = ids if len(ids) else before
    return Prompt(vocabulary.decode(ids), read)


def _lowered(model: Model, text: str) -> str:
    """Capitals that the model knows only as small letters made small; a note says so."""
    known = set(model.vocabulary.characters)
    small: dict[str, str] = {}
    for character in sorted(set(text) - known):
        if character.lower() in known:
            small[character] = character.lower()
    if small:
        note(f"The model knows no {' '.join(small)}: read as {' '.join(small.values())}.")
    return "".join(small.get(character, character) for character in text)
