"""Products that add to what is there, by NumPy's own BLAS, from Python and from compiled loops."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.kernels import blas
from xpcnn.kernels.compiled.product import _as_a_loop

needs_gemm = pytest.mark.skipif(blas.gemm("f") is None, reason="NumPy's BLAS is no OpenBLAS")


@needs_gemm
@pytest.mark.parametrize("number", ["f", "d"])
@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("a_order", ["rows", "columns", "a part"])
@pytest.mark.parametrize("b_order", ["rows", "columns", "a part"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 5, 4), (1, 5, 4), (3, 1, 4), (3, 5, 1), (0, 5, 4)])
def test_product_is_added(sizes, a_order, b_order, beta, number):
    m, k, n = sizes
    a, b = _matrix(m, k, a_order, number), _matrix(k, n, b_order, number)
    c = _matrix(m, n, "a part", number)
    expected = a @ b + (c if beta else 0)
    for product in (blas.add_product, _as_a_loop):
        found = _matrix(m, n, "a part", number)
        if not beta:
            found[:] = np.nan  # is not read
        product(a, b, found, beta)
        np.testing.assert_allclose(found, expected, rtol=1e-5 if number == "f" else 1e-12)


@needs_gemm
def test_prepared_product_uses_memory_as_it_is_when_it_is_called():
    a, b, c = _matrix(2, 3, "rows", "f"), _matrix(3, 4, "rows", "f"), np.zeros((2, 4), np.float32)
    run = blas.bound(a, b, c, 0.0)
    a *= 2
    run()
    np.testing.assert_allclose(c, a @ b, rtol=1e-6)


def test_rows_that_overlap_are_no_matrix_of_blas():
    overlapping = np.lib.stride_tricks.as_strided(np.ones(8, np.float32), (4, 3), (4, 4))
    with pytest.raises(AssertionError, match="overlap"):
        blas.add_product(overlapping, np.ones((3, 2), np.float32), np.ones((4, 2), np.float32))


def test_other_numbers_are_refused():
    assert blas.refuses(np.ones(1, np.int32)) is not None
    assert blas.refuses(np.ones(1, np.float32).astype(">f4")) is not None


def _matrix(rows: int, columns: int, order: str, number: str) -> np.ndarray:
    values = np.random.default_rng(rows * 100 + columns).uniform(1, 2, (rows, columns)).astype(number)
    if order == "rows":
        return values
    if order == "columns":
        return np.asfortranarray(values)
    wider = np.zeros((rows, columns + 3), number)
    wider[:, 1 : columns + 1] = values
    return wider[:, 1 : columns + 1]
