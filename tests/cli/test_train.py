"""`textgen train`: real trainings, short ones, and what it refuses."""

import csv
import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.commands import Command

from textgen.storage.model_file import load_model
from textgen.storage.run_folder import RunDirectory
from textgen.storage.state import read_state

STEPS = 29  # a pass over the story
NETWORK = ("--units", "16", "--seq-length", "32", "--batch-size", "32")
SMALL = (*NETWORK, "--epochs", "1")


def one_error(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one line that a refused command prints."""
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("Error: ")
    assert done.stdout == b""
    return line


def test_a_text_needs_no_option(invoke: Command, tmp_path: Path, story: str) -> None:
    (tmp_path / "my tale.txt").write_text(story[:6000])
    done = invoke("train", "my tale.txt", "--epochs", "1", "--json")
    assert done.returncode == 0, done.stderr.decode()
    summary = json.loads(done.stdout)
    assert set(summary) >= {
        *("run", "model", "steps", "seconds", "train_loss", "val_loss", "val_bpc"),
        *("parameters", "chars_per_second"),
    }
    assert summary["run"] == "my-tale"
    model = load_model(tmp_path / summary["model"])
    assert model.provenance["val_loss"] == summary["val_loss"]
    assert summary["val_bpc"] == pytest.approx(summary["val_loss"] / math.log(2))
    assert summary["parameters"] == sum(array.size for array in model.weights.values())
    assert "textgen sample --model my-tale" in done.stderr.decode()


@pytest.fixture(scope="module")
def on_a_terminal(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a training in a process of its own shows on a real terminal, and its run."""
    folder = tmp_path_factory.mktemp("process")
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    command = [sys.executable, "-m", "textgen", "train", *SMALL, "--seed", "1"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the terminal's end
        while data := os.read(ours, 4096):
            shown += data
    os.close(ours)
    out, _ = process.communicate()
    assert (process.returncode, out) == (0, b""), shown.decode()
    return shown.decode(), folder / "checkpoints/runaway-echo"


def test_a_terminal_shows_a_bar_and_nothing_of_tensorflow(on_a_terminal: tuple[str, Path]) -> None:
    shown, _ = on_a_terminal
    assert "100%|" in shown
    assert "hold-out" in shown
    for line in shown.splitlines():
        assert not line.startswith(("I0", "W0", "E0", "WARNING", "20")), line


def test_quiet_says_nothing_while_tensorboard_logs_are_written(
    invoke: Command, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    done = invoke("train", *SMALL, "--quiet", "--tensorboard", "--name", "x")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert capfd.readouterr() == ("", "")
    assert list((tmp_path / "checkpoints/x/tensorboard").rglob("events.out.*"))


def test_without_a_source_the_story_is_taken_and_stdin_is_left_alone(
    invoke: Command, tmp_path: Path
) -> None:
    """A second run of that name gets the next one."""
    (tmp_path / "checkpoints/runaway-echo").mkdir(parents=True)
    done = invoke("train", *SMALL, stdin=b"not read")
    assert "builtin:runaway-echo" in done.stderr.decode()
    assert done.returncode == 0
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"runaway-echo", "runaway-echo-2"}


def test_stdin_is_a_source(invoke: Command, tmp_path: Path, story: str) -> None:
    text = story[:4000]
    done = invoke("train", "-", *SMALL, "--name", "piped", stdin=text.encode())
    assert done.returncode == 0
    assert load_model(tmp_path / "checkpoints/piped/model.keras").provenance["corpus"] == [
        {
            "name": "stdin",
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "characters": len(text),
        }
    ]


def test_log_and_samples_are_kept(trained: Path) -> None:
    run = trained / "checkpoints/echo"
    rows = list(csv.DictReader((run / "log.csv").open()))
    assert [float(row["passes"]) for row in rows] == [1, 2, 3]
    assert float(rows[-1]["val_loss"]) < float(rows[0]["val_loss"])
    samples = sorted((run / "samples").iterdir())
    assert [path.name for path in samples] == [
        f"evaluation-000{number}.txt" for number in (1, 2, 3)
    ]
    assert len(samples[-1].read_text()) >= 500


def test_the_same_seed_gives_the_same_model(
    on_a_terminal: tuple[str, Path], invoke: Command, tmp_path: Path
) -> None:
    """In another process, and in one that has trained before."""
    for name, seed in [("c", "2"), ("b", "1")]:
        assert invoke("train", *SMALL, "--name", name, "--seed", seed).returncode == 0
    a = load_model(on_a_terminal[1] / "model.keras")
    b, c = (load_model(tmp_path / f"checkpoints/{name}/model.keras") for name in "bc")
    for name, array in a.weights.items():
        assert array.tobytes() == b.weights[name].tobytes()
    assert any(array.tobytes() != c.weights[name].tobytes() for name, array in a.weights.items())


def test_a_given_name_that_exists_is_refused(invoke: Command, trained: Path) -> None:
    before = (trained / "checkpoints/echo/model.keras").read_bytes()
    done = invoke("train", "--name", "echo", cwd=trained)
    assert done.returncode == 1
    assert "--resume" in one_error(done) and "--overwrite" in one_error(done)
    assert (trained / "checkpoints/echo/model.keras").read_bytes() == before


def test_overwrite_replaces_a_run(invoke: Command, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "checkpoints", tmp_path / "checkpoints")
    done = invoke("train", *SMALL, "--name", "echo", "--overwrite", "--cell", "gru")
    assert done.returncode == 0, done.stderr.decode()
    assert load_model(tmp_path / "checkpoints/echo/model.keras").config.cell == "gru"
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["echo"]


def test_resume_of_a_finished_run_says_so(invoke: Command, trained: Path) -> None:
    before = (trained / "checkpoints/echo/model.keras").read_bytes()
    done = invoke("train", "--resume", cwd=trained)
    assert done.returncode == 0
    assert "finished" in done.stderr.decode()
    assert (trained / "checkpoints/echo/model.keras").read_bytes() == before


def test_resume_without_a_run_starts_afresh(invoke: Command) -> None:
    done = invoke("train", "builtin:runaway-echo", "--resume", "--name", "new", *SMALL)
    assert done.returncode == 0, done.stderr.decode()


def test_resume_of_nothing_is_refused(invoke: Command) -> None:
    assert "--resume" in one_error(invoke("train", "--resume"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--units", "32"), "units is (64,), not (32,)"),
        (("--seed", "7"), "seed is 0, not 7"),
        (("--lowercase",), "lowercase is False, not True"),
        (("--preset", "nietzsche"), "preset"),
    ],
)
def test_resume_with_another_setting_is_refused(
    invoke: Command, trained: Path, options: tuple[str, ...], named: str
) -> None:
    done = invoke("train", "--resume", "--name", "echo", *options, cwd=trained)
    assert done.returncode == 1
    assert named in one_error(done)


def test_resume_with_another_text_is_refused(
    invoke: Command, trained: Path, tmp_path: Path, story: str
) -> None:
    (tmp_path / "other.txt").write_text(story[::-1])
    done = invoke("train", tmp_path / "other.txt", "--resume", "--name", "echo", cwd=trained)
    assert done.returncode == 1
    assert "another text" in one_error(done)


def test_resume_with_the_same_text_goes_on(invoke: Command, trained: Path) -> None:
    done = invoke("train", "builtin:runaway-echo", "--resume", "--name", "echo", cwd=trained)
    assert done.returncode == 0


def test_an_interrupted_run_is_saved_and_continued(invoke: Command, tmp_path: Path) -> None:
    """SIGINT ends it with 130 and a way to continue, from where it was."""
    command = [sys.executable, "-m", "textgen", "train", *NETWORK, "--epochs", "500"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("pass 1"):
            break
    process.send_signal(signal.SIGINT)
    assert "--resume" in process.stderr.read()
    assert process.wait(30) == 130

    run = RunDirectory(tmp_path / "checkpoints/runaway-echo")
    stopped, log = read_state(run.state)[0], run.log.read_text()
    assert stopped["step"] > 0
    passes = math.ceil(stopped["step"] / STEPS) + 1
    done = invoke("train", "--resume", "--epochs", str(passes), "--json")
    assert json.loads(done.stdout)["steps"] == passes * STEPS
    assert run.log.read_text().startswith(log)


def test_two_trainers_cannot_share_a_run(invoke: Command, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "textgen", "train", *NETWORK, "--epochs", "500"]
    process = subprocess.Popen([*command, "--name", "x"], cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        run_file = tmp_path / "checkpoints/x/run.json"
        while not run_file.exists() and process.poll() is None:
            time.sleep(0.05)
        done = invoke("train", "--resume", "--name", "x")
        assert done.returncode == 1
        assert f"Process {process.pid}" in one_error(done)
        assert invoke("train", "--name", "x", "--overwrite").returncode == 1
    finally:
        process.kill()
        process.wait()
    assert invoke("train", "--resume", "--name", "x", "--epochs", "1").returncode == 0


def test_options_reach_the_model(invoke: Command, tmp_path: Path) -> None:
    options = ("--cell", "rnn", "--targets", "last", "--step", "9", "--optimizer", "sgd")
    done = invoke("train", *SMALL, *options, "--name", "x")
    assert done.returncode == 0, done.stderr.decode()
    model = load_model(tmp_path / "checkpoints/x/model.keras")
    assert (model.config.targets, model.config.cell) == ("last", "rnn")
    assert model.provenance["train"]["optimizer"] == "sgd"


def test_nietzsche_preset(invoke: Command, tmp_path: Path, story: str) -> None:
    options = ["--preset", "nietzsche", "--epochs", "1", "--name", "x"]
    done = invoke("train", "-", *options, stdin=story[:4000].encode())
    assert done.returncode == 0, done.stderr.decode()
    model = load_model(tmp_path / "checkpoints/x/model.keras")
    assert (model.config.units, model.config.seq_length, model.config.targets) == (
        (128,),
        40,
        "last",
    )
    assert model.cleaning.lowercase and not any(map(str.isupper, model.vocabulary.characters))
    assert model.sampling.temperatures == (0.2, 0.5, 1.0, 1.2)
    assert model.provenance["train"]["optimizer"] == "rmsprop"


def test_an_explicit_option_overrides_a_preset(invoke: Command, tmp_path: Path, story: str) -> None:
    options = ["--epochs", "1", "--units", "8,8,4", "--seq-length", "20", "--no-tokenize"]
    options += ["--preset", "cat-in-the-hat", "--name", "x"]
    done = invoke("train", "-", *options, stdin=story[:4000].encode())
    assert done.returncode == 0, done.stderr.decode()
    model = load_model(tmp_path / "checkpoints/x/model.keras")
    assert (model.config.units, model.config.seq_length) == ((8, 8, 4), 20)
    assert not model.cleaning.tokenize
    assert (model.sampling.length, model.sampling.temperatures) == (1000, (0.0,))


BAD_TEXTS = {
    "empty": (b"", "empty"),
    "too short": (b"Half a window. " * 10, "must have at least 650"),
    "one distinct character": (b"a" * 5000, "one distinct character"),
    "invalid UTF-8": (b"fine " * 500 + b"\xff\xfe", "2500"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_bad_texts_are_refused(invoke: Command, tmp_path: Path, case: str) -> None:
    data, named = BAD_TEXTS[case]
    (tmp_path / "text.txt").write_bytes(data)
    done = invoke("train", "text.txt", "--seq-length", "64")
    assert done.returncode == 1
    assert named in one_error(done)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


@pytest.mark.parametrize(
    "options",
    [
        ("--units", "0"),
        ("--units", "a"),
        ("--batch-size", "0"),
        ("--dropout", "1"),
        ("--learning-rate", "-1"),
        ("--validation-split", "1"),
        ("--epochs", "1", "--minutes", "1"),
        ("--resume", "--overwrite"),
        ("--preset", "no"),
    ],
)
def test_bad_options_are_usage_errors(invoke: Command, options: tuple[str, ...]) -> None:
    done = invoke("train", *options)
    assert done.returncode == 2
    assert b"Error: " in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "..", "a\nb"])
def test_bad_names_are_refused(invoke: Command, name: str) -> None:
    assert "--name" in one_error(invoke("train", "--name", name))


def test_a_checkpoints_folder_that_cannot_be_made(invoke: Command, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file is in the way")
    assert "checkpoints" in one_error(invoke("train"))


def test_a_line_of_what_it_writes_is_shown_at_each_evaluation(
    invoke: Command, tmp_path: Path
) -> None:
    """Whole words, and at the end three lines and where the others are."""
    options = ("--units", "8", "--batch-size", "64", "--epochs", "2", "--name", "x")
    done = invoke("train", "builtin:runaway-echo", *options)
    lines = done.stderr.decode().splitlines()
    evaluations = [place for place, line in enumerate(lines) if "  hold-out " in line]
    samples = sorted((tmp_path / "checkpoints/x/samples").iterdir())
    assert len(evaluations) == len(samples) == 2
    for place, sample in zip(evaluations, samples, strict=True):
        assert lines[place + 1].startswith("    ")
        whole = sample.read_text().partition(" ")[2].lstrip()
        assert whole.startswith(lines[place + 1].strip())
    place = lines.index("It writes now:")
    assert all(line.startswith("    ") for line in lines[place + 1 : place + 4])
    assert lines[place + 4].endswith(str(Path("checkpoints/x/samples")))
    assert any("hardly any words; ten minutes more would help: textgen" in line for line in lines)
