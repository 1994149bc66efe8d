"""Real artefacts that many tests need, made once: a corpus, a trained run, the command."""

import os
import signal
from functools import partial
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import settings
from support.commands import Command, invoke_textgen, run_textgen

# No test asserts a time: the machine may be busy.
settings.register_profile("textgen", deadline=None)
settings.load_profile("textgen")
# A shell's background job ignores Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Before NumPy is imported: two BLAS threads fight with the other test process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Tests compile hundreds of programs that run for milliseconds, so XLA had better compile fast than
# well. `XLA_FLAGS= pytest` compiles as a user's training does.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)
# Tests that are not about the base train from nothing, which is faster.
os.environ["TEXTGEN_TRAIN_FROM"] = "none"
# So that processes of the tests find the tests' own modules.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)


@pytest.fixture
def textgen(tmp_path: Path) -> Command:
    """The command as a process of its own, in a folder of the test's own."""
    return partial(run_textgen, cwd=tmp_path)


@pytest.fixture
def invoke(tmp_path: Path) -> Command:
    """The command within this process, in a folder of the test's own."""
    return partial(invoke_textgen, cwd=tmp_path)


@pytest.fixture(scope="session")
def story() -> str:
    """The story that ships with textgen."""
    return (resources.files("textgen.corpora") / "runaway-echo.txt").read_text("utf-8")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `echo`, a small model trained on the story for three epochs."""
    folder = tmp_path_factory.mktemp("trained")
    options = ["--units", "64", "--batch-size", "16", "--dropout", "0.1", "--epochs", "3"]
    options += ["--name", "echo"]
    done = invoke_textgen("train", "builtin:runaway-echo", *options, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return folder
