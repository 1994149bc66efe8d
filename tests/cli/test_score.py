"""`textgen score`: figures, tables, pipes and refusals."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import Done, invoke_textgen
from support.small_run import HOLDOUT, STORY, TEXT, make_run

from textgen.config import Cleaning, ModelConfig

LAST = ModelConfig(cell="gru", units=(10,), seq_length=40, targets="last")


def textgen(folder: Path, *arguments: str, stdin: bytes = b"") -> Done:
    """Run the command in a folder."""
    return invoke_textgen(*arguments, cwd=folder, stdin=stdin)


def scores(folder: Path, *arguments: str, stdin: bytes = b"") -> list[dict]:
    """The objects that `textgen score --json` prints."""
    result = textgen(folder, "score", "--json", *arguments, stdin=stdin)
    assert result.returncode == 0, result.stderr.decode()
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with three runs and some texts, made once."""
    folder = tmp_path_factory.mktemp("score")
    make_run(folder, "two", seed=3)
    make_run(folder, "window", config=LAST)
    make_run(folder, "echo")
    (folder / "holdout.txt").write_text(TEXT[-HOLDOUT:])
    (folder / "later.txt").write_text(STORY[13_000:15_000])
    return folder


@pytest.mark.parametrize("name", ["echo", "window"])
def test_a_hold_out_costs_what_the_model_file_says(folder: Path, name: str) -> None:
    reported = json.loads(textgen(folder, "info", name, "--json").stdout)["val_loss"]
    (entry,) = scores(folder, "-m", name, "holdout.txt")
    assert entry["bpc"] * math.log(2) == pytest.approx(reported, abs=1e-4)
    assert entry["characters"] == HOLDOUT - (1 if name == "echo" else 40)


def test_the_newest_run_is_the_default(folder: Path) -> None:
    (entry,) = scores(folder, "later.txt")
    assert list(entry) == ["file", "model", "characters", "unknown", "bpc"]
    assert (entry["file"], entry["model"]) == ("later.txt", "echo")


def test_several_models_stand_side_by_side_with_the_best_marked(folder: Path) -> None:
    """The best one is the only one that knows a character."""
    make_run(folder, "accents", TEXT + "é" * 9, seed=4)
    (folder / "accents.txt").write_text("The écho. " * 100)
    many = ("-m", "echo", "-m", "two", "-m", "accents")
    result = textgen(folder, "score", *many, "accents.txt")
    heading, row = result.stdout.decode().splitlines()
    assert heading.split() == ["characters", "unknown", "echo", "two", "accents", "file"]
    assert [figure[-1] == "*" for figure in row.split()[2:5]] == [False, False, True]
    assert row.endswith("accents.txt")
    assert b"too close" not in result.stderr


def test_equally_good_models_are_too_close_to_call(folder: Path) -> None:
    many = ("-m", "echo", "-m", "checkpoints/echo")
    result = textgen(folder, "score", *many, "later.txt")
    row = result.stdout.decode().splitlines()[1]
    assert [figure[-1] for figure in row.split()[2:4]] == ["~", "~"]
    message = "later.txt is too close to call between echo and checkpoints/echo.\n"
    assert result.stderr.decode().startswith(message)
    assert [entry["best"] for entry in scores(folder, *many, "later.txt")] == [None, None]


def test_the_error_of_the_difference_is_in_the_json(folder: Path) -> None:
    entries = scores(folder, "-m", "echo", "-m", "two", "later.txt", "holdout.txt")
    assert list(entries[0]) == ["file", "model", "characters", "unknown", "bpc", "error", "best"]
    for one, other in (entries[:2], entries[2:]):
        assert one["error"] == other["error"] > 0
        close = abs(one["bpc"] - other["bpc"]) < 3 * one["error"]
        lower = min(one, other, key=lambda entry: entry["bpc"])
        assert lower["best"] is (None if close else True)
    (short,) = scores(folder, "-m", "echo", "later.txt")
    assert "error" not in short


def test_stdin_is_read_once_for_all_models(folder: Path) -> None:
    text = STORY[13_000:15_000].encode()
    piped = scores(folder, "-m", "echo", "-m", "window", "-", stdin=text)
    filed = scores(folder, "-m", "echo", "-m", "window", "later.txt")
    assert [entry["bpc"] for entry in piped] == [entry["bpc"] for entry in filed]
    assert {entry["file"] for entry in piped} == {"-"}


def test_lines_are_measured_in_their_place(folder: Path) -> None:
    lines = scores(folder, "-m", "echo", "-m", "two", "--lines", "later.txt")
    whole = scores(folder, "-m", "echo", "later.txt")[0]
    mine = [entry for entry in lines if entry["model"] == "echo"]
    text = (folder / "later.txt").read_text()
    assert [entry["line"] for entry in mine] == list(range(1, len(text.splitlines()) + 1))
    total = sum(entry["bpc"] * entry["characters"] for entry in mine)
    assert total / whole["characters"] == pytest.approx(whole["bpc"])
    shown = textgen(folder, "score", "--lines", "later.txt").stdout.decode()
    assert shown.startswith("==> later.txt <==\n")
    assert text.splitlines()[1][:60] in shown


def test_unknown_characters_are_counted_and_reported(folder: Path) -> None:
    text = "The echo ☃☃ ran.".encode()
    (entry,) = scores(folder, "-", stdin=text)
    assert (entry["characters"], entry["unknown"]) == (15, 2)
    result = textgen(folder, "score", "-", stdin=text)
    assert b"does not know 2 of the characters" in result.stderr


def test_a_text_too_short_to_count(folder: Path) -> None:
    (entry,) = scores(folder, "-m", "window", "-", stdin=b"The echo")
    assert (entry["characters"], entry["bpc"]) == (0, None)
    result = textgen(folder, "score", "-m", "window", "-", stdin=b"The echo")
    assert b"does not count the first 40 characters" in result.stderr
    assert result.stdout.split()[-2:] == [b"-", b"-"]


def test_the_text_is_cleaned_as_the_model_wants_it(tmp_path: Path) -> None:
    make_run(tmp_path, "plain")
    make_run(tmp_path, "lower", TEXT.lower(), cleaning=Cleaning(lowercase=True))
    (tmp_path / "later.txt").write_text(STORY[13_000:15_000])
    entries = [
        scores(tmp_path, "-m", "lower", "-", stdin=text.encode())[0]
        for text in (STORY[13_000:14_000], STORY[13_000:14_000].lower())
    ]
    assert entries[0] == entries[1]
    result = textgen(tmp_path, "score", "-m", "lower", "-m", "plain", "later.txt")
    assert b"comparison is only rough" in result.stderr


def test_a_model_of_tokenized_text_has_no_lines(tmp_path: Path) -> None:
    make_run(tmp_path, "tokens", cleaning=Cleaning(tokenize=True))
    result = textgen(tmp_path, "score", "--lines", "-", stdin=b"The echo\nran\n")
    assert result.returncode == 1
    assert b"Leave out --lines" in result.stderr


def test_copying_is_shown_with_its_place(folder: Path) -> None:
    text = "\n" + TEXT[1500:1560] + "\n"
    result = textgen(folder, "score", "-m", "echo", "--copying", "-", stdin=text.encode())
    line = TEXT[:1500].count("\n") + 1
    shown = result.stdout.decode()
    assert f"characters, at line {line} there" in shown
    assert "of its 20-grams" in shown
    (entry,) = scores(folder, "-m", "echo", "--copying", "-", stdin=text.encode())
    assert entry["copying"]["longest"] >= 60
    assert TEXT[1500:1560] in entry["copying"]["text"]
    assert entry["copying"]["shares"]["40"] > 0.3


def test_the_hold_out_is_not_training_text(folder: Path) -> None:
    (entry,) = scores(folder, "-m", "echo", "--copying", "holdout.txt")
    assert entry["copying"]["shares"]["40"] < 0.5


def test_copying_needs_the_training_text(folder: Path, tmp_path: Path) -> None:
    model = (folder / "checkpoints" / "echo" / "model.keras").read_bytes()
    (tmp_path / "moved.keras").write_bytes(model)
    (tmp_path / "corpus.txt").write_text(TEXT[:-HOLDOUT])
    arguments = ("-m", "moved.keras", "--copying", "corpus.txt")
    refused = textgen(tmp_path, "score", *arguments)
    assert refused.returncode == 1
    assert b"Give it with --corpus" in refused.stderr
    (entry,) = scores(tmp_path, *arguments, "--corpus", "corpus.txt")
    assert entry["copying"]["longest"] == len(TEXT) - HOLDOUT


def test_control_characters_do_not_reach_the_terminal(folder: Path) -> None:
    result = textgen(folder, "score", "--lines", "-", stdin=b"The \x1b[31mecho\nran\n")
    assert result.returncode == 0
    assert b"\x1b" not in result.stdout


def test_head_ends_it_quietly(folder: Path) -> None:
    command = f"{sys.executable} -m textgen score --lines builtin:runaway-echo | head -n 2"
    command += "; echo ${PIPESTATUS[0]}"
    result = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, check=False)
    assert result.stdout.splitlines()[2:] == [b"141"]
    assert result.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to try")
@pytest.mark.parametrize("command", ["score", "inspect", "info"])
def test_a_full_disk_is_one_line(folder: Path, command: str) -> None:
    argument = "echo" if command == "info" else "later.txt"
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "textgen", command, argument],
            cwd=folder,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr.startswith(b"Error: Could not write to stdout")
    assert result.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("nowhere.txt",), 1, b"nowhere.txt"),
        (("-m", "nobody", "later.txt"), 1, b"nobody"),
        (("--lines", "--copying", "later.txt"), 2, b"leave out --lines"),
        (("--corpus", "later.txt", "later.txt"), 2, b"--corpus needs --copying"),
        ((), 2, b"Missing argument"),
    ],
)
def test_mistakes_are_named(
    folder: Path, arguments: tuple[str, ...], status: int, message: bytes
) -> None:
    result = textgen(folder, "score", *arguments)
    assert result.returncode == status
    assert message in result.stderr
    assert b"Traceback" not in result.stderr


def test_score_loads_no_machine_learning_library(folder: Path) -> None:
    code = (
        "import sys\nfrom textgen.cli import main\n"
        "main(['score', '--copying', 'later.txt'], standalone_mode=False)\n"
        "bad = {'tensorflow', 'keras', 'h5py', 'matplotlib', 'jinja2', 'nltk'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)


def test_a_hold_out_costs_what_training_reported(trained: Path) -> None:
    """The network was trained and evaluated by TensorFlow."""
    facts = json.loads(textgen(trained, "info", "echo", "--json").stdout)
    vocabulary = facts["characters"]
    ids = (trained / "checkpoints" / "echo" / "text.ids").read_bytes()
    holdout = ids[facts["provenance"]["train_characters"] :]
    text = "".join(vocabulary[number] for number in holdout)
    (entry,) = scores(trained, "-m", "echo", "-", stdin=text.encode())
    assert entry["bpc"] * math.log(2) == pytest.approx(facts["val_loss"], abs=1e-4)
