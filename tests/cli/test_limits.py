"""What takes too long, or more memory than there is, is refused in a line; any sources work."""

import os
from pathlib import Path

import pytest
from support.commands import Command
from support.small_run import STORY, make_run
from support.tiny import tiny_model, write_tiny
from support.training import request

from textgen.config import ModelConfig
from textgen.generation.prompt import MAX_PROMPT, read_prompt_file
from textgen.storage.run import MOST_SOURCES, read_run, summary, write_run
from textgen.storage.run_folder import RunDirectory
from textgen.text.vocabulary import MOST_CHARACTERS
from textgen.training.new_run import new_run
from textgen.training.plan import kept_names


def pipe_twice(folder: Path) -> tuple[str, ...]:
    """A pipe can be read once only."""
    os.mkfifo(folder / "pipe")
    return ("prepare", "pipe", "pipe")


def many_letters(folder: Path) -> tuple[str, ...]:
    """A text of nearly all characters that there are."""
    points = [*range(32, 0xD800), *range(0xE000, 0x110000)]
    (folder / "all.txt").write_text("".join(map(chr, points)))
    return ("train", "all.txt", "--normalize", "none", "--units", "8")


def many_letters_and_a_base(folder: Path) -> tuple[str, ...]:
    """As many characters as a model may know, and those that another one knows."""
    (folder / "all.txt").write_text("".join(map(chr, range(0x20000, 0x20000 + MOST_CHARACTERS))))
    return ("train", "all.txt", "--normalize", "none", "--from", "echo")


REFUSED = {
    "an endless prompt": (("sample", "-f", "/dev/zero"), 1, "longer than 16,000,000 bytes"),
    "very many samples": (
        ("sample", "--num-samples", "1000000000"),
        1,
        "num_samples must be from 1 to 100,000",
    ),
    "very many devices": (("train", "--devices", "256"), 2, "from 1 to 16"),
    "little time": (
        ("train", "--minutes", "0.3", "--units", "8192"),
        1,
        "Choose fewer --units or more --minutes",
    ),
    "an absurd rate": (("train", "--learning-rate", "1000001"), 2, "1000001"),
    "a pipe twice": (pipe_twice, 1, "The pipe pipe is given twice"),
    "very many characters": (many_letters, 1, "131,072 characters"),
    "very many with a base": (many_letters_and_a_base, 1, "echo have 131,"),
}


@pytest.mark.parametrize(("command", "status", "message"), REFUSED.values(), ids=REFUSED)
def test_what_takes_too_much_is_refused(
    tmp_path: Path, invoke: Command, command: object, status: int, message: str
) -> None:
    make_run(tmp_path, text=STORY[:4000])
    done = invoke(*(command(tmp_path) if callable(command) else command))  # type: ignore[misc]
    errors = done.stderr.decode()
    assert done.returncode == status
    assert message in errors.splitlines()[-1]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["echo"]


def test_a_model_that_knows_more_characters_than_a_new_one_is_used(
    tmp_path: Path, invoke: Command
) -> None:
    """Earlier versions trained such ones. What would take minutes is refused in a line."""
    characters = "".join(map(chr, [*range(32, 0xD800), *range(0xE000, 0x23000)]))
    assert len(characters) > MOST_CHARACTERS
    write_tiny(tmp_path / "wide.keras", tiny_model(ModelConfig(units=(1,)), characters))
    (tmp_path / "short.txt").write_text("abc" * 10)
    (tmp_path / "long.txt").write_text("abc" * 3000)
    for command in (
        ("info", "wide.keras"),
        ("sample", "--model", "wide.keras", "--length", "3", "--prompt", "a"),
        ("score", "short.txt", "--model", "wide.keras"),
        ("report", "wide.keras"),
    ):
        done = invoke(*command)
        assert done.returncode == 0, done.stderr
    done = invoke("score", "long.txt", "--model", "wide.keras")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"measures texts of at most" in done.stderr


def test_a_prompt_of_the_greatest_length_is_read(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("x" * MAX_PROMPT)
    assert read_prompt_file(str(tmp_path / "long.txt")) == "x" * MAX_PROMPT


def test_a_pipe_is_read_once_for_several_models(tmp_path: Path, invoke: Command) -> None:
    make_run(tmp_path, text=STORY[:4000])
    os.mkfifo(tmp_path / "pipe")
    if os.fork() == 0:
        (tmp_path / "pipe").write_text(STORY[:100])
        os._exit(0)
    done = invoke("score", "pipe", "-m", "echo", "-m", "echo", "--json")
    os.wait()
    assert done.returncode == 0
    assert done.stdout.count(b'"characters": 99') == 2
    assert done.stdout.count(b'"file": "pipe"') == 2


# Very many sources


@pytest.mark.parametrize("count", [1001, MOST_SOURCES + 5])
def test_any_number_of_sources_is_kept_in_a_run(tmp_path: Path, count: int) -> None:
    asked = request(tmp_path / "runs", "x", STORY[:4000])
    with new_run(asked) as (directory, planned):
        run = planned.run
        many = kept_names([f"{'long name ' * 20}{number}.txt" for number in range(count)])
        write_run(directory.settings, type(run)(**{**vars(run), "corpus": many}))
        again = read_run(directory.settings)
    assert again.corpus == many
    assert len(again.corpus) <= MOST_SOURCES
    assert (again.corpus[-1] == "6 more") == (count > MOST_SOURCES)
    assert len(summary(again.corpus)) < 10_000


def test_few_sources_are_all_named() -> None:
    assert summary(["a", "b"]) == "a + b"
    assert summary(list("abc"), most=2) == "a + b and 1 more"


def test_a_source_need_not_have_a_name_in_utf_8(tmp_path: Path) -> None:
    source = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    with open(source, "wb") as file:  # noqa: PTH123
        file.write(STORY[:4000].encode())
    asked = request(tmp_path / "runs", "x", None)
    asked = type(asked)(**{**vars(asked), "sources": (os.fsdecode(source),), "resume": False})
    with new_run(asked) as (directory, _):
        assert read_run(RunDirectory(directory.path).settings).corpus == ("caf\ufffd.txt",)
