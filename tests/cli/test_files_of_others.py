"""Run folders that somebody else made: links, pipes, folders and odd figures in them."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from support.commands import Command, Done
from support.small_run import STORY, make_run

import textgen
from textgen.storage.run_folder import RunDirectory

SECRET = "what nobody else may read"


def link(path: Path) -> None:
    """A link to a file outside."""
    path.symlink_to(path.parents[3 if path.parent.name == "samples" else 2] / "secret.txt")


def folder(path: Path) -> None:
    """A folder in the place of a file."""
    path.mkdir()


def unreadable(path: Path) -> None:
    """A file that only its owner, who is not this user, can read."""
    path.write_text(SECRET)
    path.chmod(0)


BAD: list[Callable[[Path], object]] = [link, folder, os.mkfifo, unreadable]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that every user of the machine can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A small run, in a folder where a secret lies."""
    (tmp_path / "secret.txt").write_text(SECRET)
    run = make_run(tmp_path, text=STORY[:4000])
    run.path.chmod(0o777)
    return run


def put(kind: Callable[[Path], object], path: Path) -> None:
    """Replace a file of a run."""
    path.unlink(missing_ok=True)
    kind(path)


def as_somebody(invoke: Command, *arguments: str) -> Done:
    """Run a command no longer as root, who reads everything; all modules are imported before."""
    if os.geteuid() != 0:
        return invoke(*arguments)
    if not all(folder.stat().st_mode & 0o001 for folder in Path(textgen.__file__).parents):
        pytest.skip("others may not read this copy of textgen")
    invoke(*arguments)
    with chdir("/"):  # somebody may not come back to where the tests run
        os.seteuid(65534)
        try:
            return invoke(*arguments)
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("name", ["log.csv", "samples/evaluation-0001.txt", "text.ids"])
def test_what_is_no_plain_file_is_left_out_of_a_report(
    run: RunDirectory, invoke: Command, name: str, kind: Callable[[Path], object]
) -> None:
    put(kind, run.path / name)
    done = as_somebody(invoke, "report", "echo") if kind is unreadable else invoke("report", "echo")
    assert done.returncode == 0
    assert done.stderr.decode().startswith(f"checkpoints/echo/{name} is left out: ")
    assert done.stderr.count(b"\n") == 1
    assert SECRET not in (run.path / "report.html").read_text()


def test_a_linked_folder_of_samples_is_left_out(
    run: RunDirectory, invoke: Command, tmp_path: Path
) -> None:
    run.samples.rename(tmp_path / "elsewhere")
    run.samples.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/evaluation-0001.txt").write_text(SECRET)
    assert b"samples is left out: it is a link" in invoke("report", "echo").stderr
    assert SECRET not in (run.path / "report.html").read_text()


@pytest.mark.parametrize("command", ["report", "page"])
@pytest.mark.parametrize("kind", [link, folder, os.mkfifo])
def test_a_page_is_not_written_through_what_is_no_plain_file(
    run: RunDirectory,
    invoke: Command,
    tmp_path: Path,
    command: str,
    kind: Callable[[Path], object],
) -> None:
    put(kind, run.path / f"{command}.html")
    done = invoke(command, "echo")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert f"Could not write checkpoints/echo/{command}.html".encode() in done.stderr
    assert (tmp_path / "secret.txt").read_text() == SECRET


@pytest.mark.parametrize("command", ["report", "page"])
@pytest.mark.parametrize("target", ["checkpoints/echo/model.keras", "secret.txt", "page of mine"])
def test_only_a_page_is_replaced_by_a_page(
    run: RunDirectory, invoke: Command, tmp_path: Path, command: str, target: str
) -> None:
    (tmp_path / "page of mine").write_text("<!doctype html><title>Mine</title>")
    before = (tmp_path / target).read_bytes()
    done = invoke(command, "echo", "-o", target)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"no page of textgen's" in done.stderr
    assert (tmp_path / target).read_bytes() == before


def test_the_report_of_a_model_file_replaces_no_other_page(
    run: RunDirectory, invoke: Command, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text("a page of mine")
    (tmp_path / "model.keras").write_bytes(run.model.read_bytes())
    assert invoke("report", "model.keras").returncode == 1
    assert (tmp_path / "report.html").read_text() == "a page of mine"


def test_a_page_replaces_the_one_before(run: RunDirectory, invoke: Command) -> None:
    for options in ((), (), ("-o", "mine.html"), ("-o", "mine.html")):
        assert invoke("report", "echo", *options).returncode == 0


def test_a_page_on_a_text_replaces_only_a_page(
    run: RunDirectory, invoke: Command, tmp_path: Path
) -> None:
    done = invoke("inspect", "secret.txt", "--html", "secret.txt")
    assert done.returncode == 1
    assert (tmp_path / "secret.txt").read_text() == SECRET


@pytest.mark.parametrize(
    "log",
    [
        "evaluation,val_loss\n1," + "9" * 200_000,
        "evaluation,val_loss\n1,1e308\n2,-1\n3,0\n",
        "evaluation,passes,val_loss,train_loss\n1,1e300,nan,inf\n",
        "a,a,a\n" * 1000,
        "",
        "\0",
    ],
    ids=["long field", "absurd figures", "no figures", "nonsense", "empty", "NUL"],
)
def test_any_log_is_no_obstacle(run: RunDirectory, invoke: Command, log: str) -> None:
    run.log.write_text(log)
    done = invoke("report", "echo")
    assert done.returncode == 0
    assert done.stderr.count(b"\n") <= 1


@pytest.mark.parametrize(
    "notes",
    [
        {"baselines": {"$x^{$": 2.0, "$\\frac{$": 3.0}},
        {"baselines": {"5-gram": 1e308, "unigram": -1.0, "uniform": 0}},
        {"baselines": {"漢字": 2.0}},
        {"train_characters": 0, "holdout_characters": 0},
        {"train_characters": 4000, "holdout_characters": 0},
        {"train_characters": -5, "holdout_characters": 4005},
        {"val_loss": 1e308, "train_loss": -1.0, "seconds": 1e308, "step": -1},
    ],
    ids=[
        "formula",
        "absurd baselines",
        "no such letters",
        "no text",
        "no hold-out",
        "negative",
        "losses",
    ],
)
@pytest.mark.parametrize("command", [("report",), ("info", "echo"), ("info",), ("page",)])
@pytest.mark.filterwarnings("error")
def test_any_figures_of_a_model_are_no_obstacle(
    tmp_path: Path, invoke: Command, command: tuple[str, ...], notes: dict
) -> None:
    make_run(tmp_path, text=STORY[:4000], **notes)
    done = invoke(*command)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_log_of_any_length_is_read_to_a_limit(run: RunDirectory, invoke: Command) -> None:
    with run.log.open("a") as log:
        log.truncate(1 << 36)
    assert invoke("report", "echo").returncode == 0


def test_a_text_of_absurd_length_is_left_out(tmp_path: Path, invoke: Command) -> None:
    run = make_run(tmp_path, text=STORY[:4000], train_characters=1 << 36)
    os.truncate(run.text, (1 << 36) + 3000)
    assert b"text.ids is left out: it is larger" in invoke("info", "echo").stderr


def test_a_run_that_cannot_be_read_does_not_hide_the_others(
    tmp_path: Path, invoke: Command
) -> None:
    """A folder, a model and a link that belong to another user."""
    make_run(tmp_path, text=STORY[:4000])
    for name in ("closed", "private"):
        make_run(tmp_path, name, text=STORY[:4000])
    (tmp_path / "checkpoints/closed").chmod(0)
    (tmp_path / "checkpoints/private/model.keras").chmod(0)
    assert as_somebody(invoke, "sample", "-n", "5").returncode == 0
    listed = as_somebody(invoke, "info").stdout.decode()
    for command in (("train", "--resume"), ("train", "--resume", "--name", "closed")):
        assert b"There is no run" in as_somebody(invoke, *command).stderr
    assert "echo" in listed
    assert "closed" not in listed
