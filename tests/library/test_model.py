"""The library: `import textgen`, as a notebook or another program uses it."""

import doctest
import importlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from support.commands import invoke_textgen, run_textgen
from support.small_run import STORY, TEXT, make_run

import textgen
from textgen.config import Cleaning, ModelConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder: with the runs `last` (targets last), `lower` and, newest, `echo`."""
    folder = tmp_path_factory.mktemp("library")
    make_run(folder, "last", config=ModelConfig(units=(12, 8), seq_length=20, targets="last"))
    make_run(folder, "lower", TEXT.lower(), cleaning=Cleaning(lowercase=True))
    make_run(folder, "echo")
    with chdir(folder):
        yield folder


@pytest.fixture
def model(folder: Path) -> textgen.Model:
    """The run `echo`'s."""
    return textgen.load("echo")


def test_all_names_are_there_and_no_others() -> None:
    for name in textgen.__all__:
        assert getattr(textgen, name).__name__ == name
        assert name in dir(textgen)
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        importlib.import_module("textgen").lode  # noqa: B018


def test_import_loads_no_library_and_sampling_no_machine_learning(folder: Path) -> None:
    code = (
        "import sys, textgen\n"
        "assert not {'numpy', 'click', 'tensorflow', 'keras'} & set(sys.modules)\n"
        "model = textgen.load('echo')\n"
        "model.generate(5); model.score('The echo'); model.next('The')\n"
        "''.join(textgen.prepare('builtin:runaway-echo'))\n"
        "heavy = {'tensorflow', 'keras', 'click', 'tqdm', 'nltk', 'h5py', 'jinja2', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Loading


@pytest.mark.parametrize(
    "name", ["echo", "checkpoints/echo", Path("checkpoints/echo/model.keras"), None]
)
def test_a_model_is_a_name_a_folder_or_a_file(folder: Path, name: str | Path | None) -> None:
    model = textgen.load(name)
    assert model.path.samefile(folder / "checkpoints/echo/model.keras")
    assert (model.name, model.characters) == ("echo", "".join(sorted(set(TEXT))))
    assert (model.sampling.length, model.sampling.temperatures) == (500, (0.8,))
    assert model.config.units == (12, 8)
    assert model.val_bpc is not None
    assert model.val_bpc == pytest.approx(model.score(TEXT[-3000:]).bpc, abs=1e-4)


@pytest.mark.parametrize("name", ["ecko", "story.txt", "no/such.keras"])
def test_errors_are_the_commands(folder: Path, name: str) -> None:
    (folder / "story.txt").write_text(STORY, "utf-8")
    with pytest.raises(textgen.TextgenError) as caught:
        textgen.load(name)
    done = invoke_textgen("sample", "-m", name, cwd=folder)
    assert done.stderr.decode() == f"Error: {caught.value}\n"


# Writing


@pytest.mark.parametrize("name", ["echo", "last"])
def test_the_same_seed_is_the_same_text_as_the_commands(folder: Path, name: str) -> None:
    text = textgen.load(name).generate(200, prompt="Tom ", temperature=0.7, seed=5, top_k=9)
    options = ("-n", "200", "-p", "Tom ", "-t", "0.7", "-s", "5", "-k", "9", "--no-echo")
    done = run_textgen("sample", "-m", name, *options, cwd=folder)
    assert done.stdout.decode() == text


def test_the_defaults_are_the_models(model: textgen.Model, folder: Path) -> None:
    assert (
        model.generate(seed=1).encode()
        == invoke_textgen("sample", "-m", "echo", "-s", "1", cwd=folder).stdout
    )


def test_filters_stop_and_max_copy_reach_the_text(model: textgen.Model) -> None:
    free = model.generate(400, seed=1)
    for narrowed in ({"top_k": 3}, {"top_p": 0.05}, {"min_p": 0.9}):
        assert len(set(model.generate(400, seed=1, **narrowed))) < len(set(free))
    stop = free[200:204]
    assert model.generate(400, seed=1, stop=["@", stop]) == free[: free.index(stop)]
    assert model.generate(400, seed=1, stop=stop) == free[: free.index(stop)]
    kept = model.generate(2000, seed=1, max_copy=2)
    assert not any(kept[place : place + 3] in TEXT for place in range(len(kept) - 2))


def test_a_stream_is_the_text_as_it_is_made(model: textgen.Model) -> None:
    pieces = list(model.stream(50, prompt="Tom ", seed=2))
    assert all(pieces)
    assert "".join(pieces) == model.generate(50, prompt="Tom ", seed=2)


def test_a_stream_without_a_length_has_no_end(model: textgen.Model) -> None:
    endless = model.stream(seed=3)
    assert "".join(islice(endless, 1200)) == model.generate(1200, seed=3)
    endless.close()
    stopped = "".join(model.stream(seed=3, stop="e"))
    assert "e" not in stopped
    assert len(stopped) < 1200


def test_without_a_seed_texts_differ(model: textgen.Model) -> None:
    assert model.generate(100) != model.generate(100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": -1}, "length must be at least 0 and finite, not -1"),
        ({"temperature": -0.1}, "temperature must be at least 0"),
        ({"temperature": float("nan")}, "temperature must be at least 0"),
        ({"temperature": float("inf")}, "finite, not inf"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"top_k": -1}, "top_k must be at least 0"),
        ({"top_p": 1.5}, "top_p must be from 0 to 1, not 1.5"),
        ({"min_p": float("nan")}, "min_p must be from 0 to 1"),
        ({"max_copy": 0}, "max_copy must be at least 1"),
        ({"stop": ""}, "stop must not be empty"),
        ({"on_unknown": "drop"}, "on_unknown must be one of error, skip, replace"),
        ({"prompt": "snow \u2603"}, "SNOWMAN"),
    ],
)
def test_bad_options_are_one_line_at_once(
    model: textgen.Model, options: dict, message: str
) -> None:
    for write in (model.generate, model.stream):
        with pytest.raises(textgen.TextgenError, match=message) as caught:
            write(**options)
        assert "\n" not in str(caught.value)


def test_any_number_of_threads_may_write_and_measure(model: textgen.Model) -> None:
    def work(seed: int) -> tuple[str, float | None]:
        text = model.generate(300, seed=seed)
        return text, model.score(text).bpc

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, range(8)))
    assert together == [work(seed) for seed in range(8)]


def test_nothing_is_printed_and_notes_are_logged(
    folder: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    small = make_run(folder, "small", "".join(sorted(set(TEXT.lower()))) * 200)
    model = textgen.load(small.path)
    with caplog.at_level(logging.INFO, "textgen"):
        model.generate(5, prompt="Tom", stop="\u2603")
        "".join(textgen.prepare("builtin:runaway-echo"))
    assert [record.name for record in caplog.records] == ["textgen", "textgen"]
    assert caplog.messages[0] == "The model does not know T: read as t."
    assert "never writes" in caplog.messages[1]
    assert capfd.readouterr() == ("", "")


# Measuring


def test_a_score_is_the_commands(model: textgen.Model, folder: Path) -> None:
    text = STORY[13_000:15_000] + "\u2603"
    score = model.score(text)
    done = invoke_textgen("score", "-m", "echo", "-", cwd=folder, stdin=text.encode())
    assert score.bpc is not None
    assert f"{score.bpc:.3f}" in done.stdout.decode()
    assert score.nats == pytest.approx(score.bpc * np.log(2))
    unknown = sum(character not in model.characters for character in text)
    assert (score.characters, score.unknown) == (2000, unknown)


def test_a_text_is_cleaned_before_it_is_measured(folder: Path) -> None:
    lower = textgen.load("lower")
    assert lower.cleaning == Cleaning(lowercase=True)
    assert lower.score("The ECHO\r\nran") == lower.score("the echo\nran")


def test_a_text_too_short_has_no_figure(model: textgen.Model) -> None:
    score = model.score("T")
    assert (score.bpc, score.nats, score.characters) == (None, None, 0)


@pytest.mark.parametrize("name", ["echo", "last"])
def test_what_comes_next_are_probabilities_likeliest_first(folder: Path, name: str) -> None:
    model = textgen.load(name)
    likely = model.next("The go")
    assert sorted(likely) == list(model.characters)
    assert list(likely.values()) == sorted(likely.values(), reverse=True)
    assert sum(likely.values()) == pytest.approx(1)
    assert model.generate(1, prompt="The go", temperature=0) == next(iter(likely))
    assert model.next("The go\u2603", on_unknown="skip") == likely


def test_what_comes_next_costs_what_the_score_says(model: textgen.Model) -> None:
    whole, begun = model.score("The goat"), model.score("The goa")
    cost = whole.bpc * whole.characters - begun.bpc * begun.characters  # type: ignore[operator]
    assert -np.log2(model.next("The goa")["t"]) == pytest.approx(cost, rel=1e-4)


# Preparing


def test_prepared_text_is_the_commands(folder: Path) -> None:
    (folder / "a.txt").write_text("“Fog”\r\nand RAIN", "utf-8")
    text = "".join(textgen.prepare("a.txt", Path("a.txt"), lowercase=True, ascii=True))
    done = invoke_textgen("prepare", "a.txt", "a.txt", "--lowercase", "--ascii", cwd=folder)
    assert text.encode() == done.stdout == b'"fog"\nand rain\n"fog"\nand rain'


def test_bad_sources_and_forms_are_refused_at_once() -> None:
    with pytest.raises(textgen.TextgenError, match="No such file"):
        textgen.prepare("none.txt")
    with pytest.raises(textgen.TextgenError, match="normalize must be one of nfc, nfkc, none"):
        textgen.prepare("builtin:runaway-echo", normalize="nfq")


# Documentation


@pytest.mark.parametrize(
    "module", ["library.model", "library.writer", "library.mixing", "corpus.preparing"]
)
def test_examples_of_the_docstrings(
    trained: Path, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    failed, tried = doctest.testmod(importlib.import_module(f"textgen.{module}"))
    assert tried > 0
    assert failed == 0
