"""ci/gpu.sh: every stage leaves a report, whatever ends it; `--minutes` ends stages that take too long.

Stages are a stand-in for Python that sleeps; the report is made by the real `ci.gpu_report`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import xpcnn
from ci import gpu_report

ROOT = Path(xpcnn.__file__).parent.parent
STAGES = ("doctor", "agreement", "bench", "pytest", "graphs")
PYTHON = """#!/bin/bash
case "$*" in *ci.gpu_report*) exec "{python}" "$@";; *"{hangs}"*) echo "begun"; touch "{folder}/begun"; sleep 30;; esac
case "$*" in *"{fails}"*) echo "no GPU here"; exit 3;; esac
echo "did $*"
"""

pytestmark = pytest.mark.skipif(shutil.which("timeout") is None, reason="needs bash and timeout")


def script(folder: Path, *arguments: str, hangs: str = "nothing", fails: str = "nothing") -> subprocess.Popen:
    python = folder / "python"
    python.write_text(PYTHON.format(python=sys.executable, hangs=hangs, fails=fails, folder=folder))
    python.chmod(0o700)
    command = ["bash", str(ROOT / "ci" / "gpu.sh"), *arguments, str(folder / "report")]
    environment = os.environ | {"PYTHON": str(python), "XPCNN_BACKEND": "cupy"}
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.PIPE, text=True)


def reported(folder: Path) -> dict[str, int]:
    path = folder / "report" / "gpu.json"
    return {part["name"]: part["status"] for part in json.loads(path.read_text())["parts"]} if path.exists() else {}


NAMES = ("doctor", "agreement", "benchmark", "suite", "graphs")


@pytest.mark.parametrize("number", range(5))
def test_killed_at_any_stage_it_leaves_the_report_of_those_before(number, tmp_path):
    run = script(tmp_path, "--minutes", "2", hangs=STAGES[number])
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert reported(tmp_path) == dict.fromkeys(NAMES[:number], 0)


def test_a_stage_that_fails_is_in_the_report_and_the_others_run(tmp_path):
    run = script(tmp_path, fails="ci.agreement")
    run.communicate(timeout=60)
    assert run.returncode == 1
    assert reported(tmp_path) == dict.fromkeys(NAMES, 0) | {"agreement": 3}
    text = (tmp_path / "report" / "gpu.md").read_text()
    assert "| agreement | **failed** |" in text
    assert "no GPU here" in text


@pytest.mark.slow
def test_a_stage_that_takes_too_long_is_ended(tmp_path):
    run = script(tmp_path, "--minutes", "1", hangs="doctor")
    run.communicate(timeout=100)
    assert run.returncode == 0
    assert reported(tmp_path) == dict.fromkeys(NAMES, 0) | {"doctor": 124}
    assert "| doctor | out of time |" in (tmp_path / "report" / "gpu.md").read_text()


def test_a_suite_that_is_killed_leaves_what_had_run(tmp_path):
    (tmp_path / "test_some.py").write_text(
        "import os, pytest\n@pytest.mark.parametrize('n', range(4))\ndef test(n):\n    assert n != 1\n"
        "    if n == 2:\n        pytest.skip()\n    if n == 3:\n        os.kill(os.getppid(), 9)\n"
    )
    command = [sys.executable, "-m", "pytest", "-v", "-n", "1", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert ran.returncode == -signal.SIGKILL
    (tmp_path / "suite.txt").write_text(ran.stdout)
    found = gpu_report._suite(tmp_path / "suite.txt")
    assert (found["passed"], found["failed"], found["skipped"]) == (1, 1, 1)
    assert [name.rpartition("::")[2] for name in found["not passed"]] == ["test[1]"]


@pytest.mark.parametrize("minutes", ["", "0", "twelve"])
def test_minutes_are_a_whole_number(minutes, tmp_path):
    run = script(tmp_path, "--minutes", minutes)
    run.communicate(timeout=60)
    assert run.returncode == 2
