"""Snapshot tests: a file has output that somebody has checked, and the output must stay the same.

After an intended change: delete the file, run the test, which writes a new one, and check the difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest


def assert_same(path: Path, lines: Iterable[str]) -> None:
    found = [each.rstrip() for line in lines for each in line.splitlines() or [""]]
    if not path.exists():
        path.write_text("\n".join(found) + "\n", encoding="utf-8")
        pytest.fail(f"{path.name} is new: look at it, and keep it if it is right")
    assert found == path.read_text("utf-8").splitlines(), f"delete {path.name} and run again if the change is meant"
