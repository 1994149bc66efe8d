"""What a model reads before it writes."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textgen.corpus.cleaning import clean_prompt
from textgen.errors import TextgenError
from textgen.generation.relatives import as_known
from textgen.messages import shown
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


def read_utf8(path: str, name: str) -> str:
    """The text of a UTF-8 file, or of stdin for `-`.

    Args:
        path: the file.
        name: what messages call it.

    Raises:
        TextgenError: it cannot be read, or is not UTF-8.
    """
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
    text = as_known(clean_prompt(text, model.cleaning), vocabulary.characters)
    ids = vocabulary.encode(text, on_unknown)
    before = vocabulary.encode(model.default_prompt)
    if model.config.targets == "last":
        missing = max(0, model.config.seq_length - len(ids))
        read = np.concatenate((before[max(0, len(before) - missing) :], ids))
    else:
        read = ids if len(ids) else before
    return Prompt(vocabulary.decode(ids), read)
