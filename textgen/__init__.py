"""Train a character-level LSTM on any text and generate text with it.

    import textgen

    model = textgen.load("echo")
    print(model.generate(300, prompt="The goat ", temperature=0.8, seed=1))

The names below are imported when they are first used. Notes, such as that a capital of a prompt
was lowered, go to the logger `textgen`; nothing is printed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgen.corpus.preparing import prepare
    from textgen.errors import TextgenError
    from textgen.library.mixing import Mixture, mix
    from textgen.library.model import Model, load
    from textgen.library.train import Run, train

__all__ = ["Mixture", "Model", "Run", "TextgenError", "load", "mix", "prepare", "train"]

_MODULES = {
    "Mixture": "textgen.library.mixing",
    "Model": "textgen.library.model",
    "Run": "textgen.library.train",
    "TextgenError": "textgen.errors",
    "load": "textgen.library.model",
    "mix": "textgen.library.mixing",
    "prepare": "textgen.corpus.preparing",
    "train": "textgen.library.train",
}


def __getattr__(name: str) -> Any:
    """Import a name of the library when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'textgen' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
