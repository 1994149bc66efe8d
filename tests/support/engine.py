"""The numerical part of a page that writes, in V8 without a browser."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from py_mini_racer import MiniRacer

from textgen.corpus.cleaning import TYPEWRITER
from textgen.generation.network import Network
from textgen.generation.prompt import make_prompt
from textgen.generation.relatives import relatives
from textgen.generation.sampling import Sample, Settings, whole_texts
from textgen.generation.units import MOST, SENTENCES
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
            "relatives": relatives(model.vocabulary.characters),
            "opening": relatives(model.vocabulary.characters, opens=True),
            "default_prompt": model.default_prompt,
            "bits": packed.bits,
            "sentences": SENTENCES,
            "most": MOST,
        }
        self.call(f"open({json.dumps(known)}, {list(packed.data)})")

    def call(self, code: str) -> Any:
        """The value of an expression, as JSON carries it."""
        return json.loads(str(self._racer.eval(f"JSON.stringify({code}) ?? 'null'")))


def greedy_text(model: Model, weights: Mapping[str, np.ndarray], prompt: str) -> str:
    """What `textgen sample --temperature 0 --length 500` writes with other weights."""
    ids = make_prompt(model, prompt, "error").ids
    settings = Settings(model.vocabulary.characters)
    samples = [Sample(0, 0.0, 500, seed=0)]
    return "".join(whole_texts(Network(model.config, weights), ids, samples, settings))
