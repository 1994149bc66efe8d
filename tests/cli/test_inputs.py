"""Input of every kind through train, sample and score (prepare has its own tests).

No case may end in a traceback; a mistake of the user's gets one line.
"""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.commands import Command
from support.hostile import honest_notes, with_notes
from support.small_run import CONFIG, make_run

from textgen.storage.model_file import load_model

TINY = ("--units", "4", "--seq-length", "8", "--batch-size", "64", "--epochs", "1")
HUGE = ("--units", ",".join(["8192"] * 16))  # refused, but after the whole text was read
LONG = 10_000_000
CHINESE = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))
MIXED = (
    "e\u0301\u0323 a\u0308 n\u0303 cafe\u0301 | 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 | שלום עולם مرحبا | "
    "tabs\tand\x0bfeeds\x0c\x85 | \u2028\u2029 | \ufeff\ufffe\U0010ffff |\r\n"
)


@dataclass(frozen=True)
class Case:
    """A command line and what must come of it.

    Attributes:
        arguments: {run} and {last} stand for the model files of two small runs.
        expected: a piece of stderr; empty where nothing must be written there.
        status: of the process.
        text: the bytes of the file "text", which are stdin as well.
        process: whether it needs a process of its own.
    """

    arguments: tuple[str | bytes, ...]
    expected: str
    status: int = 1
    text: bytes = b""
    process: bool = False


def train(expected: str, text: bytes | str, *options: str, status: int = 1) -> Case:
    """Training on a file; without an error one tiny epoch."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return Case(("train", "text", *TINY, *options), expected, status, data)


def given(expected: str, *options: str | bytes, status: int = 2) -> Case:
    """Training on the built-in story with options that are refused."""
    return Case(("train", *options), expected, status)


def sample(expected: str, *options: str | bytes, text: bytes = b"", status: int = 1) -> Case:
    """Sampling three characters."""
    return Case(("sample", "-m", "{run}", "-n", "3", "-s", "1", *options), expected, status, text)


def score(expected: str, text: bytes | str, *options: str | bytes, status: int = 0) -> Case:
    """Scoring the file."""
    data = text if isinstance(text, bytes) else text.encode()
    return Case(("score", "-m", "{run}", *(options or ("text",))), expected, status, data)


CASES = {
    # Texts to train on
    "empty": train("text is empty", b""),
    "one character": train("one distinct character", "x"),
    "two characters": train("2 characters", "xy"),
    "one character for ever": train("one distinct character", "x" * 9999),
    "blanks only": train("one distinct character", " " * 9999),
    "newlines only": train("one distinct character", "\n" * 9999),
    "CRLF only": train("one distinct character", "\r\n" * 9999),
    "white space of all kinds": train("Next:", " \n\t \n\n  " * 100, status=0),
    "NUL bytes": train("NUL", b"fog\0rain" * 100),
    "latin-1": train("--encoding", b"caf\xe9 " * 100),
    "latin-1, and named": train("Next:", b"caf\xe9 " * 99, "--encoding", "latin-1", status=0),
    "UTF-16 with its mark": train("Next:", ("fog and rain " * 50).encode("utf-16"), status=0),
    "UTF-16 without": train("UTF-16", ("fog and rain " * 50).encode("utf-16-le")),
    "a text that ends within a code point": train("offset 1200", b"fog " * 300 + b"\xf0\x9f"),
    "half a surrogate pair in UTF-8": train("offset 400", "fog " * 100 + "\ud800"),
    "marks, joiners, right to left": train("Next:", MIXED * 30, status=0),
    "3,000 distinct characters": train("Next:", CHINESE[:3000], status=0),
    "cleaning leaves nothing": train("cleaning leaves nothing", "雨霧" * 999, "--ascii"),
    "shorter than a window": train("at least 650", "fog and rain " * 20, "--seq-length", "64"),
    # Sources
    "a folder": given("is a folder", ".", status=1),
    "a file that is not there": given("No such file", "nowhere.txt", status=1),
    "a name that is not UTF-8": Case(("train", b"\xff.txt"), r"\udcff", process=True),
    "a file that fails when it is read": given("cannot be read", "/proc/self/mem", status=1),
    "stdin twice": given("twice", "-", "-", status=1),
    "/dev/null": given("empty", "/dev/null", status=1),
    "/dev/stdin": Case(("train", "/dev/stdin", *TINY), "one distinct", text=b"xx", process=True),
    # Options of train
    "16 layers of 8,192 units": given("Choose fewer --units", *HUGE, status=1),
    "a million rows": given("GB of memory", "--batch-size", "1048576", status=1),
    "more rows than numbers": given("not in the range", "--batch-size", "9" * 30),
    "epochs without end": given("not in the range", "--epochs", "9" * 30),
    "a stride beyond the stars": given("not in the range", "--step", "9" * 30),
    "a window of zero": given("not in the range", "--seq-length", "0"),
    "a window longer than the text": given("at least", "--seq-length", "65536", status=1),
    "units that are not": given("1 to 16 numbers", "--units", "١٢,-3"),
    "17 layers": given("1 to 16 numbers", "--units", ",".join("1" * 17)),
    "a rate that is no number": given("nan", "--learning-rate", "nan"),
    "an infinite rate": given("inf", "--learning-rate", "inf"),
    "dropout of nan": given("nan", "--dropout", "nan"),
    "a hold-out of nan": given("nan", "--validation-split", "nan"),
    "next to no hold-out": given("at least 65", "--validation-split", "0.000001", status=1),
    "next to no training": given("at least 1,000", "--validation-split", "0.999999", status=1),
    "minutes of nan": given("nan", "--minutes", "nan"),
    "an unknown option": given("No such option", "--unit", "3"),
    "an unknown cell": given("'transformer'", "--cell", "transformer"),
    "an unknown command": Case(("trian",), "No such command", 2),
    "a name too long for a disk": given("too long", *TINY, "--name", "x" * 300, status=1),
    "a name that is not Unicode": given("--name", "--name", b"\xff", status=1),
    "an emoji is a name": given("Next:", *TINY, "--name", "🦊 fox", status=0),
    # Prompts
    "a prompt with an unknown character": sample("U+96E8", "-p", "雨"),
    "a prompt that is not Unicode": sample("U+DCFF", "-p", b"\xff"),
    "half an emoji": sample("U+1F469", "-p", "👩‍"),
    "unknown characters left out": sample("seed 1", "-p", "雨", "--on-unknown", "skip", status=0),
    "a prompt of 10 MB that cannot be read": sample(
        "\u2603", "-f", "text", text=b"a" * LONG + b"\xe2\x98\x83"
    ),
    "a prompt of 10 MB": Case(
        ("sample", "-m", "{last}", "-n", "3", "-f", "-", "--no-echo"),
        "seed",
        0,
        b"The echo " * (LONG // 9),
    ),
    "a prompt in latin-1": sample("not UTF-8 at byte 3", "-f", "text", text=b"caf\xe9"),
    "a prompt with NUL": sample("U+0000", "-f", "text", text=b"a\0b"),
    "a prompt with CRLF": sample("seed 1", "-f", "text", text=b"The fog\r\nand", status=0),
    "a prompt with a byte order mark": sample(
        "seed 1", "-f", "-", text=b"\xef\xbb\xbfThe", status=0
    ),
    "an empty prompt": sample("The prompt in stdin is empty", "-f", "-"),
    "a folder for a prompt": sample("Is a directory", "-f", "."),
    "a stop that is not Unicode": sample("never writes", "--stop", b"\xff", status=0),
    "a model that is not Unicode": Case(("sample", "-m", b"\xff"), r"\udcff"),
    "a model with a newline in its name": Case(("sample", "-m", "a\nb"), r"a\nb"),
    "a folder for a model": Case(("sample", "-m", "."), "no model.keras"),
    "a text for a model": Case(("score", "-m", "text", "text"), "not a usable model", text=b"fog"),
    # Texts to score
    "scored: nothing": score("is empty", b"", status=1),
    "scored: one character": score("too short", "T"),
    "scored: NUL": score("NUL", b"fog\0", status=1),
    "scored: half a code point": score("offset 4", "fog 🦊".encode()[:-1], status=1),
    "scored: every kind of character": score("21 bits", MIXED * 3),
    "scored: 20,000 unknown characters": score("20,000 of the characters", CHINESE),
    "scored: a byte order mark": score("", b"\xef\xbb\xbfThe fog"),
    "scored: stdin": score("", b"The fog\r\nand the rain", "-"),
    "scored: a name that is not Unicode": score(r"\udcff", b"", b"\xff", status=1),
    "scored: line after line of nothing": score("", b"\n\n\nThe\n\n", "text", "--lines"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Model files of two small runs, made without training: targets every, targets last."""
    root = tmp_path_factory.mktemp("models")
    last = make_run(root, "last", config=replace(CONFIG, targets="last"))
    return {"{run}": str(make_run(root).model), "{last}": str(last.model)}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_input(
    textgen: Command, invoke: Command, tmp_path: Path, models: dict[str, str], name: str
) -> None:
    case = CASES[name]
    (tmp_path / "text").write_bytes(case.text)
    arguments = [models.get(part, part) for part in case.arguments]  # type: ignore[arg-type]
    run = textgen if case.process else invoke
    done = run(*arguments, stdin=case.text)
    said = done.stderr.decode()
    assert done.returncode == case.status, said
    assert "Traceback" not in said
    assert case.expected in said if case.expected else said == ""
    if case.status == 1:
        (line,) = said.splitlines()
        assert line.startswith("Error: ")
        assert len(line) < 1000
        assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_model_of_a_newer_format(invoke: Command, tmp_path: Path) -> None:
    path = with_notes(tmp_path, honest_notes() | {"format": 2})
    for arguments in (("sample", "-m", path), ("score", "-m", path, path)):
        done = invoke(*arguments)
        assert done.returncode == 1
        assert "made by a newer textgen" in done.stderr.decode()
        assert done.stderr.count(b"\n") == 1


def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("fog and rain")
    (tmp_path / "secret").chmod(0)
    command = [sys.executable, "-m", "textgen"]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    for arguments in (["train", "secret"], ["train", "-", "--name", "x", "secret"]):
        try:
            done = subprocess.run(
                [*command, *arguments], cwd=tmp_path, input=b"", capture_output=True, check=False
            )
        except FileNotFoundError:
            pytest.skip("root reads everything, and setpriv is not there to lay that down")
        assert done.returncode == 1
        assert done.stderr.decode() == "Error: secret cannot be read: permission denied.\n"


def test_a_path_with_blanks_and_newlines(invoke: Command, tmp_path: Path, story: str) -> None:
    path = tmp_path / "my \n tale\t.txt"
    path.write_text(story[:2000])
    done = invoke("train", path, *TINY)
    assert done.returncode == 0, done.stderr.decode()
    (run,) = (tmp_path / "checkpoints").iterdir()
    assert run.name == "my-tale"
    scored = invoke("score", "-m", run, path)
    assert scored.returncode == 0
    assert len(scored.stdout.splitlines()) == 2


def test_a_fifo_is_a_source(invoke: Command, tmp_path: Path, story: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=[story[:2000]])
    writer.start()
    done = invoke("train", "pipe", *TINY)
    writer.join()
    assert done.returncode == 0, done.stderr.decode()
    model = load_model(tmp_path / "checkpoints/pipe/model.keras")
    assert model.provenance["corpus"][0]["characters"] == 2000


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_DATA, (150_000_000, 150_000_000))
from textgen.cli import main
main(prog_name="textgen")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA is not kept elsewhere")
def test_a_line_of_200_mb_is_encoded_in_less_memory(tmp_path: Path) -> None:
    """Up to the check of sizes, which comes when the whole text was read."""
    process = subprocess.Popen(
        [sys.executable, "-c", LIMITED, "train", "-", *HUGE],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    for _ in range(2000):
        process.stdin.write(b"ab" * 50_000)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert b"fewer --units" in said
    assert said.count(b"\n") == 1
