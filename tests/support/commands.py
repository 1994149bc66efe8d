"""The command, run in this process or in one of its own; both report the same things."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from click.testing import CliRunner

from textgen.cli import main

Done = subprocess.CompletedProcess[bytes]
Command = Callable[..., Done]


def run_textgen(
    *arguments: str | bytes | Path, cwd: Path, stdin: bytes = b"", **environment: str
) -> Done:
    """Run the real command in a process of its own; stdin is empty unless given."""
    return subprocess.run(
        [sys.executable, "-m", "textgen", *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env=os.environ | environment,
        timeout=240,
        check=False,
    )


def invoke_textgen(
    *arguments: str | bytes | Path, cwd: Path, stdin: bytes = b"", **environment: str
) -> Done:
    """Run the command in this process, so that TensorFlow is imported once for all tests.

    What would be a traceback, a bug, is raised. Not for what a process has of its own: a real
    stdout, a terminal, signals, memory, the number of devices, the time since it started.
    """
    words = [os.fsdecode(argument) for argument in arguments]
    with chdir(cwd), signals_restored():
        done = CliRunner().invoke(
            main,
            words,
            input=stdin,
            env=environment,
            catch_exceptions=False,
            prog_name="textgen",
        )
    return Done(words, done.exit_code, done.stdout_bytes, done.stderr_bytes)


@contextmanager
def signals_restored() -> Iterator[None]:
    """`train` takes signals for itself; give them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def invoke_in(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, in a folder; what it writes as text."""
    done = invoke_textgen(*arguments, cwd=folder)
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
