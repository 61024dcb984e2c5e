"""Ctrl-C, SIGTERM and SIGHUP: one line and their status wherever they arrive, and whatever was ignored stays so."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from xpcnn.training.claim import LOCK

from .command import xpcnn_command

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

STATUS = {"SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143}
WORD = {"SIGHUP": "hung up", "SIGINT": "interrupted", "SIGTERM": "terminated"}


def program(module, number, *words):
    """`python -m xpcnn`, in which that signal arrives when that module is imported."""
    return f"""
import os, runpy, signal, sys

class Finder:
    waits = True

    def find_spec(self, name, path=None, target=None):
        if name == {module!r} and self.waits:
            self.waits = False
            os.kill(os.getpid(), signal.{number})

signal.signal(signal.SIGINT, signal.default_int_handler)  # a program in the background begins without
sys.meta_path.insert(0, Finder())
sys.argv = ["xpcnn", *{words!r}]
runpy.run_module("xpcnn", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("xpcnn.cli", "SIGINT"),  # before any of the command line's own code
        ("argparse", "SIGINT"),
        ("xpcnn.cli.train", "SIGINT"),  # while its commands are looked up
        ("numpy", "SIGINT"),
        ("numpy", "SIGTERM"),
        ("numpy.linalg", "SIGINT"),  # where NumPy would make an ImportError of it
        ("xpcnn.training.run", "SIGHUP"),
        ("xpcnn.data.digits", "SIGINT"),
        ("xpcnn.io.safetensors", "SIGTERM"),
    ],
)
def test_a_signal_while_a_module_is_imported(tmp_path, module, number):
    words = ("train", "digits", "--model", "mlp", "--epochs", "1", "--out", "run")
    done = subprocess.run(
        [sys.executable, "-c", program(module, number, *words)],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (STATUS[number], 1), done.stderr
    assert re.match(rf"xpcnn: (interrupted|{WORD[number]})\b", done.stderr)


def test_an_interrupt_that_python_would_lose_arrives_all_the_same(tmp_path):
    """An exception that is raised while an object is cleared up is printed and forgotten."""
    code = """
import os, signal, time
from xpcnn import cli

signal.signal(signal.SIGINT, signal.default_int_handler)

class Cleared:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)

def run(options):
    cleared = Cleared()
    del cleared
    time.sleep(60)

cli._run = run
cli.main(["info"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (130, "xpcnn: interrupted\n")


def test_an_interrupt_that_a_module_makes_another_error_of_is_one(tmp_path):
    code = """
import os, signal
from xpcnn import cli

signal.signal(signal.SIGINT, signal.default_int_handler)

def run(options):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt as error:
        raise ImportError("numpy._core.multiarray failed to import") from error

cli._run = run
cli.main(["info"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (130, "xpcnn: interrupted\n")


def test_a_signal_while_a_command_imports_a_module_waits_until_it_is_imported(tmp_path):
    """A module in C++, such as Matplotlib's, may abort the process if an exception ends its import."""
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.1)\nprint('imported', flush=True)\n"
    )
    code = """
import signal, time
from xpcnn import cli

signal.signal(signal.SIGINT, signal.default_int_handler)

def run(options):
    import slow
    time.sleep(60)

cli._run = run
cli.main(["info"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (130, "imported\n", "xpcnn: interrupted\n")


def training(folder, *, before="", more=()):
    """`xpcnn train` in a process of its own, once its first epoch is done."""
    code = f"import signal, sys; {before}; from xpcnn.cli import main; main(sys.argv[1:])"
    options = ["train", "digits", "--model", "mlp", "--epochs", "400", "--out", "run", *more]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (folder / "run" / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("name", STATUS)
def test_training_finishes_its_step_and_says_by_its_status_what_ended_it(tmp_path, name):
    process = training(tmp_path, before="signal.signal(signal.SIGINT, signal.default_int_handler)")
    process.send_signal(getattr(signal, name))
    if name == "SIGHUP":
        process.send_signal(signal.SIGHUP)  # the shell's, after the system's
    _, errors = process.communicate(timeout=60)
    assert process.returncode == STATUS[name], errors
    assert re.fullmatch(r"xpcnn: interrupted .*; go on with: xpcnn train --resume run\n", errors)
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    assert not (tmp_path / "run" / LOCK).exists()


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT"])
def test_what_is_ignored_when_the_program_starts_stays_ignored(tmp_path, name):
    """As under nohup, or in the background of a script."""
    process = training(tmp_path, before=f"signal.signal(signal.{name}, signal.SIG_IGN)")
    process.send_signal(getattr(signal, name))
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.count("\n")) == (143, 1), errors


def test_a_terminal_that_is_closed(tmp_path):
    """The system sends SIGHUP, and from then on nothing can be written to the terminal: a checkpoint is."""
    import pty

    child, terminal = pty.fork()
    if not child:
        os.chdir(tmp_path)
        words = ["train", "digits", "--model", "mlp", "--epochs", "400", "--out", "run"]
        os.execv(sys.executable, [sys.executable, "-m", "xpcnn", *words])
    deadline = time.monotonic() + 60
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    while not checkpoint.exists() and time.monotonic() < deadline:
        os.read(terminal, 10_000)
    checkpoint.unlink()
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert checkpoint.exists()
    assert not (tmp_path / "run" / "result.json").exists()


def test_a_command_in_the_background_of_a_script_is_not_interrupted(tmp_path):
    # the command takes 0.4 s or more; it may have ended by the second signal
    interrupted = "child=$!; sleep 0.1; kill -INT $child; sleep 0.2; kill -INT $child 2> /dev/null; wait $child"
    script = f"{sys.executable} -m xpcnn summary lenet5 & {interrupted}"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == xpcnn_command("summary", "lenet5", cwd=tmp_path).stdout
