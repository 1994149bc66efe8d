"""Runs of several devices, made once."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs of `on_devices`, made in a process that has two devices."""
    folder = tmp_path_factory.mktemp("devices")
    command = [sys.executable, "-m", "support.on_devices", str(folder)]
    done = subprocess.run(command, capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return folder
