"""Compiled loops are compiled once, which is said, kept, and read again by others; also where nothing can be kept."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .test_compiled import needs_numba

TWICE = textwrap.dedent("""
    import sys
    from pathlib import Path
    import numpy as np
    from xpcnn.kernels.compiled import kept, loop
    from xpcnn.kernels.compiled.loop import In1, Out1

    def twice(x: "In1", y: "Out1"):
        for k in range(len(x)):
            y[k] = 2 * x[k]

    kept.kept_in = lambda: Path(sys.argv[1])
    double = loop.loop(twice)
    y = np.zeros(3, "f4")
    double(np.arange(3, dtype="f4"), y)
    double(np.arange(3, dtype="f4"), y)
    assert y.tolist() == [0, 2, 4]
""")


def compile_in(folder: Path) -> subprocess.Popen[str]:
    """A program that compiles a single loop, kept in that folder."""
    return subprocess.Popen([sys.executable, "-c", TWICE, str(folder)], stderr=subprocess.PIPE, text=True)


@needs_numba
@pytest.mark.slow
def test_they_are_compiled_once_and_kept(tmp_path):
    folder = tmp_path / "kept"
    both = [compile_in(folder), compile_in(folder)]  # at the same time
    said = {each.communicate()[1] for each in both}
    assert [each.returncode for each in both] == [0, 0]
    own = folder / "float32" / "__main__"
    assert any(f"s, kept in {own}\n" in text for text in said)
    again = compile_in(folder)
    assert (again.communicate()[1], again.returncode) == ("", 0)
    for path in own.iterdir():  # cut off, as by a full disk
        path.write_bytes(path.read_bytes()[:40])
    repaired = compile_in(folder)
    assert repaired.communicate()[1].startswith("compiling 1 loop of __main__ for float32, ")
    (tmp_path / "file").write_text("no folder can be made here")
    nowhere = compile_in(tmp_path / "file")
    assert "s, not kept (" in nowhere.communicate()[1]
    assert nowhere.returncode == repaired.returncode == 0
