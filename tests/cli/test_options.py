"""What all commands share: defaults from the environment, completion, help."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.commands import Command, invoke_textgen

from textgen.cli import COMMANDS, main


def completed(line: str, folder: Path) -> list[str]:
    """What bash is offered after `line`."""
    done = invoke_textgen(
        cwd=folder,
        _TEXTGEN_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(len(line.split(" ")) - 1),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().splitlines()


@pytest.mark.parametrize("command", ["prepare", "train"])
def test_sources_complete_by_name(tmp_path: Path, command: str) -> None:
    assert completed(f"textgen {command} gutenberg:bl", tmp_path) == ["plain,gutenberg:blake-poems"]
    assert "plain,builtin:runaway-echo" in completed(f"textgen {command} built", tmp_path)
    assert completed(f"textgen {command} my-b", tmp_path) == ["file,my-b"]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_has_a_variable_of_its_own_name(name: str) -> None:
    """`--json` of train is TEXTGEN_TRAIN_JSON, whatever the code calls it."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            longest = max(parameter.opts, key=len).lstrip("-").replace("-", "_")
            variable = f"TEXTGEN_{name}_{longest}".upper()
            assert longest == parameter.name or variable == parameter.envvar


def test_variables_give_defaults(invoke: Command, trained: Path) -> None:
    variables = {"TEXTGEN_SAMPLE_JSON": "1", "TEXTGEN_SAMPLE_LENGTH": "7"}
    done = invoke("sample", "--seed", "1", cwd=trained, **variables)
    assert len(json.loads(done.stdout)["text"]) == 7
    assert invoke("sample", "-n", "3", cwd=trained, TEXTGEN_SAMPLE_LENGTH="x").returncode == 0
    assert invoke("sample", cwd=trained, TEXTGEN_SAMPLE_LENGTH="x").returncode == 2
    assert invoke("train", TEXTGEN_TRAIN_EPOCHS="0").returncode == 2
    assert invoke("prepare", "builtin:runaway-echo", TEXTGEN_PREPARE_LOWERCASE="1").stdout.islower()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_there_without_the_heavy_libraries(name: str, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from textgen.cli import main\n"
        f"main([{name!r}, '-h'], standalone_mode=False)\n"
        "sys.exit(str({'tensorflow', 'keras', 'nltk', 'h5py', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("Usage: ")
    assert done.stderr == "set()\n"
