"""The product that compiled loops call: as NumPy's, for parts of arrays and transposes, and kept with the loop."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from xpcnn.kernels.compiled import loop

PROGRAM = textwrap.dedent("""
    from __future__ import annotations
    import numpy as np
    from xpcnn.kernels.compiled.loop import In2, In3, Out2, loop, part
    from xpcnn.kernels.compiled.product import add_product

    @part
    def of_images(a, b, c, beta):
        for image in range(len(a)):
            add_product(a[image, 1:], b[:, 1:].T, c[1:, 2:], beta)

    @loop
    def trial(a: In3, b: In2, c: Out2, beta: float) -> None:
        of_images(a, b, c, beta)
        add_product(a[0, 1:].T, c[1:, :2], c[:4, 2:4], 0.0)
        add_product(a[0, :0], b.T, c[:0, 2:], 1.0)

    rng = np.random.default_rng(0)
    for number in "fd":
        a, b, c = rng.normal(size=(2, 5, 4)), rng.normal(size=(7, 4 + 1)), rng.normal(size=(5, 9))
        a, b, c = a.astype(number), b.astype(number), c.astype(number)
        expected = c.copy()
        for image in a:
            expected[1:, 2:] += image[1:] @ b[:, 1:].T
        expected[:4, 2:4] = a[0, 1:].T @ expected[1:, :2]
        found = c.copy()
        trial.function(a, b, found, 1.0)
        assert np.allclose(found, expected, atol=1e-5)
        trial(a, b, c, 1.0)
        assert np.allclose(c, expected, atol=1e-5), (c, expected)
""")


@pytest.mark.slow
@pytest.mark.skipif(not loop._is_installed(), reason="numba is not installed")
def test_loop_with_products(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for begins in ("compiling", ""):  # the second time it is read
        run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        assert run.stderr.startswith(begins)
        assert begins or not run.stderr
