"""Run the README's `console` blocks and put in what each command printed.

    python docs/refresh_readme.py

A line that begins with `$ ` is a command; what follows it in the block is its output, stdout
and stderr together. All run in order in one temporary folder that holds a copy of the README.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
LONGEST = 120


def run(command: str, folder: str) -> str:
    """What a command prints, stdout and stderr in the order of a terminal."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    )
    lines = done.stdout.decode().rstrip("\n").splitlines()
    return "".join(f"{line[:LONGEST].rstrip()}\n" for line in lines)


def main() -> None:
    """Rewrite README.md in place."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(README, folder)

        def refreshed(block: re.Match[str]) -> str:
            commands = [line[2:] for line in block[0].splitlines() if line.startswith("$ ")]
            return "\n".join(f"$ {command}\n{run(command, folder)}" for command in commands)

        README.write_text(BLOCK.sub(refreshed, README.read_text()))


if __name__ == "__main__":
    main()
