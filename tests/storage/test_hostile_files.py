"""Files are not trusted: every hostile one is refused in one line, or harmless."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.commands import Command
from support.hostile import (
    HARMLESS,
    PUBLISHED,
    REFUSED,
    Maker,
    honest_notes,
    mended,
    pickled,
    with_notes,
)
from support.strategies import JSON, broken_notes
from support.tiny import tiny_model

from textgen.errors import TextgenError
from textgen.storage import schema
from textgen.storage.model_file import Model, load_model
from textgen.storage.schema import Refused
from textgen.storage.state import read_state, write_state

HERE = Path(__file__).parents[1]
LIMIT = 200  # MB


def refusal(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(TextgenError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 300 + len(str(path))
    return message


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_hostile_file_is_refused_in_one_line(tmp_path: Path, make: Maker, reason: str) -> None:
    path = make(tmp_path)
    message = refusal(path)
    assert str(path) in message
    assert reason in message
    assert not (tmp_path / "canary").exists()
    assert not (tmp_path.parent / "canary").exists()


@pytest.mark.parametrize("make", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_textgen_does_not_interpret_does_no_harm(tmp_path: Path, make: Maker) -> None:
    weights = load_model(make(tmp_path)).weights
    honest = tiny_model().weights
    assert all((weights[name] == array).all() for name, array in honest.items())
    assert not (tmp_path / "canary").exists()


MEASURE = """
import resource, sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from support import hostile
from textgen.storage.model_file import load_model
from textgen.errors import TextgenError

makers = {name: make for name, (make, _) in hostile.REFUSED.items()} | hostile.HARMLESS
folders = {name: Path(tempfile.mkdtemp(dir=sys.argv[2])) for name in makers}
paths = {name: make(folders[name]) for name, make in makers.items()}
Path("/proc/self/clear_refs").write_text("5")  # forget the peak of making the files


def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


for name, path in paths.items():
    try:
        load_model(path)
    except TextgenError:
        pass
    print(peak(), name)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_hostile_files_take_little_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEASURE, str(HERE), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peaks = [line.split(" ", 1) for line in done.stdout.splitlines()]
    assert len(peaks) == len(REFUSED) + len(HARMLESS)
    assert [name for peak, name in peaks if int(peak) > LIMIT] == []


# The same through the real commands

COMMANDS = {
    "sample": ["sample", "--length", "20", "--seed", "1", "--model"],
    "score": ["score", __file__, "--model"],
}


# Runs the command and notes its peak memory in the file that is named first.
MEASURED = """
import atexit, pathlib, sys
from support.peak_memory import peak_kilobytes
noted = pathlib.Path(sys.argv.pop(1))
atexit.register(lambda: noted.write_text(str(peak_kilobytes())))
from textgen.cli import main
main(prog_name="textgen")
"""


def run(folder: Path, *arguments: str | Path) -> tuple[int, str, int]:
    """Run textgen: its exit status, its stderr, and its peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, folder / "peak", *map(str, arguments)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr, int((folder / "peak").read_text()) >> 10


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
@pytest.mark.parametrize("name", PUBLISHED)
def test_commands_refuse_hostile_files_or_take_no_harm(
    tmp_path: Path, name: str, command: list[str]
) -> None:
    make, _ = REFUSED.get(name) or (HARMLESS[name], "")
    status, message, peak = run(tmp_path, *command, make(tmp_path))
    if name in REFUSED:
        assert status == 1
        assert message.startswith("Error: ")
        assert message.count("\n") == 1
        assert message[:-1].isprintable()
    else:
        assert status == 0, message
    assert "Traceback" not in message
    assert not (tmp_path / "canary").exists()
    assert peak < LIMIT


# A run directory from somebody else


def change_run(**changes: Any) -> Callable[[Path], None]:
    """Change places in run.json; a double underscore goes one level down."""

    def change(folder: Path) -> None:
        settings = json.loads((folder / "run.json").read_text())
        for place, value in changes.items():
            put(settings, place.replace("__", "."), value)
        (folder / "run.json").write_text(json.dumps(settings))

    return change


def change_state(folder: Path) -> None:
    """Change the shape of a weight, with a correct checksum."""
    meta, arrays = read_state(folder / "state")
    write_state(folder / "state", meta, arrays | {"weights/0": np.zeros((3, 3), np.float32)})


def add_to_progress(folder: Path) -> None:
    """Say more of the progress than there is to say."""
    meta, arrays = read_state(folder / "state")
    write_state(folder / "state", {**meta, "evil": 1}, arrays)


def pickle_state(folder: Path) -> None:
    """Put a pickle in the place of both states."""
    for name in ("state", "state.previous"):
        (folder / name).write_bytes(pickled(folder.parent.parent))


def link_state(folder: Path) -> None:
    """Put a link to a precious file in the place of the state."""
    (folder / "state").unlink()
    (folder / "state").symlink_to(folder.parent.parent / "precious")


def pipe_as_run(folder: Path) -> None:
    """A pipe into which nobody writes."""
    (folder / "run.json").unlink()
    os.mkfifo(folder / "run.json")


def other_text(folder: Path) -> None:
    """Ids that stand for no character."""
    data = (folder / "text.ids").read_bytes()
    (folder / "text.ids").write_bytes(b"\xff" + data[1:])


HOSTILE_RUNS: dict[str, tuple[Callable[[Path], object], str]] = {
    "30 GB of weights": (change_run(model__units=[8192] * 16), "Choose fewer --units"),
    "nothing held out": (change_run(train__validation_split=1), "validation_split is 1"),
    "no end": (change_run(train__epochs=None), "neither epochs nor minutes"),
    "newer format": (change_run(format=9), "format is 9"),
    "unknown key": (change_run(train__callback="os.system"), "unknown key 'callback'"),
    "window longer than the text": (change_run(model__seq_length=65536), "must have at least"),
    "other length": (change_run(characters=1 << 40, parts=[]), "is not the text"),
    "other length than its parts": (change_run(characters=1 << 40), "not as long as the text"),
    "parts of no length": (change_run(parts=[{"characters": 0, "holdout": 0}]), "of a part is 0"),
    "hold-out longer than a part": (
        change_run(parts=[{"characters": 9, "holdout": 10}]),
        "its hold-out is 10",
    ),
    "nothing held out of its parts": (change_run(parts__0__holdout=0), "must have at least"),
    "a negative number of unknown characters": (change_run(unknown=-1), "unknown is -1"),
    "more unknown characters than are read": (change_run(unknown=10**9), "unknown is 1000000000"),
    "list without line breaks": (
        change_run(items={"items": 2, "longest": 1, "hashes": ""}),
        "text.ids is no list",
    ),
    "hashes that are none": (
        change_run(items={"items": 2, "longest": 1, "hashes": "é"}),
        "hashes is not base64",
    ),
    "ids of no character": (other_text, "is not the text"),
    "pipe as run.json": (pipe_as_run, "no run"),
    "link to a precious file": (link_state, "not a plain file"),
    "pickle as state": (pickle_state, "cannot be used"),
    "state of another shape": (change_state, "not of this run"),
    "unknown progress": (add_to_progress, "unknown key 'evil'"),
}


@pytest.mark.parametrize(("change", "expected"), HOSTILE_RUNS.values(), ids=HOSTILE_RUNS.keys())
def test_resuming_refuses_a_hostile_run(
    invoke: Command, trained: Path, tmp_path: Path, change: Callable[[Path], object], expected: str
) -> None:
    folder = tmp_path / "checkpoints" / "echo"
    shutil.copytree(trained / "checkpoints" / "echo", folder)
    (tmp_path / "precious").write_text("precious")
    change(folder)
    done = invoke("train", "--resume", "--name", "echo", "--epochs", "4")
    assert done.returncode == 1
    assert expected in done.stderr.decode().splitlines()[-1]
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "canary").exists()


# The closed schema of textgen.json: a place in it, a wrong value, what is said.
WRONG: list[tuple[str, Any, str | None]] = [
    ("format", 2, "made by a newer textgen .format 2; this one reads 1; upgrade"),
    ("format", 0, "format is 0"),
    ("format", "1", "format is '1'"),
    ("format", True, "format is True"),
    ("extra", 1, "unknown key 'extra'"),
    ("architecture.extra", 1, "unknown key 'extra'"),
    ("architecture", None, "architecture is not an object"),
    ("architecture.cell", "Lambda", "not one of lstm, gru, rnn"),
    ("architecture.cell", ["lstm"], "not one of lstm, gru, rnn"),
    ("architecture.units", [], "list of 1 to 16"),
    ("architecture.units", [1] * 17, "list of 1 to 16"),
    ("architecture.units", [4, 0], "units is 0"),
    ("architecture.units", [4, -3], "units is -3"),
    ("architecture.units", [4, 8193], "units is 8193"),
    ("architecture.units", [4, 3.0], "units is 3.0"),
    ("architecture.units", [4, True], "units is True"),
    ("architecture.units", [4, 10**30], "units is 10000"),
    ("architecture.units", [5, 3], "not of the size|another shape"),
    ("architecture.dropout", 1, "dropout is 1"),
    ("architecture.dropout", -0.1, "dropout is -0.1"),
    ("architecture.dropout", "0.2", "dropout is '0.2'"),
    ("architecture.seq_length", 0, "seq_length is 0"),
    ("architecture.seq_length", 1 << 40, "seq_length is 1099511627776"),
    ("architecture.targets", "all", "not one of every, last"),
    ("vocabulary.characters", "", "not a string of 1 to"),
    ("vocabulary.characters", "ba", "not distinct and in code point order"),
    ("vocabulary.characters", "aab", "not distinct and in code point order"),
    ("vocabulary.characters", "a\ud800", "half of a surrogate pair"),
    ("vocabulary.characters", ["a"], "not a string of 1 to"),
    ("vocabulary.commonest", "x", "not one of the characters"),
    ("vocabulary.commonest", "", "not a string of 1 to 1"),
    ("cleaning.lowercase", 1, "not true or false"),
    ("cleaning.normalize", "nfd", "not one of nfc"),
    ("sampling.length", -1, "length is -1"),
    ("sampling.temperatures", [-1], "temperatures is -1"),
    ("sampling.temperatures", [1e308], "temperatures is 1e[+]308"),
    ("sampling.temperatures", [None], "temperatures is None"),
    ("sampling.temperatures", [1] * 1000, "list of 1 to"),
    ("default_prompt", "", "not a string of 1 to"),
    ("default_prompt", "z", "not in the vocabulary"),
    ("default_prompt", "a" * 11, "not a string of 1 to 10"),
    ("provenance", [], "provenance is not an object"),
    ("provenance", {"a": [[[[[[[[[1]]]]]]]]]}, "nested more than 8 deep"),
    ("provenance", {"a": "x" * 600_000}, "provenance is larger"),
    ("provenance", {"a": "\udfff"}, "half of a surrogate pair"),
    ("weights", [], "list of 1 to"),
    ("weights.0.name", "layer_1/kernel", "missing or has another shape"),
    ("weights.0.name", None, "missing or has another shape"),
    ("weights.0.shape", [16, 7], "missing or has another shape"),
    ("weights.0.shape", [7.0, 16.0], None),  # equal numbers: accepted
    ("weights.0.offset", -4, "offset of layer_0/kernel is -4"),
    ("weights.0.offset", 1 << 33, "offset of layer_0/kernel is 8589934592"),
    ("weights.0.offset", 0.5, "offset of layer_0/kernel is 0.5"),
    ("weights.0.offset", 0, "sha256 differs|NaN"),
    ("weights.0.file", "/etc/passwd", "unknown key 'file'"),
    ("sha256", "0" * 64, "sha256 differs"),
    ("sha256", None, "sha256 differs"),
]


def put(notes: Any, place: str, value: Any) -> None:
    """Set the value at a dotted place."""
    *parents, last = place.split(".")
    for parent in parents:
        notes = notes[int(parent)] if isinstance(notes, list) else notes[parent]
    notes[last] = value


@pytest.mark.parametrize(("place", "value", "expected"), WRONG)
def test_the_schema_is_closed(tmp_path: Path, place: str, value: Any, expected: str | None) -> None:
    notes = honest_notes()
    put(notes, place, value)
    path = with_notes(tmp_path, notes)
    if expected is None:
        load_model(path)
    else:
        with pytest.raises(TextgenError, match=expected):
            load_model(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -3e38])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    model = tiny_model()
    model.weights["layer_0/kernel"][1, 2] = value
    assert "NaN, infinite or absurd" in refusal(mended(tmp_path, lambda file: None, model))


def test_every_key_of_the_schema_is_needed(tmp_path: Path) -> None:
    for key in honest_notes():
        notes = honest_notes()
        del notes[key]
        assert f"lacks '{key}'" in refusal(with_notes(tmp_path, notes))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_textgen_json_no_other_error_comes(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        notes = data.draw(broken_notes(honest_notes()))
        path = with_notes(Path(name), notes)
        try:
            assert isinstance(load_model(path), Model)
        except TextgenError as error:
            assert str(error).isprintable()


@settings(max_examples=300)
@given(data=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_parsing_any_bytes_gives_a_value_or_a_refusal(data: bytes) -> None:
    try:
        value = schema.parse_json(data)
    except Refused as reason:
        assert str(reason).isprintable()
    else:
        assert value == json.loads(data)
