"""`textgen sample`: its text, its pipes, its defaults and its refusals."""

import json
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from support.commands import Done, invoke_textgen, run_textgen
from support.small_run import STORY, TEXT, make_run

from textgen.cli.pipe import TextPipe
from textgen.cli.sample import sample
from textgen.config import ModelConfig

TEXTGEN = [sys.executable, "-m", "textgen"]
SHELL = f"alias textgen={shlex.quote(shlex.join(TEXTGEN))}\nshopt -s expand_aliases\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the runs `last` (targets last) and, newer, `echo`."""
    root = tmp_path_factory.mktemp("samples")
    last = make_run(
        root, "last", config=ModelConfig(units=(12, 8), seq_length=20, targets="last")
    ).model
    os.utime(last, (1, 1))
    make_run(root)
    return root


def run(folder: Path, *arguments: str | Path, stdin: bytes = b"", **environment: str) -> Done:
    """`textgen sample` with these arguments."""
    return invoke_textgen("sample", *arguments, cwd=folder, stdin=stdin, **environment)


def text(folder: Path, *arguments: str | Path, stdin: bytes = b"") -> str:
    """What it writes to stdout, all being well."""
    done = run(folder, *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def shell(folder: Path, script: str) -> Done:
    """A bash script that can call `textgen`."""
    return subprocess.run(
        ["bash", "-c", SHELL + script], cwd=folder, capture_output=True, timeout=60, check=False
    )


# What is written


def test_a_text_continues_the_prompt_and_the_seed_makes_it_again(folder: Path) -> None:
    options = ("-p", "Tom ", "-n", "80", "-s", "5")
    made = text(folder, *options)

    assert made.startswith("Tom ")
    assert len(made) == 84
    assert set(made) <= set(TEXT)
    assert text(folder, *options) == made
    assert text(folder, *options[:-1], "6") != made


def test_the_seed_is_told_and_makes_any_output_again(folder: Path) -> None:
    done = run(folder, "-n", "50")
    seed = done.stderr.decode().removeprefix("seed ").strip()
    assert seed.isdecimal()
    assert run(folder, "-n", "50", "-s", seed).stdout == done.stdout


def test_the_defaults_are_the_models(folder: Path) -> None:
    made = text(folder, "-p", "Tom", "-s", "1")
    assert len(made) == 3 + 500
    assert made == text(folder, "-m", "echo", "-t", "0.8", "-n", "500", "-s", "1", "-p", "Tom")


def test_a_model_is_a_name_a_run_or_a_file(folder: Path) -> None:
    path = Path("checkpoints") / "last"
    made = {
        text(folder, "-m", model, "-n", "300", "-s", "1")
        for model in ("last", path, path / "model.keras", folder / path)
    }
    assert len(made) == 1
    assert made != {text(folder, "-n", "300", "-s", "1")}


def test_the_default_prompt_is_read_and_never_written(folder: Path) -> None:
    prompt = TEXT[:-3000][-20:]
    assert text(folder, "-p", prompt, "--no-echo", "-n", "40", "-s", "1") == text(
        folder, "-n", "40", "-s", "1"
    )


def test_targets_last_read_the_default_prompts_tail_before_a_short_prompt(folder: Path) -> None:
    options = ("-m", "last", "-n", "40", "-s", "1")
    whole = (TEXT[:-3000] + "Tom ")[-20:]
    short = text(folder, *options, "-p", "Tom ")
    assert short[4:] == text(folder, *options, "-p", whole, "--no-echo")


def test_greedy_needs_no_luck(folder: Path) -> None:
    assert text(folder, "-t", "0", "-n", "60", "-s", "1") == text(
        folder, "-t", "0", "-n", "60", "-s", "2"
    )
    assert text(folder, "-k", "1", "-n", "60", "-s", "3") == text(folder, "-t", "0", "-n", "60")


def test_several_temperatures_have_a_heading_each_on_stderr(folder: Path) -> None:
    done = run(folder, "-t", "0.2,1", "-n", "30", "-s", "4", "-p", "a")
    blocks = done.stdout.decode().split("\n---\n")

    assert done.stderr.decode().splitlines() == ["seed 4", "temperature 0.2", "temperature 1"]
    for block, temperature in zip(blocks, ("0.2", "1"), strict=True):
        assert block == text(folder, "-t", temperature, "-n", "30", "-s", "4", "-p", "a")


def test_samples_differ_and_stand_between_separators(folder: Path) -> None:
    made = text(folder, "-n", "30", "-s", "4", "--num-samples", "3", "--separator", "<>")
    parts = made.split("<>")
    assert len(set(parts)) == 3
    assert parts[0] == text(folder, "-n", "30", "-s", "4")


def test_a_stop_text_ends_the_text_and_is_not_written(folder: Path) -> None:
    whole = text(folder, "-n", "300", "-s", "2")
    stop = whole[200:204]
    made = text(folder, "-n", "-1", "-s", "2", "--stop", "@@@", "--stop", stop)
    assert made == whole[: whole.index(stop)]


def test_filters_narrow_the_choice(folder: Path) -> None:
    free = text(folder, "-n", "400", "-s", "1")
    for option in (["-k", "3"], ["--top-p", "0.05"], ["--min-p", "0.9"]):
        assert len(set(text(folder, "-n", "400", "-s", "1", *option))) < len(set(free))


def test_json_lines(folder: Path) -> None:
    options = ("-n", "90", "-s", "7", "-p", "Tom", "-t", "0.5,1", "--num-samples", "2")
    lines = text(folder, *options, "--stop", "z", "--json").splitlines()
    plain = text(folder, *options, "--stop", "z", "--no-echo").split("\n---\n")

    for number, (line, written) in enumerate(zip(map(json.loads, lines), plain, strict=True)):
        bpc = line.pop("bpc")
        assert line == {
            "text": written,
            "prompt": "Tom",
            "seed": 7,
            "index": number % 2,
            "temperature": (0.5, 1.0)[number // 2],
            "stopped_by": "length" if len(written) == 90 else "stop",
        }
        assert 0 < bpc < 12


def test_an_empty_text_has_no_bpc(folder: Path) -> None:
    first = text(folder, "-n", "1", "-t", "0")
    line = json.loads(text(folder, "-t", "0", "--stop", first, "--json"))
    assert (line["text"], line["bpc"], line["stopped_by"]) == ("", None, "stop")


def test_text_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    make_run(tmp_path, text=TEXT.replace("e", "é").replace("a", "🙂"))
    options = ("-p", "Tom é🙂", "-n", "200", "-s", "1", "--separator", "§", "--num-samples", "2")
    done = run_textgen(
        "sample", *options, cwd=tmp_path, LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii"
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == text(tmp_path, *options)
    assert "é" in done.stdout.decode()[7:]
    assert b"\x1b" not in done.stdout + done.stderr


# Copying


def test_max_copy_uses_the_runs_text(folder: Path) -> None:
    options = ("-n", "2000", "-s", "1")
    assert any(free in TEXT for free in trigrams(text(folder, *options)))
    kept = text(folder, *options, "--max-copy", "2")
    assert not any(copied in TEXT for copied in trigrams(kept))


def test_max_copy_of_a_model_alone_needs_the_corpus(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "checkpoints/echo/model.keras", tmp_path / "alone.keras")
    (tmp_path / "corpus.txt").write_text(TEXT, "utf-8")
    options = ("-m", "alone.keras", "-n", "400", "-s", "1", "--max-copy", "2")

    refused = run(tmp_path, *options)
    assert refused.returncode == 1
    assert refused.stderr.decode().startswith("Error: --max-copy needs the training text")
    assert refused.stderr.count(b"\n") == 1
    assert text(tmp_path, *options, "--corpus", "corpus.txt") == text(
        folder, "-m", "echo", *options[2:]
    )


def trigrams(made: str) -> list[str]:
    return [made[k : k + 3] for k in range(len(made) - 2)]


# Pipes and terminals


def test_head_ends_an_endless_text_silently(folder: Path) -> None:
    done = shell(folder, 'textgen sample -n -1 -s 1 | head -c 100; echo "${PIPESTATUS[0]}" >status')
    assert len(done.stdout) == 100
    assert done.stderr == b"seed 1\n"
    assert (folder / "status").read_text() == "141\n"


def test_a_reader_that_never_reads(folder: Path) -> None:
    done = shell(folder, "textgen sample -n 100000 -s 1 | true")
    assert done.stderr in (b"seed 1\n", b"")


def test_ctrl_c_keeps_the_partial_text(folder: Path) -> None:
    with subprocess.Popen(
        [*TEXTGEN, "sample", "-n", "-1", "-s", "1"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout and process.stderr
        begun = process.stdout.read(300)
        process.send_signal(signal.SIGINT)
        whole = begun + process.stdout.read()
        assert process.stderr.read() == b"seed 1\n"
        assert process.wait(30) == 130
    assert whole.decode() == text(folder, "-n", str(len(whole.decode())), "-s", "1")


def test_the_prompt_comes_from_stdin_when_asked(folder: Path) -> None:
    made = text(folder, "-f", "-", "-n", "20", "-s", "1", stdin=b"Tom said\n\n")
    assert made == text(folder, "-p", "Tom said\n", "-n", "20", "-s", "1")


def test_nothing_is_read_from_stdin_unasked(folder: Path) -> None:
    script = (
        "printf 'Tom\\nThe\\nand\\n' |"
        ' while read -r word; do textgen sample -p "$word" -n 5 -s 1 --stop "~"; echo "|"; done'
    )
    parts = shell(folder, script).stdout.decode().split("|\n")
    assert [part[:3] for part in parts] == ["Tom", "The", "and", ""]


def test_a_full_disk_is_one_line(folder: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    done = shell(folder, "textgen sample -n 50 -s 1 >/dev/full; echo $?")
    assert done.stdout == b"1\n"
    error = done.stderr.decode()
    assert error == "seed 1\nError: Could not write to stdout: No space left on device.\n"


def test_a_closed_stdout_is_one_line(folder: Path) -> None:
    done = shell(folder, "textgen sample -n 50 -s 1 >&-")
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1].startswith("Error: stdout is closed.")


def on_terminal(folder: Path, *arguments: str) -> bytes:
    """What arrives at a terminal that is the command's stdout."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*TEXTGEN, "sample", *arguments], cwd=folder, stdout=theirs, stderr=subprocess.DEVNULL
    ) as process:
        os.close(theirs)
        arrived = b""
        try:
            while piece := os.read(ours, 4096):
                arrived += piece
        except OSError:  # Linux reports the other end's close so
            pass
        assert process.wait(30) == 0
    os.close(ours)
    return arrived.replace(b"\r\n", b"\n")


def test_only_a_terminal_gets_a_final_newline(folder: Path) -> None:
    options = ("-p", "Tom", "-n", "20", "-s", "1", "-t", "0.3,1")
    piped = run(folder, *options).stdout
    assert not piped.endswith(b"\n")
    assert on_terminal(folder, *options) == piped + b"\n"


MOST_WAITING = 0.05  # seconds that a character may wait for others


def test_a_slow_step_does_not_hold_text_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        pipe = TextPipe()
        for character in "slow":
            time.sleep(MOST_WAITING)
            pipe.write(character)
            assert select.select([ours], [], [], 0)[0]
            assert os.read(ours, 10) == character.encode()
    os.close(ours)


def test_waiting_text_goes_out_though_no_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        pipe = TextPipe()
        pipe.write("held?")
        time.sleep(MOST_WAITING)
        pipe.write("")
        assert os.read(ours, 10) == b"held?"
    os.close(ours)


# The process


def test_nothing_heavy_is_imported(folder: Path) -> None:
    script = (
        "import sys; from textgen.cli import main\n"
        "main(['sample', '-n', '5', '--max-copy', '9'], standalone_mode=False)\n"
        "heavy = {'tensorflow', 'keras', 'nltk', 'pooch', 'h5py', 'scipy', 'tqdm'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_memory_does_not_grow_with_the_text(folder: Path) -> None:
    def peak(length: int) -> int:
        script = (
            "import sys; from support.peak_memory import peak_kilobytes\n"
            "from textgen.cli import main\n"
            f"main(['sample', '-n', '{length}', '-s', '1'], standalone_mode=False)\n"
            "print(peak_kilobytes(), file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=folder, capture_output=True, timeout=60, check=True
        )
        assert len(done.stdout.decode()) == length
        return int(done.stderr.split()[-1])

    # In kilobytes; the longer text alone has 60, and kept as characters 600 and more.
    assert peak(60_000) - peak(1_000) < 400


def parsed(*arguments: str) -> dict[str, object]:
    """The options as the command receives them."""
    return sample.make_context(
        "sample", list(arguments), auto_envvar_prefix="TEXTGEN_SAMPLE"
    ).params


def test_every_option_has_a_default_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {
        "model": ("echo", ("echo",)),
        "prompt": ("Tom said", "Tom said"),
        "prompt_file": ("p.txt", "p.txt"),
        "prompts": ("all.txt", "all.txt"),
        "length": ("-1", -1),
        "items": ("7", 7),
        "new": ("1", True),
        "temperature": ("0.2,1", (0.2, 1.0)),
        "seed": ("9", 9),
        "echo": ("0", False),
        "on_unknown": ("skip", "skip"),
        "top_k": ("4", 4),
        "top_p": ("0.5", 0.5),
        "min_p": ("0.25", 0.25),
        "num_samples": ("3", 3),
        "separator": ("==", "=="),
        "stop": ("END STOP", ("END", "STOP")),
        "until": ("line", "line"),
        "max_copy": ("30", 30),
        "corpus": ("c.txt", "c.txt"),
        "json": ("1", True),
    }
    assert set(wanted) == {
        option.name for option in sample.params if isinstance(option, click.Option)
    } - {"help"}
    for name, (value, _) in wanted.items():
        monkeypatch.setenv(f"TEXTGEN_SAMPLE_{name.upper()}", value)

    assert parsed() == {name: value for name, (_, value) in wanted.items()} | {"words": ()}
    assert parsed("-t", "0.7", "-k", "1")["temperature"] == (0.7,)
    assert parsed("-t", "0.7", "-k", "1")["top_k"] == 1


def test_the_environment_reaches_the_command(folder: Path) -> None:
    done = run(folder, "-n", "9", TEXTGEN_SAMPLE_TEMPERATURE="0,0.5", TEXTGEN_SAMPLE_JSON="true")
    assert [json.loads(line)["temperature"] for line in done.stdout.splitlines()] == [0, 0.5]


def test_runs_complete_by_name(folder: Path) -> None:
    def completed(words: str) -> list[str]:
        return subprocess.run(
            TEXTGEN,
            cwd=folder,
            env=os.environ
            | {
                "_TEXTGEN_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split(" ")) - 1),
            },
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
        ).stdout.splitlines()

    assert completed("textgen sample -m ") == ["plain,echo", "plain,last"]
    assert completed("textgen sample -m l") == ["plain,last"]
    assert completed("textgen sample -m x") == ["file,x"]


# Bad input


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-t", "-0.1"], 2, "'-0.1' is not at least 0"),
        (["-t", "0.5,nan"], 2, "'0.5,nan' is not at least 0 and finite"),
        (["-t", "inf"], 2, "finite"),
        (["-t", "warm"], 2, "'warm' is not a number"),
        (["-n", "0"], 2, "0 is neither at least 1 nor -1"),
        (["-n", "-2"], 2, "-2 is neither"),
        (["-n", "many"], 2, "'many' is not a whole number"),
        (["-s", "-1"], 2, "-1 is not in the range"),
        (["-k", "-1"], 2, "-1 is not in the range"),
        (["--top-p", "1.5"], 2, "1.5 is not in the range"),
        (["--min-p", "nan"], 2, "'nan' is not a finite number"),
        (["--num-samples", "0"], 2, "0 is not in the range"),
        (["--max-copy", "0"], 2, "0 is not in the range"),
        (["--stop", ""], 2, "--stop must not be empty"),
        (["-p", "a", "-f", "b"], 2, "not with both"),
        (["--corpus", "a"], 2, "--corpus needs --max-copy"),
        (["-n", "-1", "--json"], 2, "give a --stop"),
        (["-n", "-1", "--num-samples", "2"], 2, "give a --stop"),
        (["-p", "snow \u2603"], 1, "'\u2603' (U+2603, SNOWMAN)"),
        (["-f", "none.txt"], 1, "none.txt: No such file"),
        (["-m", "ecko"], 1, "Did you mean echo?"),
        (["-m", "story.txt"], 1, "story.txt is not a usable model"),
        (["--max-copy", "5", "--corpus", "none.txt"], 1, "none.txt"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, arguments: list[str], status: int, message: str
) -> None:
    (folder / "story.txt").write_text(STORY, "utf-8")
    done = run(folder, *arguments)
    error = done.stderr.decode()

    assert done.returncode == status
    assert done.stdout == b""
    assert message in error
    assert "Traceback" not in error
    assert error.splitlines()[-1].startswith("Error: ")
    assert len(error.splitlines()) == (1 if status == 1 else 4)


def test_a_stop_text_that_cannot_come_is_pointed_out(folder: Path) -> None:
    done = run(folder, "-n", "5", "-s", "1", "--stop", "a\u2603")
    assert done.returncode == 0
    assert "The model never writes --stop" in done.stderr.decode()
