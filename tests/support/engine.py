"""The numerical part of a page that writes, in V8 without a browser."""

import json
from dataclasses import asdict
from typing import Any

from py_mini_racer import MiniRacer

from textgen.corpus.cleaning import TYPEWRITER
from textgen.pages.pages import source
from textgen.pages.quantize import Packed
from textgen.storage.model_file import Model

OPEN = """
var alphabet, network;
function open(model, bytes) {
  alphabet = new Alphabet(model);
  network = new Network(model, Uint8Array.from(bytes));
}
function reading(text) {
  const reader = new Reader(network);
  alphabet.prompt(alphabet.encode(text).ids).forEach((id) => reader.push(id));
  return reader;
}
function write(text, temperature, unit, most, seed) {
  const random = randomNumbers(seed, 0);
  const made = new Continuation(alphabet, reading(text), temperature, random, unit, most);
  while (!made.ended) made.step();
  return made.text;
}
"""


class Engine:
    """network.js with a model open: its functions, and those above, are called by `call`."""

    def __init__(self, model: Model, packed: Packed):
        self._racer = MiniRacer()
        self._racer.eval(source("network.js") + OPEN)
        known = {
            "config": asdict(model.config),
            "characters": list(map(ord, model.vocabulary.characters)),
            "cleaning": asdict(model.cleaning),
            "typewriter": {chr(point): typed for point, typed in TYPEWRITER.items()},
            "default_prompt": model.default_prompt,
            "bits": packed.bits,
        }
        self.call(f"open({json.dumps(known)}, {list(packed.data)})")

    def call(self, code: str) -> Any:
        """The value of an expression, as JSON carries it."""
        return json.loads(str(self._racer.eval(f"JSON.stringify({code}) ?? 'null'")))
