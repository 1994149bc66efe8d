"""Prompts as people type them, through the command."""

from pathlib import Path

import pytest
from support.commands import Done, invoke_textgen
from support.small_run import make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the run `echo`."""
    root = tmp_path_factory.mktemp("prompts")
    make_run(root)
    return root


def sample(folder: Path, *arguments: str | Path, stdin: bytes = b"") -> Done:
    """`textgen sample` with seed 1."""
    return invoke_textgen("sample", "-s", "1", *arguments, cwd=folder, stdin=stdin)


def text(folder: Path, *arguments: str | Path, stdin: bytes = b"") -> str:
    """What it writes to stdout, all being well."""
    done = sample(folder, *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_typographic_characters_are_read_as_what_the_model_knows(folder: Path) -> None:
    done = sample(folder, "-n", "20", "-p", "‘Tom’ – né")  # noqa: RUF001
    assert done.stdout == text(folder, "-n", "20", "-p", "'Tom' - ne").encode()
    note = "The model does not know é – ‘ ’: read as e - ' '.\nseed 1\n"  # noqa: RUF001
    assert done.stderr.decode() == note


def test_an_escaped_line_end_stops_where_no_backslash_is_known(folder: Path) -> None:
    options = ("-n", "400")
    stopped = text(folder, *options, "--stop", r"\n")
    assert stopped == text(folder, *options, "--stop", "\n")
    assert stopped == text(folder, *options).split("\n")[0]


def test_an_empty_prompt_file_is_an_error(folder: Path) -> None:
    (folder / "draft.txt").write_text("")
    done = sample(folder, "-f", "draft.txt")
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "Error: The prompt in draft.txt is empty. Leave out -f, or write to another file than "
        "draft.txt, which > empties.\n"
    )


def test_the_newline_at_the_end_of_a_prompt_file_is_dropped(folder: Path) -> None:
    (folder / "draft.txt").write_text("Tom said\n")
    assert text(folder, "-f", "draft.txt") == text(folder, "-p", "Tom said")
