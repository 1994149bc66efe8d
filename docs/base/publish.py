"""Makes models/english.keras of a run, and measures it on the works that it was not trained on.

python docs/base/publish.py checkpoints/english FOLDER

FOLDER holds the works of works.tsv.
"""

import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from join import held_out, works

import textgen
from textgen.messages import nats
from textgen.storage.model_file import load_model, write_model
from textgen.training.model import keras_archive

MODEL = Path(__file__).parents[2] / "models/english.keras"
LICENCE = "CC0-1.0"
CORPUS = "works of English literature, listed in docs/base/works.tsv"
PROMPT = "\n\n"  # what it continues where no prompt is given: the end of a paragraph


def publish(run: Path) -> None:
    """Write the model of a run with its licence, and with a prompt that promises nothing."""
    model = load_model(run / "model.keras")
    (text,) = model.provenance["corpus"]
    told = {"corpus": [text | {"name": CORPUS}], "licence": LICENCE}
    model = replace(model, default_prompt=PROMPT, provenance=model.provenance | told)
    write_model(MODEL, model, keras_archive(model.config, len(model.vocabulary)))


def measure(folder: Path) -> None:
    """Print the loss on each held-out work, and on all of a kind, in nats a character."""
    model = textgen.load(MODEL)
    totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in held_out(works()):
        score = model.score((folder / row["file"]).read_text(encoding="utf-8"))
        print(f"{row['kind']:8}{score.nats:8.3f}  {row['file']}")
        for kind in (row["kind"], "all"):
            totals[kind][0] += score.bits
            totals[kind][1] += score.characters
    for kind, (bits, characters) in totals.items():
        print(f"{kind:8}{nats(bits) / characters:8.3f}  {characters:,.0f} characters")


if __name__ == "__main__":
    publish(Path(sys.argv[1]))
    measure(Path(sys.argv[2]))
