"""The sum in blocks is the reference's, in the first array's memory order."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import DTypeError, ShapeError
from xpcnn.kernels.add import forward, refuses
from xpcnn.kernels.elementwise import BLOCK, MINIMUM_SIZE

from .cases import DTYPES, assert_independent_of_threads, is_batch_last, orders


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(16, 9, 8, 8), (1, 7, 13, 5), (17, 33), (33, 1, 70, 70)])
def test_is_the_sum(rng, shape, dtype):
    a, b = rng.normal(size=shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    for a_ in orders(a).values():
        for b_ in orders(b).values():
            y = forward(a_, b_)
            assert y.dtype == a.dtype
            np.testing.assert_array_equal(y, a + b)
    assert is_batch_last(forward(orders(a)["batch last"], b))


def test_does_not_depend_on_the_number_of_threads(rng, monkeypatch):
    a, b = rng.normal(size=3 * BLOCK + 1), rng.normal(size=3 * BLOCK + 1)
    assert_independent_of_threads(lambda: [forward(a, b)], monkeypatch)


def test_refuses_small_and_complex_arrays():
    large = np.zeros(MINIMUM_SIZE)
    assert refuses(large, large) is None
    assert refuses(large[1:], large[1:]) == f"there are fewer than {MINIMUM_SIZE} numbers"
    assert refuses(large, large.astype(complex)) == "the numbers are not real"
    assert refuses([1.0], large) == "the arrays are not NumPy's"


def test_bad_input_is_one_clear_line():
    with pytest.raises(ShapeError, match=r"add: expected two arrays of one shape \(9000,\), got \(9001,\)"):
        forward(np.zeros(9000), np.zeros(9001))
    with pytest.raises(DTypeError, match="float64 and float32"):
        forward(np.zeros(9000), np.zeros(9000, np.float32))
