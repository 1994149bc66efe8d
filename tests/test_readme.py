"""The README: its commands exist, with the options they use; its Python runs."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
from support.small_run import make_run

from textgen.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SPAN = re.compile(r"`(textgen [^`]*)`")
SHELL = re.findall(r"^(?:\$ |    )(.*textgen .*)$", README, re.MULTILINE)
SHELL += re.findall(r"^python3 .*$", README, re.MULTILINE)
SHELL += [span for row in re.findall(r"^\|.*", README, re.MULTILINE) for span in SPAN.findall(row)]
PYTHON = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every call of textgen in the README, as words."""
    found = []
    for line in SHELL:
        for part in re.split(r"\||&&", line):
            words = shlex.split(part)
            places = [n for n, word in enumerate(words) if word.split("/")[-1] == "textgen"]
            if places and len(words) > places[0] + 1:
                found.append(words[places[0] + 1 :])
    return found


def test_the_readme_has_commands() -> None:
    assert {words[0] for words in commands()} == set(main.list_commands(click.Context(main)))


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_of_the_readme_can_be_parsed(words: list[str]) -> None:
    command = main.get_command(click.Context(main), words[0])
    assert command is not None
    command.make_context(words[0], words[1:])


def test_the_gate_finds_the_test_command() -> None:
    script = (ROOT / ".ci/run").read_text()
    (pattern,) = re.findall(r"sed -n '(.*)' README.md", script)
    done = subprocess.run(
        ["sed", "-n", pattern, ROOT / "README.md"], capture_output=True, text=True, check=True
    )
    (line,) = done.stdout.splitlines()
    assert line.endswith("-m pytest")


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, name="echo")
    monkeypatch.chdir(tmp_path)
    (program,) = PYTHON
    names: dict[str, Any] = {}
    exec(program, names)
    assert 0 < names["bpc"] < 21
    assert sum(names["likely"].values()) == pytest.approx(1)
    assert len(names["both"].generate(50)) == 50
    assert names["text"].startswith("the runaway echo")
