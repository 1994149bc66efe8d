"""The model that a run starts from."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from textgen.config import Cleaning
from textgen.corpus.cleaning import clean_prompt
from textgen.storage.model_file import Model, load_model
from textgen.storage.provenance import Origin, Provenance
from textgen.storage.run_folder import find_model, model_name
from textgen.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Base:
    """A model to start from.

    Attributes:
        name: what a person calls it.
        sha256: of its file.
        model: what the file holds.
    """

    name: str
    sha256: str
    model: Model

    @property
    def chain(self) -> tuple[Origin, ...]:
        """Where a model that starts here comes from, nearest first."""
        provenance = Provenance.read(self.model.provenance)
        return (Origin(self.name, self.sha256, provenance.licence), *provenance.bases)

    def vocabulary_with(self, vocabulary: Vocabulary, cleaning: Cleaning) -> Vocabulary:
        """The characters of a text and of the base, but for those that cleaning removes."""
        own = set(vocabulary.characters)
        known = set(self.model.vocabulary.characters) - own
        kept = {c for c in known if c.isspace() or clean_prompt(c, cleaning) == c}
        return Vocabulary("".join(sorted(own | kept)), vocabulary.commonest)


def load_base(name: str, root: Path) -> Base:
    """Load the model `name`: a run under `root`, a folder, a file, or one that ships.

    Raises:
        TextgenError: it is not there or damaged.
    """
    path = find_model(name, root)
    model = load_model(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Base(model_name(path), digest, model)
