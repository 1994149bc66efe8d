"""`textgen prepare`: what comes out of it, and what it is among other filters."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zipfile import ZipFile

import pytest
from support.commands import Command, Done

# ruff: noqa: RUF001 (typographic quotes are what is cleaned)

PREPARE = [sys.executable, "-m", "textgen", "prepare"]
SOME_TEXT = "The lantern hung above the door,\nand nobody lit it any more.\n"

# Whoever answers here answers for the whole network: nothing listens on this port.
NO_NETWORK = {
    "https_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "",
    "no_proxy": "",
}


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has no data and no network."""
    folder = tmp_path / "home"
    folder.mkdir()
    cache = {"XDG_CACHE_HOME": str(folder / "cache")}
    return {**NO_NETWORK, **cache, "HOME": str(folder), "NLTK_DATA": ""}


@pytest.fixture
def nltk_data(tmp_path: Path) -> Path:
    """A data folder of NLTK's with two books of our own, and stop words."""
    books = tmp_path / "nltk_data" / "corpora" / "gutenberg"
    books.mkdir(parents=True)
    title = "[The Ferry by Nobody 1901]"
    verse = "The ferry leaves at half past two.\nSo must the café, so must you.\n"
    crlf = f"{title}\n\n{verse}".replace("\n", " \r\n") + "\x1a"
    (books / "blake-poems.txt").write_bytes(crlf.encode("latin-1"))
    end = "End of Project Gutenberg's The Ferry\n*** END OF THE PROJECT GUTENBERG EBOOK ***\n"
    (books / "chesterton-ball.txt").write_text(f"{title}\n{verse}\n\n{end}licence\n")
    words = tmp_path / "nltk_data" / "corpora" / "stopwords"
    words.mkdir()
    (words / "english").write_text("the\nat\nso\nyou\n")
    return tmp_path / "nltk_data"


FERRY = "The ferry leaves at half past two.\nSo must the café, so must you.\n"


def error_line(done: Done) -> str:
    """The one line of an error that the user can mend."""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    assert done.returncode == 1
    return lines[0]


# What comes out


def test_paths_and_stdin_are_joined(invoke: Command, tmp_path: Path) -> None:
    (tmp_path / "a b\nc.txt").write_text(SOME_TEXT)
    done = invoke("prepare", "a b\nc.txt", "-", "a b\nc.txt", stdin=b"fog\r\nrain")
    assert done.stdout.decode() == f"{SOME_TEXT}fog\nrain\n{SOME_TEXT}"
    assert done.stderr == b""


def test_cleaning_options_reach_the_text(invoke: Command) -> None:
    raw = "“Don’t!”\u00a0CAFÉ ﬁsh".encode()
    assert invoke("prepare", "-", stdin=raw).stdout == raw
    cases = {
        ("--lowercase",): "“don’t!”\u00a0café ﬁsh",
        ("--normalize", "nfkc"): "“Don’t!” CAFÉ fish",
        ("--ascii", "--lowercase"): '"don\'t!" cafe fish',
        ("--ascii", "--tokenize"): '" Do n\'t ! " CAFE fish',
    }
    for options, expected in cases.items():
        assert invoke("prepare", "-", *options, stdin=raw).stdout.decode() == expected


def test_output_is_utf8_in_any_locale(textgen: Command) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = textgen("prepare", "-", stdin="Łódź 🦊".encode(), **locale)
    assert done.stdout.decode() == "Łódź 🦊"
    assert (
        textgen("prepare", "-", "--encoding", "latin-1", stdin=b"caf\xe9").stdout == b"caf\xc3\xa9"
    )


def test_dev_stdin_and_a_fifo_are_sources(textgen: Command, tmp_path: Path) -> None:
    assert textgen("prepare", "/dev/stdin", stdin=b"fog").stdout == b"fog"
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=[SOME_TEXT])
    writer.start()
    assert textgen("prepare", "pipe").stdout.decode() == SOME_TEXT
    writer.join()


def test_the_built_in_story_is_listed_and_prepared(
    invoke: Command, story: str, home: dict[str, str]
) -> None:
    assert invoke("prepare", "builtin:runaway-echo", **home).stdout.decode() == story
    listed = invoke("prepare", "--list", **home).stdout.decode()
    assert "builtin:runaway-echo" in listed
    assert listed.count("gutenberg:") == 18
    assert listed.count("can be fetched") == 19
    assert "cat-in-the-hat" in listed


def test_a_plain_file_needs_no_library(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(SOME_TEXT)
    program = (
        "import sys; from textgen.cli import main\n"
        "main(['prepare', 'a.txt'], standalone_mode=False)\n"
        "heavy = {'nltk', 'pooch', 'requests', 'numpy', 'tensorflow', 'keras'}\n"
        "print(*heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stdout.decode() == SOME_TEXT
    assert done.stderr == b"\n"


# NLTK's Gutenberg selections


def test_gutenberg_selections_come_out_clean(
    textgen: Command, home: dict[str, str], nltk_data: Path
) -> None:
    home["NLTK_DATA"] = str(nltk_data)
    assert textgen("prepare", "gutenberg:blake-poems", **home).stdout.decode() == FERRY
    assert textgen("prepare", "gutenberg:chesterton-ball.txt", **home).stdout.decode() == FERRY
    both = textgen("prepare", "gutenberg:[bc]*-[bp]*[ls]", **home)
    assert both.stdout.decode() == FERRY * 2
    listed = textgen("prepare", "--list", **home).stdout.decode()
    assert listed.count("on disk") == 2


def test_a_relative_data_folder(
    textgen: Command, home: dict[str, str], nltk_data: Path, tmp_path: Path
) -> None:
    home["NLTK_DATA"] = "../nltk_data"
    (tmp_path / "work").mkdir()
    done = textgen("prepare", "gutenberg:blake-poems", cwd=tmp_path / "work", **home)
    assert done.stdout.decode() == FERRY


def test_books_are_found_in_an_archive_and_in_a_second_folder(
    textgen: Command, home: dict[str, str], nltk_data: Path, tmp_path: Path
) -> None:
    books = nltk_data / "corpora" / "gutenberg"
    later = tmp_path / "later" / "corpora"
    later.mkdir(parents=True)
    with ZipFile(later / "gutenberg.zip", "w") as archive:
        archive.write(books / "blake-poems.txt", "gutenberg/austen-emma.txt")
    home["NLTK_DATA"] = f"{nltk_data}{os.pathsep}{tmp_path / 'later'}"
    done = textgen("prepare", "gutenberg:austen-emma", "gutenberg:blake-poems", **home)
    assert done.stdout.decode() == FERRY * 2


def test_stop_words_are_dropped_from_tokens(
    textgen: Command, home: dict[str, str], nltk_data: Path
) -> None:
    home["NLTK_DATA"] = str(nltk_data)
    done = textgen("prepare", "gutenberg:blake-poems", "--drop-stopwords", **home)
    assert done.stdout.decode() == "ferry leaves half past two . must café , must ."


@pytest.mark.parametrize(
    ("arguments", "package", "proxies_allowed"),
    [
        (["gutenberg:austen-emma"], "gutenberg", ""),
        (["gutenberg:austen-emma"], "gutenberg", "1"),
        (["gutenberg:blake-poems", "gutenberg:bible-kjv"], "gutenberg", ""),
        (["gutenberg:chesterton-*", "-o", "out.txt"], "gutenberg", ""),
        (["-", "--drop-stopwords"], "stopwords", "1"),
    ],
)
def test_without_a_network_one_line_says_what_to_do(
    textgen: Command,
    home: dict[str, str],
    nltk_data: Path,
    tmp_path: Path,
    arguments: list[str],
    package: str,
    proxies_allowed: str,
) -> None:
    (nltk_data / "corpora" / "stopwords" / "english").unlink()
    home["NLTK_DATA"] = str(nltk_data)
    home["NLTK_ALLOW_PROXIED_URLOPEN"] = proxies_allowed
    done = textgen("prepare", *arguments, stdin=b"fog", **home)
    line = error_line(done)
    assert f"packages/corpora/{package}.zip" in line
    assert "nltk_data/corpora" in line
    assert "NLTK_DATA" in line
    assert done.stdout == b""
    assert not (tmp_path / "out.txt").exists()


# The Cat in the Hat: a page of verse written for this test stands in for it


VERSE = [
    f"{who} {did} {where}"
    for who, did in (("A snail", "set out"), ("The frost", "sat down"), ("My hat", "blew off"))
    for where in (
        "at noon,",
        "too late,",
        "in June,",
        "alone,",
        "by train,",
        "for good,",
        "in rain.",
    )
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A web site on this machine with the page `verse.html`, and `other.html`."""
    folder = tmp_path / "site"
    folder.mkdir()
    page = "<html><body><p>Menu</p><div>%s</div></body></html>"
    (folder / "verse.html").write_text(page % "<br>".join(VERSE))
    (folder / "other.html").write_text(page % "Not here.")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_the_cat_is_fetched_once_and_kept(
    invoke: Command, home: dict[str, str], site: str, tmp_path: Path
) -> None:
    home |= {"TEXTGEN_CAT_URL": f"{site}/verse.html", "NO_PROXY": "127.0.0.1"}
    for _ in range(2):
        done = invoke("prepare", "cat-in-the-hat", **home)
        assert done.stdout.decode().splitlines() == VERSE
        assert len(done.stderr.decode().splitlines()) == 1
        assert "copyright" in done.stderr.decode()
        (tmp_path / "site" / "verse.html").unlink(missing_ok=True)
    assert "fetched before" in invoke("prepare", "--list", **home).stdout.decode()


def test_another_page_is_refused_and_not_kept(
    invoke: Command, home: dict[str, str], site: str
) -> None:
    home |= {"TEXTGEN_CAT_URL": f"{site}/other.html", "NO_PROXY": "127.0.0.1"}
    done = invoke("prepare", "cat-in-the-hat", "-o", "out.txt", **home)
    assert "No poem was found" in done.stderr.decode()
    assert done.returncode == 1
    kept = [path for path in Path(home["HOME"]).rglob("*") if path.is_file()]
    assert kept == []


@pytest.mark.parametrize("url", ["https://192.0.2.1/x", "http://192.0.2.1/x", "nonsense"])
def test_the_cat_without_a_network(invoke: Command, home: dict[str, str], url: str) -> None:
    done = invoke("prepare", "cat-in-the-hat", TEXTGEN_CAT_URL=url, **home)
    note, error = done.stderr.decode().splitlines()
    assert "copyright" in note
    assert error.startswith("Error: ")
    assert "cat_in_hat.txt" in error
    assert done.returncode == 1


# A filter among filters


def test_head_closes_the_pipe_quietly(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_text(SOME_TEXT * 20_000)
    command = f"{sys.executable} -m textgen prepare big.txt | head -c 11; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True, timeout=60
    )
    assert done.stdout == b"The lantern141\n"
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*PREPARE, "-"], input=b"fog", stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert "No space left" in error_line(done)
    done = subprocess.run(
        [*PREPARE, "-", "-o", "/dev/full"], input=b"fog", capture_output=True, check=False
    )
    assert "No space left" in error_line(done)
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("closed", [">&-", "<&-"])
def test_closed_streams_are_one_line(closed: str) -> None:
    command = f"{sys.executable} -m textgen prepare - {closed}"
    done = subprocess.run(
        ["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert "closed" in error_line(done)


# A small process between: a child's peak begins at the size of the process that forks it.
WITH_PEAK = [
    sys.executable,
    "-c",
    "import resource, subprocess, sys; status = subprocess.call(sys.argv[1:]);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr);"
    "sys.exit(status)",
]


def size_and_peak(arguments: list[str], block: bytes, blocks: int) -> tuple[int, int]:
    """Pipe `blocks` blocks through prepare: bytes that came out, and its peak in bytes."""
    process = subprocess.Popen(
        [*WITH_PEAK, *PREPARE, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    assert process.stdin and process.stdout and process.stderr
    sink = process.stdin

    def feed() -> None:
        with sink:
            for _ in range(blocks):
                sink.write(block)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with process.stdout, process.stderr:
        size = sum(len(piece) for piece in process.stdout)
        peak = int(process.stderr.read())
    feeder.join()
    assert process.wait() == 0
    return size, peak * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize(
    ("arguments", "block"),
    [
        (["-"], SOME_TEXT.encode() * 1000),
        (["-", "--lowercase"], b"x" * 60_000),  # one line, one word
        (["-", "--normalize", "nfkc"], "é".encode() * 30_000),
    ],
)
def test_memory_does_not_grow_with_the_text(arguments: list[str], block: bytes) -> None:
    blocks = 100_000_000 // len(block)
    size, memory = size_and_peak(arguments, block, blocks)
    assert size == blocks * len(block)
    assert memory < 60_000_000


def test_memory_does_not_grow_with_a_line_of_tokens() -> None:
    _, memory = size_and_peak(["-", "--tokenize"], b"word " * 20_000, 30)
    assert memory < 120_000_000


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("older")
    process = subprocess.Popen(
        [*PREPARE, "-", "-o", "out.txt"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin and process.stderr
    process.stdin.write(b"fog and rain\n" * 100_000)  # more than a pipe holds: it reads
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    assert (tmp_path / "out.txt").read_text() == "older"


# Files


def test_a_file_is_written_whole_or_not_at_all(invoke: Command, tmp_path: Path) -> None:
    done = invoke("prepare", "-", "-o", "out.txt", stdin=b"fine\n" * 50_000 + b"\xff")
    assert "offset 250000" in error_line(done)
    assert list(tmp_path.iterdir()) == []
    done = invoke("prepare", "-", "-o", "out.txt", stdin=b"fine\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / "out.txt").read_bytes() == b"fine\n"


def test_on_stdout_what_came_before_an_error_stays(textgen: Command) -> None:
    done = textgen("prepare", "-", stdin=b"fine\n" * 50_000 + b"\xff")
    assert done.stdout.startswith(b"fine\n")
    error_line(done)


def test_a_file_can_be_prepared_onto_itself(invoke: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"fog\r\n" * 100_000)
    assert invoke("prepare", "a.txt", "-o", "a.txt").returncode == 0
    assert (tmp_path / "a.txt").read_bytes() == b"fog\n" * 100_000


def test_pipes_and_devices_can_be_written_to(textgen: Command) -> None:
    assert textgen("prepare", "-", "-o", "/dev/stdout", stdin=b"fog").stdout == b"fog"


# Bad input: one line, exit 1 or 2, no traceback, nothing written


BAD_ARGUMENTS = [
    ([], 2, b"SOURCE"),
    (["nothing.txt"], 1, b"No such file: nothing.txt"),
    (["."], 1, b"is a folder"),
    (["/"], 1, b"is a folder"),
    (["nothing\nhere.txt"], 1, rb"nothing\nhere.txt"),
    ([b"bad\xff.txt"], 1, rb"bad\udcff.txt"),
    (["x" * 300], 1, b"File name too long"),
    (["/dev/null/x"], 1, b"Not a directory"),
    (["/dev/null"], 1, b"is empty"),
    ([""], 1, b"No such file"),
    (["-"], 1, b"stdin is empty"),
    (["-", "-"], 1, b"twice"),
    (["blake-poems"], 1, b"Did you mean gutenberg:blake-poems?"),
    (["builtin:runaway-eco"], 1, b"runaway-echo"),
    (["builtin:"], 1, b"runaway-echo"),
    (["gutenberg:blake-poem"], 1, b"Did you mean blake-poems?"),
    (["gutenberg:"], 1, b"--list"),
    ([b"gutenberg:\xff"], 1, b"--list"),
    (["-", "--encoding", "klingon"], 1, b"Unknown encoding 'klingon'"),
    ([b"-", b"--encoding", b"\xff"], 1, b"Unknown encoding"),
    (["-", "--normalize", "nfq"], 2, b"nfq"),
    (["-", "--rot13"], 2, b"--rot13"),
    (["-", "-o"], 2, b"-o"),
    (["builtin:runaway-echo", "-o", "."], 2, b"directory"),
    (["builtin:runaway-echo", "-o", "no/such/folder/x"], 1, b"no/such/folder"),
    (["builtin:runaway-echo", "-o", "/dev/null/x"], 1, b"/dev/null/x"),
]


@pytest.mark.parametrize(("arguments", "status", "message"), BAD_ARGUMENTS)
def test_bad_arguments(
    invoke: Command, tmp_path: Path, arguments: list[str | bytes], status: int, message: bytes
) -> None:
    done = invoke("prepare", *arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert b"Traceback" not in done.stderr
    if status == 1:
        error_line(done)
    assert list(tmp_path.iterdir()) == []


BAD_BYTES = {
    "latin-1": (b"caf\xe9", "byte 0xe9 at offset 3"),
    "cut off": ("fog 🦊".encode()[:-1], "offset 4"),
    "encoded surrogate": (b"\xed\xa0\x80", "offset 0"),
    "nul": (b"fog\0rain", "NUL"),
    "utf-16 without a mark": ("fog".encode("utf-16-le"), "--encoding utf-16"),
    "binary": (bytes(range(128)), "NUL"),
    "empty": (b"", "is empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", "is empty"),
    "half of utf-16": (b"\xff\xfea\0b", "utf-16"),
}


@pytest.mark.parametrize(("data", "message"), BAD_BYTES.values(), ids=BAD_BYTES.keys())
def test_bad_bytes(invoke: Command, tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "bad.txt").write_bytes(data)
    for arguments in (["bad.txt"], ["bad.txt", "--lowercase", "-o", "out.txt"]):
        line = error_line(invoke("prepare", *arguments))
        assert "bad.txt" in line
        assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["bad.txt"]


GOOD_TEXTS = {
    "one character": "x",
    "whitespace only": " \t\n \n",
    "combining marks": "e\u0301\u0323 a\u0308",
    "thousands of marks": "e" + "\u0301\u0323" * 500,
    "emoji with joiners": "👩‍👩‍👧‍👦 🏳️‍🌈",
    "right to left": "שלום עולם, مرحبا",
    "20,000 characters": "".join(map(chr, range(0x4E00, 0x4E00 + 20_000))),
    "control characters": "a\x01\x07\x0b\x0c\x1a\x7f\x85b",
    "line separators": "a\u2028b\u2029c",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "old newlines": "a\rb\r\rc",
    "mixed newlines": "a\r\n\rb\n\r",
    "no newline at the end": "a\nb",
    "a mark within": "a\ufeffb",
}


@pytest.mark.parametrize("text", GOOD_TEXTS.values(), ids=GOOD_TEXTS.keys())
def test_every_kind_of_text_passes(invoke: Command, text: str) -> None:
    done = invoke("prepare", "-", "--normalize", "none", stdin=text.encode())
    assert done.stdout.decode() == text.replace("\r\n", "\n").replace("\r", "\n")
    assert done.stderr == b""
    options = ["--normalize", "nfkc", "--lowercase", "--tokenize"]
    assert b"Traceback" not in invoke("prepare", "-", *options, stdin=text.encode()).stderr
