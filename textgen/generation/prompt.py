"""What a model reads before it writes."""

import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textgen.corpus.cleaning import clean_prompt
from textgen.corpus.formats import LONGEST, refuse_other_formats
from textgen.errors import TextgenError
from textgen.generation.relatives import as_known
from textgen.messages import shown
from textgen.storage.model_file import Model

MAX_PROMPT = 16_000_000  # bytes of a file with prompts


@dataclass(frozen=True)
class Prompt:
    """A prompt as the model knows it.

    Attributes:
        text: the user's prompt, cleaned; empty if there was none.
        ids: what the model reads (characters,): the text, or what stands in or before it.
    """

    text: str
    ids: np.ndarray


@dataclass(frozen=True)
class PromptLine:
    """One prompt of many, and what it asks for itself; None where it asks for nothing.

    Attributes:
        prompt: the text, as a user wrote it.
        length: characters to write.
        temperature: how bold they are.
        seed: of the random numbers.
        number: of the line in its file, from 1.
    """

    prompt: str
    length: int | None = None
    temperature: float | None = None
    seed: int | None = None
    number: int | None = None


def read_prompt_file(path: str) -> str:
    """The text of a UTF-8 file, or of stdin for `-`, without the newline that editors add.

    Raises:
        TextgenError: it cannot be read, is not UTF-8, or is empty.
    """
    name = "stdin" if path == "-" else shown(path)
    text = re.sub(r"(\r\n|\r|\n)\Z", "", read_utf8(path, name))
    if not text:
        emptied = "" if path == "-" else f", or write to another file than {name}, which > empties"
        raise TextgenError(f"The prompt in {name} is empty. Leave out -f{emptied}.")
    return text


def read_prompt_lines(path: str) -> list[PromptLine]:
    """The prompts in a UTF-8 file, or on stdin for `-`: one a line, blank lines left out.

    Where the first one is a JSON object, all are: `prompt`, and any of `temperature`, `length`
    and `seed`.

    Raises:
        TextgenError: it cannot be read, is not UTF-8, has no prompt, or a line is not as it
            should be.
    """
    name = "stdin" if path == "-" else shown(path)
    lines = re.split(r"\r\n|\r|\n", read_utf8(path, name))
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise TextgenError(f"{name} has no prompts: there must be one a line.")
    if _json_object(numbered[0][1]) is None:
        return [PromptLine(line, number=number) for number, line in numbered]
    return [_from_json(line, number, name) for number, line in numbered]


def _json_object(line: str) -> dict[str, Any] | None:
    """The JSON object on a line, or None."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _from_json(line: str, number: int, name: str) -> PromptLine:
    """A prompt and its options, checked."""
    value = _json_object(line)
    if value is None:
        raise TextgenError(f"Line {number} of {name} is not a JSON object, as the first one is.")
    for key, given in value.items():
        wanted, fits = _JSON_FIELDS.get(key, (f"one of {', '.join(_JSON_FIELDS)}", None))
        if fits is None:
            raise TextgenError(f"Line {number} of {name} has {key!a}, which is not {wanted}.")
        if isinstance(given, bool) or not fits(given):
            raise TextgenError(f"{key} must be {wanted}, not {given!a} (line {number} of {name}).")
    if "prompt" not in value:
        raise TextgenError(f'Line {number} of {name} has no "prompt".')
    return PromptLine(**value, number=number)


# What each field of a JSON line must be.
_JSON_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "prompt": ("a text", lambda given: isinstance(given, str)),
    "temperature": (
        "a number of at least 0",
        lambda given: isinstance(given, int | float) and 0 <= given < math.inf,
    ),
    "length": ("a whole number of at least 1", lambda given: isinstance(given, int) and given >= 1),
    "seed": ("a whole number of at least 0", lambda given: isinstance(given, int) and given >= 0),
}


def read_utf8(path: str, name: str) -> str:
    """The text of a UTF-8 file, or of stdin for `-`.

    Args:
        path: the file.
        name: what messages call it.

    Raises:
        TextgenError: it cannot be read, is too long, or is not UTF-8.
    """
    try:
        if path != "-":
            with Path(path).open("rb") as file:
                data = file.read(MAX_PROMPT + 1)
        elif sys.stdin is None:
            raise TextgenError("stdin is closed. Give the prompt with -p.")
        else:
            data = sys.stdin.buffer.read(MAX_PROMPT + 1)
        if len(data) > MAX_PROMPT:
            raise TextgenError(
                f"{name} is longer than {MAX_PROMPT:,} bytes. Give a part of it, such as with "
                "tail -c."
            )
        refuse_other_formats(data[:LONGEST], name)
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
    text = as_known(clean_prompt(text, model.cleaning), vocabulary.characters)
    ids = vocabulary.encode(text, on_unknown)
    before = vocabulary.encode(model.default_prompt)
    if model.config.targets == "last":
        missing = max(0, model.config.seq_length - len(ids))
        read = np.concatenate((before[max(0, len(before) - missing) :], ids))
    else:
        read = ids if len(ids) else before
    return Prompt(vocabulary.decode(ids), read)
