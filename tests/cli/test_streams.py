"""Standard streams that are closed, full, or read by nobody; and what a terminal shows."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.commands import Command, run_textgen
from support.small_run import STORY, make_run
from support.training import train

from textgen.cli.bar import Bar, Lines
from textgen.cli.pipe import TextPipe
from textgen.cli.terminal import json_line, note_on_stderr, warn
from textgen.messages import quoted
from textgen.training.reporter import Status

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
STATUS = Status(0.5, 1.0, 2, 3.0, 100.0, 4.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a run and a text."""
    folder = tmp_path_factory.mktemp("streams")
    make_run(folder, text=STORY[:4000])
    (folder / "text.txt").write_text(STORY[:200])
    return folder


def shell(folder: Path, command: str) -> tuple[int, str, str]:
    """Run a line of bash in which `textgen` is the command: status, stdout and stderr."""
    line = f'textgen() {{ "{sys.executable}" -m textgen "$@"; }}; set -o pipefail; {command}'
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("textgen inspect text.txt >&-", "stdout is closed"),
        ("textgen info >&-", "stdout is closed"),
        ("textgen train --json >&-", "stdout is closed"),
        pytest.param("textgen --help >/dev/full", "No space left", marks=needs_full),
        pytest.param("textgen train --help >/dev/full", "No space left", marks=needs_full),
        pytest.param("textgen info >/dev/full", "No space left", marks=needs_full),
        ("textgen score - -m echo -m echo <&-", "stdin is closed"),
    ],
)
def test_a_stream_that_cannot_be_used_is_named(folder: Path, command: str, message: str) -> None:
    status, _, errors = shell(folder, command)
    assert (status, errors.count("\n")) == (1, 1)
    assert errors.startswith("Error: ")
    assert message in errors


NOBODY = "> >(exec <&- >&- 2>&-)"  # a reader that is gone at once


@pytest.mark.parametrize("command", ["textgen --help", "textgen train --help", "textgen info"])
def test_a_reader_that_is_gone_ends_any_command_like_a_filter(folder: Path, command: str) -> None:
    assert shell(folder, f"{{ sleep 0.5; {command}; }} {NOBODY}") == (141, "", "")


def test_training_goes_on_without_its_notes_and_ends_as_a_filter(tmp_path: Path) -> None:
    """The one real process: stderr is full, and nobody reads the summary."""
    (tmp_path / "text.txt").write_text(STORY[:3000])
    notes = "/dev/full" if FULL.exists() else "&-"
    options = "--units 8 --seq-length 16 --batch-size 8 --epochs 1"
    status, _, _ = shell(tmp_path, f"textgen train text.txt {options} --json 2>{notes} {NOBODY}")
    assert (tmp_path / "checkpoints/text/model.keras").exists()
    assert status == 141


def test_a_file_is_not_opened_in_the_place_of_stderr(folder: Path) -> None:
    """A note would be written into it."""
    assert shell(folder, "textgen report 2>&- && textgen info echo 2>&- >info.txt")[0] == 0
    assert "LSTM" in (folder / "info.txt").read_text()


@needs_full
def test_a_note_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for show in (
        note_on_stderr,
        warn,
        Lines().note,
        Bar().note,
        lambda line: Bar().step(STATUS),
    ):
        with FULL.open("w", buffering=1) as full:
            monkeypatch.setattr(sys, "stderr", full)
            show("a note")
            os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


# What a terminal shows

RUDE = "a\x07\x9b31m"  # rings the bell, and turns what follows red
EVIL = "\x1b]0;owned\x07\x9b31m\rx\x7f\b"


def test_a_terminal_gets_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which a pipe gets as they are."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        TextPipe().write(EVIL + "fine\n\ttoo\n")
        seen = os.read(master, 1000).decode()
    os.close(master)
    assert seen.replace("\r\n", "\n") == "·]0;owned··31m·x··fine\n\ttoo\n"


def test_json_does_nothing_to_a_terminal() -> None:
    value = {"text": EVIL + "é漢\u2028\udce9"}
    line = json_line(value)
    assert line.isprintable()
    assert "é漢" in line
    assert json.loads(line) == value


@pytest.mark.parametrize("name", ["plain", "two words", "it's", EVIL + "'\\", "caf\udce9", "né"])
def test_a_quoted_name_is_what_bash_reads(name: str) -> None:
    line = quoted(name)
    assert line.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {line}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(name)


def test_no_name_of_a_run_reaches_the_terminal_raw(tmp_path: Path, invoke: Command) -> None:
    make_run(tmp_path, RUDE, text=STORY[:4000]).text.unlink()
    for arguments in (
        ("info",),
        ("info", "--json"),
        ("info", RUDE),
        ("info", "zzz"),
        ("info", RUDE[:-1]),
        ("sample", "-n", "5", "--max-copy", "5", "-m", RUDE),
    ):
        done = invoke(*arguments)
        assert RUDE[1:] not in (done.stderr + done.stdout).decode()


def test_no_name_of_a_run_that_is_continued_reaches_the_terminal_raw(
    tmp_path: Path, invoke: Command
) -> None:
    tiny: dict[str, Any] = {"units": (9,), "seq_length": 16, "batch_size": 8, "epochs": 1}
    run = train(tmp_path / "checkpoints", "x", STORY[:3000], **tiny).directory
    run.path.rename(run.path.with_name(RUDE))
    notes = invoke("train", "--resume").stderr.decode()
    assert "Continuing the run" in notes
    assert "Next: " in notes
    assert RUDE[1:] not in notes


def test_the_commands_that_info_suggests_work(tmp_path: Path, invoke: Command) -> None:
    run = make_run(tmp_path, "my run", text=STORY[:4000])
    assert b"--model 'my run'\n" in invoke("info").stdout + invoke("info", "my run").stdout
    run.path.rename(tmp_path / "far run")
    shown = invoke("info", "far run").stdout
    assert b"textgen sample --model 'far run/model.keras'\n" in shown
    assert invoke("sample", "--model", "far run/model.keras", "-n", "5").returncode == 0


# File names that are not UTF-8


@pytest.mark.parametrize("command", ["score", "info", "report", "inspect"])
def test_a_file_may_have_any_name(tmp_path: Path, command: str) -> None:
    run = make_run(tmp_path, text=STORY[:4000])
    name = b"caf\xe9.keras" if command in ("info", "report") else b"caf\xe9.txt"
    with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:  # noqa: PTH123
        file.write(run.model.read_bytes() if name.endswith(b"keras") else STORY[:200].encode())
    options = ("--json",) if command in ("score", "info") else ()
    done = run_textgen(command, name, *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    if options:
        figures = json.loads(done.stdout)
        assert figures["file"] == "caf\udce9." + ("txt" if command == "score" else "keras")
