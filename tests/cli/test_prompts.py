"""Prompts as people type them, through the command."""

import json
from contextlib import chdir
from itertools import chain
from pathlib import Path

import pytest
from support.commands import Done, invoke_textgen
from support.small_run import make_run

import textgen
from textgen.config import ModelConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the runs `last` (targets last) and, newer, `echo`."""
    root = tmp_path_factory.mktemp("prompts")
    make_run(root, "last", config=ModelConfig(units=(12, 8), seq_length=20, targets="last"))
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


def test_until_ends_with_the_unit_and_keeps_its_mark(folder: Path) -> None:
    whole = text(folder, "-p", "Tom", "-n", "300", "--no-echo")
    end = whole.index("\n", len(whole) - len(whole.lstrip())) + 1
    assert text(folder, "-p", "Tom", "--no-echo", "--until", "line") == whole[:end]
    line = json.loads(text(folder, "-p", "Tom", "--until", "line", "--json", "-n", "-1"))
    assert (line["text"], line["stopped_by"]) == (whole[:end], "until")
    with chdir(folder):
        assert textgen.load("echo").generate(prompt="Tom", until="line", seed=1) == whole[:end]
        with pytest.raises(textgen.TextgenError, match="until must be one of sentence, line"):
            textgen.load("echo").generate(until="word")


def test_without_a_prompt_and_a_length_a_text_has_whole_words(folder: Path) -> None:
    longer, made = text(folder, "-n", "700", "-s", "3"), text(folder, "-s", "3")
    begin = longer.index(made)
    assert longer[begin - 1].isspace()
    assert longer[begin + len(made)].isspace()
    assert 500 <= len(made) <= 530
    with chdir(folder):
        assert textgen.load("echo").generate(seed=3) == made


# Many prompts


ANSWERED = ("The goat", "Tom", "A", "So it was on a hill that nobody had a name for", "Tom")


@pytest.mark.parametrize("model", ["echo", "last"])
def test_each_answer_is_what_the_single_command_writes(folder: Path, model: str) -> None:
    (folder / "prompts.txt").write_text("\n".join(ANSWERED) + "\n\n")
    options = ("-m", model, "-n", "60", "-t", "0.7,1", "--num-samples", "2")
    made = text(folder, *options, "--prompts", "prompts.txt", "--json").splitlines()
    alone = [text(folder, *options, "-p", prompt, "--json").splitlines() for prompt in ANSWERED]
    found, expected = map(json.loads, made), map(json.loads, chain.from_iterable(alone))
    for answer, line in zip(found, expected, strict=True):
        assert answer.pop("bpc") == pytest.approx(line.pop("bpc"))
        assert answer == line


def test_answers_are_texts_between_separators(folder: Path) -> None:
    made = text(folder, "--prompts", "-", "-n", "20", stdin=b"Tom\r\nThe goat\n")
    assert made.split("\n---\n") == [
        text(folder, "-p", prompt, "-n", "20") for prompt in ("Tom", "The goat")
    ]


def test_json_lines_have_options_of_their_own(folder: Path) -> None:
    lines = (
        '{"prompt": "Tom", "temperature": 0.3, "length": 90, "seed": 7}\n'
        '{"prompt": "The goat\\nran", "length": 5}\n\n'
        '{"prompt": "", "temperature": 0, "seed": 8}\n'
    )
    made = text(folder, "--prompts", "-", "-n", "30", "--no-echo", stdin=lines.encode())
    options = (
        ("-p", "Tom", "-t", "0.3", "-n", "90", "-s", "7"),
        ("-p", "The goat\nran", "-n", "5"),
        ("-t", "0", "-n", "30", "-s", "8"),
    )
    assert made.split("\n---\n") == [text(folder, *some, "--no-echo") for some in options]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "stdin has no prompts"),
        (" \n\n", "stdin has no prompts"),
        ("Tom\n\n\u2603\n", "Line 3 of the prompts: The model does not know the character"),
        ('{"prompt": "Tom"}\nTom\n', "Line 2 of stdin is not a JSON object"),
        ('{"seed": 1}', 'Line 1 of stdin has no "prompt"'),
        ('{"prompt": 1}', "prompt must be a text, not 1 (line 1 of stdin)"),
        ('{"prompt": "a", "temp": 1}', "Line 1 of stdin has 'temp', which is not one of prompt,"),
        ('{"prompt": "a", "length": 0}', "length must be a whole number of at least 1, not 0"),
        ('{"prompt": "a", "length": true}', "length must be a whole number of at least 1"),
        ('{"prompt": "a", "temperature": NaN}', "temperature must be a number of at least 0"),
        ('{"prompt": "a", "seed": -1}', "seed must be a whole number of at least 0, not -1"),
    ],
)
def test_bad_prompts_are_one_line(folder: Path, lines: str, message: str) -> None:
    done = sample(folder, "--prompts", "-", stdin=lines.encode())
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert message in done.stderr.decode()


def test_a_brace_alone_makes_no_json(folder: Path) -> None:
    (line,) = text(folder, "--prompts", "-", "-n", "1", stdin=b"So (be it").splitlines()
    assert line.startswith("So (be it")
    done = sample(folder, "--prompts", "-", stdin=b"{Enter Tom}\n")
    assert "U+007B" in done.stderr.decode()


def test_a_note_on_many_prompts_is_shown_once(folder: Path) -> None:
    done = sample(folder, "--prompts", "-", "-n", "2", stdin="Tom’s\nit’s\n".encode())  # noqa: RUF001
    assert done.stderr.count(b"The model does not know") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "Tom", "-p", "The"], "-p is given twice. For many prompts: --prompts FILE"),
        (["-p", "Tom", "--prompts", "-"], "Give either --prompts, or one prompt"),
        (["-f", "-", "--prompts", "-"], "Give either --prompts, or one prompt"),
        (["--until", "word"], "'word' is not one of"),
    ],
)
def test_usage(folder: Path, arguments: list[str], message: str) -> None:
    done = sample(folder, *arguments)
    assert done.returncode == 2
    assert message in done.stderr.decode()
