"""The commands of the page "Several processes" run as they are written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import xpcnn

ROOT = Path(xpcnn.__file__).parent.parent
MPIEXEC = Path(sys.executable).with_name("mpiexec")
PAGE = (ROOT / "docs/howto/processes.md").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not MPIEXEC.exists(), reason="no mpiexec beside Python")
@pytest.mark.skipif(os.environ.get("XPCNN_BACKEND", "numpy") != "numpy", reason="bits of NumPy")
def test_the_page_is_run_as_written(tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if not line.startswith("pip ")]
    resumed = re.search(r"`(xpcnn train --resume [^`]*)`", PAGE)
    text = "\n".join(["set -eu", 'xpcnn() { python -m xpcnn "$@"; }', *lines, resumed[1]])
    settings = {
        **os.environ,
        "PATH": f"{MPIEXEC.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(["bash", "-c", text], cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("test accuracy") == 4
