"""Run directories, model files and state: round trips, damage, kills, full disks."""

import dataclasses
import errno
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.strategies import JSON, TEXTS, models
from support.tiny import keras_archive, tiny_model, write_tiny

from textgen.config import CELLS, ModelConfig
from textgen.errors import TextgenError
from textgen.messages import notes_to
from textgen.storage import archive
from textgen.storage.atomic import atomic_write
from textgen.storage.keras_archive import KerasArchive
from textgen.storage.model_file import Model, check_size, load_model, write_model
from textgen.storage.run_folder import RunDirectory, default_run_name, find_model, lock_run, runs
from textgen.storage.state import DTYPES, check_arrays, previous_path, read_state, write_state

ARRAYS = st.dictionaries(
    TEXTS.filter(bool),
    hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, min_side=0, max_side=4)),
    max_size=4,
)


def assert_same(one: Model, other: Model) -> None:
    """Compare two models, weights bit by bit."""
    for field in dataclasses.fields(Model):
        if field.name != "weights":
            assert getattr(one, field.name) == getattr(other, field.name)
    assert one.vocabulary.commonest == other.vocabulary.commonest
    assert list(one.weights) == list(other.weights)
    for name, array in one.weights.items():
        assert array.dtype == np.float32
        assert array.tobytes() == other.weights[name].tobytes()


def python(code: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a piece of Python in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


# Model files


@settings(max_examples=60, deadline=None)
@given(model=models())
def test_a_model_survives_the_round_trip(model: Model) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        write_model(path, model, keras_archive(model))
        assert_same(load_model(path), model)


def test_equal_models_give_equal_files_whenever_they_are_saved(tmp_path: Path) -> None:
    for name, date in (("one", "2026-01-01@00:00:00"), ("two", "2027-12-31@23:59:59")):
        write_model(tmp_path / name, tiny_model(), keras_archive(tiny_model(), date))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.fixture(scope="session")
def stock_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Model, Path]]:
    """For each cell a stock Keras model as a Model, and the model file made of it."""
    keras = pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("stock")
    layers = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
    made = {}
    for cell in CELLS:
        blank = tiny_model(ModelConfig(cell=cell, units=(5, 4, 3), seq_length=10))
        inputs = keras.Input((None,), dtype="int32")
        x = keras.ops.one_hot(inputs, len(blank.vocabulary))
        for layer, units in enumerate(blank.config.units):
            x = keras.layers.Dropout(0.2)(x) if layer else x
            x = layers[cell](units, return_sequences=True)(x)
        network = keras.Model(inputs, keras.layers.Dense(len(blank.vocabulary))(x))
        assert [tuple(w.shape) for w in network.weights] == [
            w.shape for w in blank.weights.values()
        ]
        arrays = (weight.numpy() for weight in network.weights)
        model = dataclasses.replace(blank, weights=dict(zip(blank.weights, arrays, strict=True)))
        network.save(folder / "plain.keras")
        plain = (folder / "plain.keras").read_bytes()
        template = KerasArchive.read(plain, model.config, len(model.vocabulary))
        write_model(folder / f"{cell}.keras", model, template)
        made[cell] = (model, folder / f"{cell}.keras")
    return made


@pytest.mark.parametrize("cell", CELLS)
def test_keras_and_textgen_read_the_same_weights(
    stock_models: dict[str, tuple[Model, Path]], cell: str
) -> None:
    import keras

    model, path = stock_models[cell]
    assert_same(load_model(path), model)
    by_keras = keras.saving.load_model(path)
    for weight, array in zip(by_keras.weights, model.weights.values(), strict=True):
        assert weight.numpy().tobytes() == array.tobytes()


@pytest.mark.parametrize("units", [(4,), (4, 4), (4, 3, 2)])
def test_an_archive_of_another_architecture_is_refused(tmp_path: Path, units: tuple) -> None:
    other = keras_archive(tiny_model(ModelConfig(units=units)))
    with pytest.raises(ValueError, match="not those of the archive's architecture"):
        write_model(tmp_path / "m", tiny_model(), other)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e7])
def test_weights_that_training_ruined_are_not_saved(tmp_path: Path, value: float) -> None:
    path = write_tiny(tmp_path / "model.keras")
    before, ruined = path.read_bytes(), tiny_model()
    ruined.weights["layer_1/bias"][2] = value
    with pytest.raises(TextgenError, match="layer_1/bias holds NaN"):
        write_model(path, ruined, keras_archive(ruined))
    assert path.read_bytes() == before


def test_any_zip_program_reads_a_model_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_tiny(tmp_path / "model.keras")) as opened:
        assert opened.testzip() is None
        assert {info.compress_type for info in opened.infolist()} == {zipfile.ZIP_STORED}
        assert json.loads(opened.read("textgen.json"))["format"] == 1


MEMBERS = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}(/[a-z0-9_]{1,5}\.x)?", fullmatch=True),
    st.binary(max_size=50),
    min_size=1,
    max_size=5,
)


@given(members=MEMBERS)
def test_the_archive_reader_and_zipfile_agree(members: dict[str, bytes]) -> None:
    data = archive.pack(members)
    file = io.BytesIO(data)
    found = archive.read_directory(file, len(data), next(iter(members)))
    assert {name: archive.read_member(file, at) for name, at in found.items()} == members
    with zipfile.ZipFile(file) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == members


def test_loading_imports_neither_keras_nor_hdf5(tmp_path: Path) -> None:
    code = """
import sys
from textgen.storage.model_file import load_model
load_model(sys.argv[1])
print(sorted({"keras", "tensorflow", "h5py"} & set(sys.modules)))
"""
    assert python(code, write_tiny(tmp_path / "m")).stdout == "[]\n"


def test_loading_takes_hardly_more_memory_than_the_file(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "m", tiny_model(ModelConfig(units=(700, 700)), seed=3))
    code = """
import sys
from support.peak_memory import peak_kilobytes
from textgen.storage.model_file import load_model
before = peak_kilobytes()
model = load_model(sys.argv[1])
print(1024 * (peak_kilobytes() - before))
"""
    assert int(python(code, path).stdout) < 1.5 * path.stat().st_size + (4 << 20)


# Damage


def test_every_truncation_of_a_model_is_refused(tmp_path: Path) -> None:
    data, path = write_tiny(tmp_path / "m").read_bytes(), tmp_path / "cut"
    for part in range(100):
        path.write_bytes(data[: len(data) * part // 100])
        with pytest.raises(TextgenError):
            load_model(path)


def test_every_flipped_bit_of_a_model_is_refused(tmp_path: Path) -> None:
    data, path = write_tiny(tmp_path / "m").read_bytes(), tmp_path / "flipped"
    for bit in random.Random(5).sample(range(8 * len(data)), 1000):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(TextgenError):
            load_model(path)


def two_states(folder: Path) -> Path:
    """A state of step 2, and behind it one of step 1."""
    path = folder / "state"
    for step in (1, 2):
        write_state(path, {"step": step}, {"w": np.full(200, step, np.float32)})
    return path


def assert_previous(path: Path) -> None:
    """Reading gives step 1 and says so."""
    notes: list[str] = []
    with notes_to(notes.append):
        meta, arrays = read_state(path)
    assert meta == {"step": 1}
    assert (arrays["w"] == 1).all()
    assert len(notes) == 1
    assert "Continuing from the state before it" in notes[0]


def test_every_truncation_of_a_state_leads_to_the_previous_one(tmp_path: Path) -> None:
    path = two_states(tmp_path)
    data = path.read_bytes()
    for part in range(100):
        path.write_bytes(data[: len(data) * part // 100])
        assert_previous(path)


def test_every_flipped_bit_of_a_state_leads_to_the_previous_one(tmp_path: Path) -> None:
    path = two_states(tmp_path)
    data = path.read_bytes()
    for bit in random.Random(6).sample(range(8 * len(data)), 1000):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert_previous(path)


# State


@settings(deadline=None)
@given(meta=st.dictionaries(TEXTS, JSON, max_size=3), arrays=ARRAYS)
def test_a_state_survives_the_round_trip(
    meta: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_state(Path(folder, "state"), meta, arrays)
        read_meta, read_arrays = read_state(Path(folder, "state"))
    assert read_meta == meta
    assert list(read_arrays) == list(arrays)
    for name, array in arrays.items():
        assert read_arrays[name].dtype == array.dtype
        assert read_arrays[name].shape == array.shape
        assert read_arrays[name].tobytes() == array.tobytes()
        assert read_arrays[name].flags.writeable


def test_arrays_that_are_not_contiguous_keep_their_values(tmp_path: Path) -> None:
    array = np.arange(12, dtype=">i4").reshape(3, 4).T[::2]
    write_state(tmp_path / "state", {}, {"a": array})
    assert (read_state(tmp_path / "state")[1]["a"] == array).all()


def test_a_state_holds_no_objects_and_no_nan_in_its_meta(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_state(tmp_path / "state", {}, {"a": np.array([{}])})
    with pytest.raises(ValueError, match="JSON"):
        write_state(tmp_path / "state", {"loss": float("nan")}, {})
    assert not list(tmp_path.iterdir())


def test_when_both_states_are_damaged_both_are_named(tmp_path: Path) -> None:
    path = two_states(tmp_path)
    path.write_bytes(b"")
    previous_path(path).write_bytes(b"x")
    with pytest.raises(TextgenError, match=r"state cannot be used.*state.previous cannot be used"):
        read_state(path)


def test_without_any_state_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(TextgenError, match="nothing to resume"):
        read_state(tmp_path / "state")


def test_a_kill_between_the_two_renames_leaves_the_previous_state(tmp_path: Path) -> None:
    path = two_states(tmp_path)
    path.replace(previous_path(path))
    assert read_state(path)[0] == {"step": 2}


def state_file(header: object, body: bytes = b"") -> bytes:
    """A state with a correct digest around any header and body."""
    encoded = json.dumps(header).encode()
    data = b"textgen state 1\n" + len(encoded).to_bytes(8, "little") + encoded + body
    return data + hashlib.sha256(data).digest()


HOSTILE_HEADERS: dict[str, object] = {
    "not an object": [],
    "no meta": {"arrays": []},
    "meta is a list": {"meta": [], "arrays": []},
    "an object array": {"meta": {}, "arrays": [{"name": "a", "dtype": "object", "shape": [1]}]},
    "a structured dtype": {"meta": {}, "arrays": [{"name": "a", "dtype": "i4,i4", "shape": [1]}]},
    "a huge shape": {"meta": {}, "arrays": [{"name": "a", "dtype": "int8", "shape": [1 << 39]}]},
    "an overflowing shape": {
        "meta": {},
        "arrays": [{"name": "a", "dtype": "int64", "shape": [1 << 40] * 8}],
    },
    "a negative axis": {"meta": {}, "arrays": [{"name": "a", "dtype": "int8", "shape": [-1, -8]}]},
    "33 axes": {"meta": {}, "arrays": [{"name": "a", "dtype": "int8", "shape": [1] * 33}]},
    "one name twice": {"meta": {}, "arrays": [{"name": "a", "dtype": "int8", "shape": [4]}] * 2},
    "deep nesting": {"meta": {"a": [[[[[[[[[[[[1]]]]]]]]]]]]}, "arrays": []},
}


@pytest.mark.parametrize("header", HOSTILE_HEADERS.values(), ids=HOSTILE_HEADERS.keys())
def test_a_hostile_state_with_a_correct_digest_is_refused(tmp_path: Path, header: object) -> None:
    (tmp_path / "state").write_bytes(state_file(header, bytes(8)))
    with pytest.raises(TextgenError, match="cannot be used"):
        read_state(tmp_path / "state")


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({}, r"'w' is missing, not float32 \(2, 3\)"),
        ({"w": np.zeros((3, 2), np.float32)}, r"'w' is float32 \(3, 2\), not float32 \(2, 3\)"),
        ({"w": np.zeros((2, 3))}, r"'w' is float64 \(2, 3\), not float32 \(2, 3\)"),
        ({"w": np.zeros((2, 3), np.float32), "\x1b": np.zeros(1)}, r"\\x1b' is float64"),
    ],
)
def test_a_state_of_another_model_is_refused(arrays: dict[str, np.ndarray], expected: str) -> None:
    with pytest.raises(TextgenError, match=expected):
        check_arrays(arrays, {"w": np.ones((2, 3), np.float32)})


def test_a_model_too_large_for_a_file_is_refused_before_it_is_made() -> None:
    check_size(ModelConfig(units=(8192,)), 1000)
    with pytest.raises(TextgenError, match=r"5,532,946,336 bytes.*Choose fewer --units"):
        check_size(ModelConfig(units=(8192, 8192, 8192)), 1000)


# Writing


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"old")

    def fail(file: Any) -> None:
        file.write(b"new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_completed_leaves_the_old_one(tmp_path: Path) -> None:
    path = two_states(tmp_path)
    code = """
import resource, sys
import numpy as np
from textgen.storage.state import write_state
from textgen.errors import TextgenError
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))  # the system stops the file there
try:
    write_state(sys.argv[1], {"step": 3}, {"w": np.zeros(10000)})
except TextgenError as error:
    print(error)
"""
    message = python(code, path).stdout
    assert os.strerror(errno.EFBIG) in message
    assert "unharmed" in message
    assert sorted(file.name for file in tmp_path.iterdir()) == ["state", "state.previous"]
    assert read_state(path)[0] == {"step": 2}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_device_is_named_and_devices_are_not_replaced() -> None:
    with pytest.raises(TextgenError, match=r"/dev/full: No space left on device\. Free some space"):
        atomic_write("/dev/full", b"text")
    assert Path("/dev/full").is_char_device()


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    atomic_write(tmp_path / "link", b"text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"text"


def test_a_folder_deleted_under_the_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    path = two_states(tmp_path / "run")
    shutil.rmtree(path.parent)
    with pytest.raises(TextgenError, match="The folder is gone"):
        write_state(path, {}, {})


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user of the machine can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_folder_made_read_only_keeps_what_it_has(public_folder: Path) -> None:
    path = two_states(public_folder)
    public_folder.chmod(0o555)
    code = """
import os, sys
import numpy as np
from textgen.storage.state import write_state
from textgen.errors import TextgenError
if os.geteuid() == 0:
    os.seteuid(65534)  # root may write everywhere
try:
    write_state(sys.argv[1], {"step": 3}, {"w": np.zeros(10)})
except TextgenError as error:
    print(error)
"""
    assert "Permission denied. Make the folder writable" in python(code, path).stdout
    public_folder.chmod(0o755)
    assert read_state(path)[0] == {"step": 2}


WRITE_FOREVER = """
import sys
from pathlib import Path
import numpy as np
from textgen.storage.run_folder import lock_run
from textgen.storage.state import write_state
with lock_run(Path(sys.argv[1])):
    for step in range(10**9):
        write_state(Path(sys.argv[1], "state"), {"step": step}, {"w": np.full(300_000, step)})
        print(step, flush=True)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a piece of Python in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("seed", range(8))
def test_a_kill_at_any_moment_loses_no_finished_state(tmp_path: Path, seed: int) -> None:
    process, choose = start(WRITE_FOREVER, tmp_path), random.Random(seed)
    assert process.stdout is not None
    for _ in range(choose.randrange(1, 8)):
        finished = int(process.stdout.readline())
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(choose.uniform(0, 0.02))
    process.kill()
    later = process.communicate()[0].split(b"\n")[:-1]
    finished = max([finished, *map(int, later)])

    meta, arrays = read_state(tmp_path / "state")
    assert meta["step"] in (finished, finished + 1)
    assert (arrays["w"] == meta["step"]).all()
    with lock_run(tmp_path):  # removes what the killed writer left
        names = {file.name for file in tmp_path.iterdir()}
    assert names <= {"state", "state.previous", "lock"}


# The lock

HOLD = """
import sys, time
from pathlib import Path
from textgen.storage.run_folder import lock_run
with lock_run(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(100)
"""


def test_a_second_trainer_stops_and_names_the_first(tmp_path: Path) -> None:
    first = start(HOLD, tmp_path)
    assert first.stdout is not None
    assert first.stdout.readline() == b"locked\n"
    for _ in range(2):  # being refused changes nothing
        with pytest.raises(TextgenError, match=f"Process {first.pid} on .* is training in"):
            lock_run(tmp_path).__enter__()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    with lock_run(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())[0] == os.getpid()


@pytest.mark.parametrize("content", [b"", b"[1]", b"nonsense", b"[null, 3]", b"\xff" * 2000])
def test_a_lock_file_of_any_content_is_no_obstacle(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lock").write_bytes(content)
    with lock_run(tmp_path):
        (tmp_path / "lock").write_bytes(content)
        with pytest.raises(TextgenError, match="is training in"):
            lock_run(tmp_path).__enter__()


@pytest.mark.parametrize("name", ["lock", "state", "samples", "samples/step-1.txt"])
@pytest.mark.parametrize("kind", ["link", "broken link", "pipe"])
def test_a_run_that_leads_out_of_its_folder_is_not_trained(
    tmp_path: Path, name: str, kind: str
) -> None:
    outside, path = tmp_path / "outside", tmp_path / "run" / name
    path.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(outside)
    if kind == "link":
        outside.write_text("precious")
    with pytest.raises(TextgenError, match="not a plain file"):
        lock_run(tmp_path / "run").__enter__()
    assert kind != "link" or outside.read_text() == "precious"
    assert kind == "link" or not outside.exists()


def test_a_folder_that_is_missing_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(TextgenError, match="No such file"):
        lock_run(tmp_path / "gone").__enter__()


# Names


def make_run(root: Path, name: str, mtime: int) -> Path:
    """A run with a model of a certain age."""
    (root / name).mkdir(parents=True)
    path = write_tiny(root / name / "model.keras")
    os.utime(path, (mtime, mtime))
    return path


def test_the_newest_run_is_the_one_with_the_newest_model(tmp_path: Path) -> None:
    make_run(tmp_path, "old", 1000)
    newest = make_run(tmp_path, "new", 2000)
    make_run(tmp_path, "older", 500)
    (tmp_path / "without").mkdir()
    assert find_model(None, tmp_path) == newest
    assert [run.name for run in runs(tmp_path)] == ["new", "old", "older"]


def test_a_model_is_found_by_name_by_folder_and_by_file(tmp_path: Path) -> None:
    model = make_run(tmp_path, "blake", 1000)
    assert find_model("blake", tmp_path) == model
    assert find_model(str(tmp_path / "blake"), tmp_path) == model
    assert find_model(tmp_path / "blake", Path("elsewhere")) == model
    assert find_model(str(model), tmp_path) == model


def test_what_is_not_found_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(TextgenError, match="Train one first"):
        find_model(None, tmp_path / "none")
    make_run(tmp_path, "blake", 1000)
    (tmp_path / "empty").mkdir()
    for name, expected in {
        "blak": "Did you mean blake",
        "zzz": f"Runs in {tmp_path}: blake",
        str(tmp_path / "empty"): r"has no model.keras",
        "/dev/null": "not a regular file",
        "a" * 5000: "no run and no model file",
        "nul\0": "no run and no model file",
        "": "no model.keras",
        "..": "no model.keras",
        "line\nbreak": r"line\\nbreak",
    }.items():
        with pytest.raises(TextgenError, match=expected) as caught:
            find_model(name, tmp_path)
        assert str(caught.value).isprintable()


def test_default_names_are_free_and_safe(tmp_path: Path) -> None:
    for expected in ("blake", "blake-2", "blake-3"):
        assert default_run_name("blake", tmp_path) == expected
        (tmp_path / expected).mkdir()
    assert default_run_name("../a b\n", tmp_path) == "a-b"
    assert default_run_name("…", tmp_path) == "run"
    assert default_run_name("Gödel", tmp_path) == "Gödel"
    assert len(default_run_name("a" * 300, tmp_path)) < 100


def test_the_names_in_a_run_directory() -> None:
    run = RunDirectory(Path("checkpoints/blake"))
    assert run.name == "blake"
    names = [run.model, run.state, run.text, run.log, run.samples, run.lock]
    assert [path.name for path in names] == [
        "model.keras",
        "state",
        "text.ids",
        "log.csv",
        "samples",
        "lock",
    ]
