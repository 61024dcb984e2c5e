"""The README's code runs and gives the README's results, within the differences between processors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def test_the_code_in_the_readme():
    code, shown = re.search(
        r"```python\n(import xpcnn.*?)```\n\n```text\n(.*?)```", README.read_text(), re.DOTALL
    ).groups()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=os.environ)
    assert done.returncode == 0, done.stderr
    pattern = r"last loss (\S+), test accuracy (\S+)%\n"
    said, now = (re.fullmatch(pattern, text).groups() for text in (shown, done.stdout))
    assert float(now[0]) < 0.1
    assert float(now[1]) == pytest.approx(float(said[1]), abs=1.0)


def test_the_formula_in_the_readme_is_the_one_in_the_code():
    source = (README.parent / "xpcnn" / "ops" / "conv.py").read_text()
    block = README.read_text().partition("See every gradient")[2]
    lines = re.findall(r"```python\n(.*?)```", block, re.DOTALL)[0].splitlines()
    assert lines
    for line in lines:
        assert line.strip() in source
