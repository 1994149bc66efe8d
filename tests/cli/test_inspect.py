"""`textgen inspect`: what it computes, what a terminal shows, and the page in a real browser."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.browser import CHROMIUM, browse
from support.commands import Done, invoke_textgen
from support.small_run import STORY, TEXT, make_run

from textgen.analysis.inspection import Neuron, inspect
from textgen.analysis.scoring import holdout_bits
from textgen.config import ModelConfig
from textgen.errors import TextgenError
from textgen.generation.network import Network
from textgen.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary("".join(sorted(set(TEXT))))
IDS = VOCABULARY.encode(TEXT)
LONG = 20_000


def network_of(config: ModelConfig) -> Network:
    """A network of random weights over the story's characters."""
    generator = np.random.default_rng(5)
    shapes = config.weight_shapes(len(VOCABULARY))
    return Network(
        config,
        {name: generator.normal(0, 0.4, shape).astype("f4") for name, shape in shapes.items()},
    )


LSTM = network_of(ModelConfig(units=(9, 7), seq_length=20))
GRU = network_of(ModelConfig(cell="gru", units=(9, 7), seq_length=20))
WINDOW = network_of(ModelConfig(cell="rnn", units=(9, 7), seq_length=20, targets="last"))


def slow_value(network: Network, start: int, place: int, neuron: Neuron) -> float:
    """The cell's value after the character at `place`, reading from `start`."""
    state = network.zero_state(1)
    for k in range(start, place + 1):
        network.step(IDS[k : k + 1], state)
    part = state[neuron.layer - 1]
    values = np.tanh(part[1]) if network.config.cell == "lstm" else part[0]
    return float(values[0, neuron.unit - 1])


@pytest.mark.parametrize("network", [LSTM, GRU])
@pytest.mark.parametrize("place", [0, 1, 1023, 1024, 1500, 2047, 3999])
def test_activity_is_the_cells_state_after_the_character(network: Network, place: int) -> None:
    neuron = Neuron(2, 3)
    (passage,) = inspect(network, VOCABULARY, [TEXT[:4000]], neuron=neuron)
    assert passage.activity is not None
    start = max(0, place // 1024 * 1024 - 256)
    assert passage.activity[place] == pytest.approx(
        slow_value(network, start, place, neuron), abs=1e-5
    )


@pytest.mark.parametrize("place", [19, 20, 500, 1999])
def test_activity_with_targets_last_is_that_of_the_characters_window(place: int) -> None:
    neuron = Neuron(1, 9)
    (passage,) = inspect(WINDOW, VOCABULARY, [TEXT[:2000]], neuron=neuron)
    assert passage.activity is not None
    expected = slow_value(WINDOW, place - 19, place, neuron)
    assert passage.activity[place] == pytest.approx(expected, abs=1e-5)
    assert np.isnan(passage.activity[:19]).all()


@pytest.mark.parametrize("network", [LSTM, WINDOW])
def test_guesses_are_the_likeliest_characters(network: Network) -> None:
    (passage,) = inspect(network, VOCABULARY, [TEXT[:600]], top=len(VOCABULARY) + 5)
    np.testing.assert_allclose(passage.bits, holdout_bits(network, IDS[:600]), atol=1e-5)
    counted = ~np.isnan(passage.bits)
    assert passage.guesses.shape == (600, len(VOCABULARY))
    np.testing.assert_allclose(passage.chances[counted].sum(axis=1), 1, atol=1e-5)
    assert (np.diff(passage.chances[counted], axis=1) <= 0).all()
    for place in np.flatnonzero(counted)[::50]:
        rank = passage.guesses[place].tolist().index(IDS[place])
        assert -np.log2(passage.chances[place, rank]) == pytest.approx(
            passage.bits[place], abs=1e-3
        )


def test_a_long_text_in_many_chunks_is_the_whole_text() -> None:
    neuron = Neuron(1, 1)
    text = (TEXT + TEXT)[:LONG]
    whole = list(inspect(LSTM, VOCABULARY, [text], 2, neuron))
    parts = list(inspect(LSTM, VOCABULARY, [text[:7], text[7:9000], text[9000:]], 2, neuron))
    assert "".join(part.text for part in parts) == text
    for name in ("bits", "chances", "activity"):
        first, second = (np.concatenate([getattr(p, name) for p in ps]) for ps in (whole, parts))
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_an_unknown_character_has_no_guesses_and_no_activity() -> None:
    (passage,) = inspect(LSTM, VOCABULARY, ["The \N{SNOWMAN} ran"], 3, Neuron(1, 1))
    assert passage.activity is not None
    assert passage.bits[4] == 21
    assert passage.guesses[4].tolist() == [-1, -1, -1]
    assert np.isnan(passage.activity[4])


@pytest.mark.parametrize("text", ["", "T"])
def test_a_text_of_one_character_or_none(text: str) -> None:
    passages = list(inspect(LSTM, VOCABULARY, [text], 3, Neuron(1, 1)))
    assert "".join(passage.text for passage in passages) == text


@pytest.mark.parametrize("text", ["", "1", "a:b", "0:1", "3:1", "1:0", "1:10", "1:2:3", "-1:2"])
def test_a_neuron_that_is_not_there(text: str) -> None:
    with pytest.raises(TextgenError):
        Neuron.parse(text, LSTM.config)


def test_a_neuron_is_counted_from_one() -> None:
    assert Neuron.parse("2:7", LSTM.config) == Neuron(2, 7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with one run and a text, made once."""
    folder = tmp_path_factory.mktemp("inspect")
    make_run(folder)
    (folder / "text.txt").write_text(STORY[12_500:13_100] + "\n")
    return folder


def inspected(folder: Path, *arguments: str, stdin: bytes = b"") -> Done:
    """Run `textgen inspect` in a folder."""
    return invoke_textgen("inspect", *arguments, cwd=folder, stdin=stdin)


def on_terminal(folder: Path, *arguments: str, **environment: str) -> str:
    """What the command writes on a terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "textgen", "inspect", *arguments],
        cwd=folder,
        stdout=follower,
        env=os.environ | {"NO_COLOR": ""} | environment,
    ):
        os.close(follower)
        written = b""
        # Linux reports the end of a terminal as an error.
        try:
            while block := os.read(leader, 65536):
                written += block
        except OSError:
            pass
    os.close(leader)
    return written.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    """Text without colour codes and marks for newlines."""
    return re.sub(r"\x1b\[[0-9;]*m|↵", "", text)


def test_a_terminal_gets_the_text_in_colours_under_a_legend(folder: Path) -> None:
    written = on_terminal(folder, "text.txt")
    legend, text = written.split("\n", 1)
    assert plain(legend).split()[:4] == ["bits", "0", "to", "1"]
    assert "\x1b[38;5;16;48;5;" in text
    assert plain(text).rstrip("\n") == (folder / "text.txt").read_text().rstrip("\n")


def test_no_color_and_a_pipe_get_digits(folder: Path) -> None:
    on_pipe = inspected(folder, "text.txt").stdout.decode()
    assert on_terminal(folder, "text.txt", NO_COLOR="1") == on_pipe
    _heading, *lines = on_pipe.splitlines()
    text = (folder / "text.txt").read_text()
    assert lines[::2] == text.splitlines()
    assert all(re.fullmatch(r"[ 0-9]*", line) for line in lines[1::2])
    # The newline has a digit too.
    assert [len(line) for line in lines[1::2]] == [len(line) + 1 for line in lines[::2]]


def test_color_can_be_forced(folder: Path) -> None:
    assert b"\x1b[" in inspected(folder, "--color", "always", "text.txt").stdout
    assert "\x1b[" not in on_terminal(folder, "--color", "never", "text.txt")


def test_rows_with_numbers_guesses_and_a_neuron(folder: Path) -> None:
    result = inspected(folder, "--top", "3", "--neuron", "1:2", "text.txt")
    heading, *rows = [line.split("\t") for line in result.stdout.decode().splitlines()]
    assert heading == ["char", "bits", "neuron", "expected"]
    text = (folder / "text.txt").read_text()
    assert len(rows) == len(text)
    assert rows[0][1] == "-"
    assert all(len(row) == 6 for row in rows[1:])
    assert {row[0] for row in rows} >= {"␣", "↵"}
    numbers = inspected(folder, "--numbers", "text.txt").stdout.decode().splitlines()
    assert [line.split("\t")[1] for line in numbers[1:]] == [row[1] for row in rows]


def test_a_neuron_colours_the_text(folder: Path) -> None:
    written = inspected(folder, "--neuron", "2:1", "--color", "always", "text.txt").stdout.decode()
    assert "neuron 2:1" in written.split("\n")[0]
    result = inspected(folder, "--neuron", "5:1", "text.txt")
    assert result.returncode == 1
    assert b"There is no layer 5" in result.stderr


def test_control_characters_do_not_reach_the_terminal(folder: Path) -> None:
    for option in ([], ["--numbers"], ["--color", "always"]):
        result = inspected(folder, *option, "-", stdin=b"The \x1b[31mecho\x07 ran\n")
        assert result.returncode == 0
        assert b"\x1b[31m" not in result.stdout
        assert b"\x07" not in result.stdout


HOSTILE = (
    "The </script><script>document.title='owned'</script>\n<img src=x onerror=alert(1)> & \"x\"\n"
)


def test_a_page_escapes_the_text(folder: Path) -> None:
    (folder / "<b>hostile.txt").write_text(HOSTILE * 2)
    result = inspected(folder, "--html", "page.html", "<b>hostile.txt")
    assert result.returncode == 0, result.stderr
    page = (folder / "page.html").read_text()
    assert page.count("<script") == 2  # the data and our own
    assert "<img" not in page
    assert "<b>" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page)


def test_a_long_text_is_cut_with_a_note(folder: Path) -> None:
    (folder / "long.txt").write_text(STORY[:21_000])
    result = inspected(folder, "--html", "long.html", "long.txt")
    assert b"first 20,000 characters" in result.stderr


def test_inspect_loads_no_machine_learning_library(folder: Path) -> None:
    code = (
        "import sys\nfrom textgen.cli import main\n"
        "main(['inspect', 'text.txt', '--html', 'lean.html'], standalone_mode=False)\n"
        "bad = {'tensorflow', 'keras', 'h5py', 'matplotlib', 'nltk'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to look at the page with")
def test_a_browser_tells_the_guesses_when_keys_are_pressed(folder: Path, tmp_path: Path) -> None:
    assert inspected(folder, "--html", "keys.html", "text.txt").returncode == 0
    page = (folder / "keys.html").read_text()
    dom = browse(folder / "keys.html", tmp_path / "first")
    assert "heatmap explained ready" in dom, "our own script must run under the page's policy"
    press = (
        "<script>const text = document.querySelector('.text'); text.focus();"
        "for (const key of ['ArrowRight', 'ArrowRight', 'ArrowDown'])"
        " text.dispatchEvent(new KeyboardEvent('keydown', {key}));</script></body>"
    )
    free = re.sub(r"<meta http-equiv.*?>", "", page).replace("</body>", press)
    (folder / "pressed.html").write_text(free)
    dom = browse(folder / "pressed.html", tmp_path / "second")
    panel = dom.split('class="guesses"')[1].split("</div>\n<script")[0]
    assert panel.count("<li") == 5
    assert "one in" in panel
    assert len(re.findall(r'<i class="s\d here"', dom)) == 1


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to look at the page with")
def test_a_browser_runs_nothing_that_a_text_brings(folder: Path, tmp_path: Path) -> None:
    (folder / "hostile.txt").write_text(HOSTILE)
    assert inspected(folder, "--html", "hostile.html", "hostile.txt").returncode == 0
    dom = browse(folder / "hostile.html", tmp_path / "profile")
    assert "<title>owned</title>" not in dom
    assert "<img" not in dom
