"""Prompts: cleaned like the training text, lowered, padded, or replaced by the default."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tiny import tiny_model

from textgen.config import Cleaning, ModelConfig
from textgen.errors import TextgenError
from textgen.generation.prompt import make_prompt, read_prompt_file
from textgen.storage.model_file import Model

CHARACTERS = " abcdeéT"


def model(targets: str = "every", cleaning: Cleaning | None = None) -> Model:
    config = ModelConfig(units=(3,), seq_length=5, targets=targets)
    made = tiny_model(config, "".join(sorted(CHARACTERS)))
    return replace(made, cleaning=cleaning or Cleaning(), default_prompt="dad a")


def read(text: str, on_unknown: str = "error", made: Model | None = None) -> tuple[str, str]:
    """The prompt's text, and what is read."""
    made = made or model()
    prompt = make_prompt(made, text, on_unknown)
    return prompt.text, made.vocabulary.decode(prompt.ids)


def test_a_known_prompt_is_read_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "textgen")
    assert read("Tea é ") == ("Tea é ", "Tea é ")
    assert not caplog.messages


def test_without_a_prompt_the_default_is_read_and_not_shown() -> None:
    assert read("") == ("", "dad a")


def test_the_prompt_is_cleaned_like_the_training_text() -> None:
    assert read("e\u0301a")[0] == "éa"
    assert read("ABED", made=model(cleaning=Cleaning(lowercase=True)))[0] == "abed"
    assert read("ea\u0301", made=model(cleaning=Cleaning(ascii=True)))[0] == "ea"


def test_unknown_capitals_are_lowered_with_a_note(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "textgen")
    assert read("Tab ABBEÉ") == ("Tab abbeé", "Tab abbeé")
    assert caplog.messages == ["The model does not know A B E É: read as a b e é."]


def test_an_unknown_character_is_named_with_its_code_point() -> None:
    with pytest.raises(TextgenError, match=r"'z' \(U\+007A, LATIN SMALL LETTER Z\).*--on-unknown"):
        read("abz")
    with pytest.raises(TextgenError, match=r"U\+1F642"):
        read("ab\U0001f642")


def test_unknown_characters_are_skipped_or_replaced() -> None:
    assert read("azbz", "skip") == ("ab", "ab")
    assert read("azb", "replace") == ("a b", "a b")
    assert read("zzz", "skip") == ("", "dad a")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", "dad a"),
        ("b", "ad ab"),
        ("cede", "acede"),
        ("bebeb", "bebeb"),
        ("abcdeabc", "abcdeabc"),
    ],
)
def test_targets_last_precede_a_short_prompt_by_the_default_ones_tail(
    prompt: str, expected: str
) -> None:
    assert read(prompt, made=model("last")) == (prompt, expected)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n", b"\r"])
def test_a_prompt_file_is_read_without_the_newline_at_its_end(
    tmp_path: Path, ending: bytes
) -> None:
    path = tmp_path / "prompt.txt"
    path.write_bytes(b"\xef\xbb\xbfOnce\n" + ending)
    assert read_prompt_file(str(path)) == ("Once\n" if ending else "Once")


def test_stdin_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("é".encode()), "ascii"))
    assert read_prompt_file("-") == "é"


def test_bad_prompt_files(tmp_path: Path) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"caf\xe9")
    with pytest.raises(TextgenError, match=r"latin\.txt is not UTF-8 at byte 3"):
        read_prompt_file(str(latin))
    for nothing in (b"", b"\n"):
        latin.write_bytes(nothing)
        with pytest.raises(TextgenError, match=r"latin\.txt is empty.*which > empties"):
            read_prompt_file(str(latin))
    with pytest.raises(TextgenError, match="No such file"):
        read_prompt_file(str(tmp_path / "none"))
    with pytest.raises(TextgenError, match="Is a directory"):
        read_prompt_file(str(tmp_path))


@given(
    text=st.text(),
    on_unknown=st.sampled_from(["error", "skip", "replace"]),
    targets=st.sampled_from(["every", "last"]),
    cleaning=st.builds(Cleaning, lowercase=st.booleans(), ascii=st.booleans()),
)
def test_any_prompt_is_read_or_refused(
    text: str, on_unknown: str, targets: str, cleaning: Cleaning
) -> None:
    """What is read is known to the model and long enough; only `error` ever refuses."""
    made = model(targets, cleaning)
    try:
        prompt = make_prompt(made, text, on_unknown)
    except TextgenError:
        assert on_unknown == "error"
        return
    assert len(prompt.ids) > 0
    assert int(prompt.ids.max()) < len(made.vocabulary)
    if targets == "last":
        assert len(prompt.ids) >= made.config.seq_length
    assert made.vocabulary.decode(prompt.ids).endswith(prompt.text)
