"""`textgen.mix` and `sample -m A -m B`: several models write together."""

import json
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from support.commands import invoke_textgen
from support.small_run import TEXT, make_run

import textgen
from textgen.config import Cleaning, ModelConfig

LAST = ModelConfig(cell="gru", units=(12, 8), seq_length=20, targets="last")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder, with runs of different architectures, characters and cleaning."""
    folder = tmp_path_factory.mktemp("mixing")
    make_run(folder, "echo")
    make_run(folder, "window", config=LAST, seed=2)
    make_run(folder, "lower", TEXT.lower() + "é", seed=3, cleaning=Cleaning(lowercase=True))
    with chdir(folder):
        yield folder


def sample(folder: Path, *arguments: str) -> str:
    done = invoke_textgen("sample", *arguments, "-s", "5", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_the_command_writes_what_the_library_writes(folder: Path) -> None:
    mixed = textgen.mix([("echo", 3), ("window", 1)])
    text = mixed.generate(200, prompt="Tom ", seed=5)
    options = ("-p", "Tom ", "-n", "200", "--no-echo")
    assert sample(folder, "-m", "echo:0.75", "-m", "window:.25", *options) == text
    assert "".join(mixed.stream(200, prompt="Tom ", seed=5)) == text
    others = [
        textgen.load(name).generate(200, prompt="Tom ", seed=5) for name in ("echo", "window")
    ]
    assert text not in others
    assert repr(mixed) == "<textgen.Mixture 'echo': 0.75, 'window': 0.25>"


def test_one_model_with_a_weight_is_that_model(folder: Path) -> None:
    alone = sample(folder, "-m", "echo")
    assert sample(folder, "-m", "echo:0.3") == alone
    assert sample(folder, "-m", "echo:2", "-m", "window:0") == alone
    assert sample(folder, "-m", "echo", "-m", "echo:3") == alone


def test_models_weigh_the_same_by_default(folder: Path) -> None:
    equal = sample(folder, "-m", "echo", "-m", "lower")
    assert equal == sample(folder, "-m", "echo:0.5", "-m", "lower:0.5")
    assert equal != sample(folder, "-m", "echo:0.9", "-m", "lower:0.1")


def test_what_may_come_next_is_the_mean(folder: Path) -> None:
    parts = [textgen.load("echo"), textgen.load("lower")]
    likely = textgen.mix([(parts[0], 1), (parts[1], 3)]).next("the go")
    first, second = (model.next("the go") for model in parts)
    assert sum(likely.values()) == pytest.approx(1)
    assert likely["a"] == pytest.approx(0.25 * first["a"] + 0.75 * second["a"])
    assert likely["T"] == pytest.approx(0.25 * first["T"])
    assert likely["é"] == pytest.approx(0.75 * second["é"])
    assert set(likely) == set(first) | set(second)


def test_all_that_sample_does_works_with_several_models(folder: Path) -> None:
    (folder / "prompts.txt").write_text("Tom \nThe goat ")
    many = ("-m", "echo", "-m", "window", "-m", "lower")
    written = sample(folder, *many, "--prompts", "prompts.txt", "-t", "0.5,0", "-n", "30", "--json")
    lines = [json.loads(line) for line in written.splitlines()]
    assert [(line["prompt"], line["temperature"]) for line in lines] == [
        (prompt, temperature) for prompt in ("Tom ", "The goat ") for temperature in (0.5, 0)
    ]
    assert all(len(line["text"]) == 30 and line["bpc"] > 0 for line in lines)
    texts = sample(folder, *many, "--num-samples", "20", "-n", "40", "--separator", "@", "-k", "9")
    assert len(set(texts.split("@"))) == 20
    ended = sample(folder, *many, "--until", "line", "--stop", "zz", "-n", "-1", "--top-p", "0.9")
    assert ended.count("\n") == 1


def test_max_copy_knows_the_texts_of_all(folder: Path) -> None:
    kept = sample(folder, "-m", "echo", "-m", "lower:5", "-n", "2000", "--max-copy", "2")
    for text in (TEXT, TEXT.lower()):
        assert not any(kept[place : place + 3] in text for place in range(len(kept) - 3))


def test_a_name_with_a_colon_and_a_number_is_a_name(folder: Path) -> None:
    named = folder / "window:0.5"
    shutil.copyfile(folder / "checkpoints/window/model.keras", named)
    try:
        assert sample(folder, "-m", "window:0.5") == sample(folder, "-m", "window")
        both = sample(folder, "-m", "window:0.5:2", "-m", "echo")
        assert both == sample(folder, "-m", "window:2", "-m", "echo:1")
    finally:
        named.unlink()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "echo:-1", "-m", "window"), "weight must be at least 0 and finite, not -1"),
        (("-m", "echo:nan"), "weight must be at least 0 and finite, not nan"),
        (("-m", "echo:0", "-m", "window:0"), "are all 0"),
        (("-m", "echo", "-m", "nobody:0.5"), "no run and no model file nobody."),
        (("-m", "echo:much"), "no run and no model file echo:much. Did you mean echo?"),
    ],
)
def test_mistakes_are_one_line(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    done = invoke_textgen("sample", *arguments, cwd=folder)
    assert done.returncode == 1
    assert message in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_no_models_are_no_mixture() -> None:
    with pytest.raises(textgen.TextgenError, match="no models"):
        textgen.mix([])


def test_the_environment_names_one_model(folder: Path) -> None:
    done = invoke_textgen("sample", "-s", "5", cwd=folder, TEXTGEN_SAMPLE_MODEL="window:0.5")
    assert done.stdout.decode() == sample(folder, "-m", "window")
