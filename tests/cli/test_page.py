"""`textgen page`: where the page goes, and what is refused."""

import os
import time
from pathlib import Path

import pytest
from support.commands import invoke_textgen
from support.small_run import make_run

from textgen.pages import writing_page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with one run."""
    folder = tmp_path_factory.mktemp("page")
    make_run(folder)
    return folder


def test_the_page_lies_beside_the_model_and_its_path_is_printed(folder: Path) -> None:
    result = invoke_textgen("page", cwd=folder)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout == b"checkpoints/echo/page.html\n"
    page = (folder / "checkpoints" / "echo" / "page.html").read_text("utf-8")
    assert "<title>echo: a model that writes</title>" in page


def test_a_page_of_a_model_file_goes_where_it_is_wanted(folder: Path, tmp_path: Path) -> None:
    model = folder / "checkpoints" / "echo" / "model.keras"
    result = invoke_textgen("page", model, "-o", tmp_path / "mine.html", cwd=tmp_path)
    assert result.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.html"]


def test_open_shows_the_page_in_a_browser(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a program in the place of the one that opens browsers."""
    opener, opened = tmp_path / "xdg-open", tmp_path / "opened"
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part\nmv {opened}.part {opened}\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    result = invoke_textgen("page", "--open", cwd=folder)
    assert (result.returncode, result.stderr) == (0, b"")
    while not opened.exists():
        time.sleep(0.01)
    assert opened.read_text() == str(folder / "checkpoints" / "echo" / "page.html")


def test_a_browser_that_does_not_open_is_a_note(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("BROWSER", "no-such-browser")
    result = invoke_textgen("page", "--open", cwd=folder)
    assert result.returncode == 0
    assert b"Could not open a browser. Open checkpoints/echo/page.html yourself." in result.stderr


def test_sample_says_that_there_are_pages(folder: Path) -> None:
    result = invoke_textgen("sample", "--help", cwd=folder)
    assert "make a page with `textgen page MODEL`." in " ".join(result.stdout.decode().split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("echo", "-o", "no/such/folder/page.html"), "Could not write no/such/folder/page.html"),
        (("echo", "-o", "checkpoints/echo/model.keras"), "no page of textgen's"),
        (("ech",), "Did you mean echo?"),
        (("damaged.keras",), "is not a usable model"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    (folder / "damaged.keras").write_bytes(b"PK\x03\x04 damaged")
    before = (folder / "checkpoints" / "echo" / "model.keras").read_bytes()
    result = invoke_textgen("page", *arguments, cwd=folder)
    error = result.stderr.decode()
    assert result.returncode == 1
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert message in error
    assert (folder / "checkpoints" / "echo" / "model.keras").read_bytes() == before


def test_a_page_that_is_too_large_is_written_by_force_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing_page, "MAX_BYTES", 1000)
    result = invoke_textgen("page", "-o", "large.html", cwd=folder)
    assert result.returncode == 1
    assert b"Use --force" in result.stderr
    assert not (folder / "large.html").exists()
    assert invoke_textgen("page", "-o", "large.html", "--force", cwd=folder).returncode == 0
    assert (folder / "large.html").is_file()
