"""The English model that ships with textgen (docs/base.md)."""

import shutil
from importlib import import_module, resources
from pathlib import Path

import pytest
from support.commands import Command
from support.tiny import write_tiny

from textgen.messages import notes_to
from textgen.storage.run_folder import ENGLISH, find_model, model_name
from textgen.text.encoding import write_ids
from textgen.training.request import Request
from textgen.training.start import choose_start

FILE = Path(str(resources.files("textgen.models"))) / "english.keras"
CODE = "".join(f"x[{n}] = (y[{n * 7 % 100}] << 2) ^ 0x{n:04X};\n" for n in range(900))


def test_it_is_small_and_says_where_it_comes_from(invoke: Command) -> None:
    assert FILE.stat().st_size <= 14_000_000
    shown = invoke("info", "builtin:english").stdout.decode()
    assert shown.startswith("builtin:english: LSTM 512-512, ")
    assert "\nlicence     CC0-1.0\n" in shown
    assert "\n  textgen sample --model builtin:english\n" in shown


def test_without_a_run_sample_writes_with_it_and_says_so(invoke: Command, tmp_path: Path) -> None:
    done = invoke("sample", "--seed", "1", "-n", "80")
    assert (done.returncode, len(done.stdout.decode())) == (0, 80)
    assert done.stderr.decode() == (
        "There is no run in checkpoints yet, so builtin:english writes.\nseed 1\n"
    )
    named = invoke("sample", "--seed", "1", "-n", "80", "-m", "builtin:english")
    assert (named.stdout, named.stderr) == (done.stdout, b"seed 1\n")
    assert invoke("sample", "--seed", "1", "-n", "80", "-m", "english").stdout == done.stdout


def test_what_is_called_like_it_comes_first(tmp_path: Path) -> None:
    assert model_name(find_model("english", tmp_path)) == ENGLISH
    (tmp_path / "english").mkdir()
    run = write_tiny(tmp_path / "english/model.keras")
    assert find_model("english", tmp_path) == run
    assert find_model(ENGLISH, tmp_path) == FILE


@pytest.mark.parametrize("command", ["score", "inspect", "report", "info"])
def test_other_commands_take_it_by_name_only(invoke: Command, tmp_path: Path, command: str) -> None:
    (tmp_path / "text.txt").write_text("It was a dark and stormy night.\n")
    file = ["text.txt"] if command in ("score", "inspect") else []
    named = ["--model", "english"] if file else ["english"]
    without = invoke(command, *file)
    assert b"english" not in without.stdout + without.stderr
    assert invoke(command, *file, *named).returncode == 0


@pytest.mark.parametrize("command", ["report", "page"])
def test_pages_about_it_go_into_the_folder(invoke: Command, tmp_path: Path, command: str) -> None:
    done = invoke(command, "english")
    assert done.stdout.decode() == f"{command}.html\n"
    assert (tmp_path / f"{command}.html").exists()
    assert not (FILE.parent / f"{command}.html").exists()


def chosen(text: str, folder: Path, **asked: object) -> tuple[bool, str | None]:
    """Whether a run starts from it by itself, and what it says."""
    encoded = write_ids([text], folder / "ids")
    assert encoded is not None
    request = Request(("text.txt",), root=folder, **asked)  # type: ignore[arg-type]
    start, why = choose_start(request, encoded, folder / "ids", encoded.characters // 10)
    assert start is None or [origin.name for origin in start.base.chain] == [ENGLISH]
    return start is not None, why


def test_english_starts_from_it_and_code_does_not(story: str, tmp_path: Path) -> None:
    yes, why = chosen(story, tmp_path)
    assert yes and why and why.startswith("Starting from a model: builtin:english, ")
    no, why = chosen(CODE, tmp_path)
    assert not no and why and why.startswith("Starting from nothing: builtin:english, ")


@pytest.mark.parametrize(
    "asked",
    [
        {"given": {"units": (512, 512)}},
        {"given": {"cell": "lstm"}},
        {"given": {"targets": "every"}},
        {"preset": "nietzsche"},
        {"start_from": "none"},
    ],
)
def test_who_says_how_the_network_is_starts_from_nothing(
    story: str, tmp_path: Path, asked: dict[str, object]
) -> None:
    assert chosen(story, tmp_path, **asked) == (False, None)


def test_a_damaged_one_is_a_note(
    story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that was not asked for never ends a run."""
    shutil.copy(FILE, tmp_path)
    with (tmp_path / "english.keras").open("r+b") as file:
        file.truncate(1000)
    monkeypatch.setattr(import_module("textgen.models"), "__path__", [str(tmp_path)])
    noted: list[str] = []
    with notes_to(noted.append):
        assert chosen(story, tmp_path) == (False, None)
    assert len(noted) == 1
    assert noted[0].startswith("Note: starting from nothing: ")
    assert "english.keras" in noted[0]
