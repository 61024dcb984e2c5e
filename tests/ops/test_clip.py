"""Clipping and signs are those of the array API standard's own functions, NaN and infinities included."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.ops.clip import clip, sign

from ..arrays import assert_close

VALUES = np.array([[-np.inf, -2.0, -0.5, -0.0], [0.0, 0.5, 2.0, np.inf]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bounds", [(-1, 1), (0.0, np.inf), (0.25, 0.25), (-np.inf, 0.5)])
def test_clip(xp, dtype, bounds):
    assert_close(clip(xp.array(VALUES, dtype), *bounds), np.clip(VALUES, *bounds), dtype=dtype)


def test_bounds_that_the_dtype_does_not_hold(xp):
    for bounds in ((-1e39, 1e39), (0.0, 1e300), (-1e300, -1.0)):
        expected = np.minimum(np.maximum(VALUES, bounds[0]), bounds[1])
        expected[np.abs(expected) > 1e38] *= np.inf
        assert_close(clip(xp.array(VALUES, "float32"), *bounds), expected, dtype="float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sign(xp, dtype):
    assert_close(sign(xp.array(VALUES, dtype)), np.sign(VALUES), dtype=dtype)


def test_nan_stays(xp):
    nan = xp.array([np.nan, 5.0])
    assert_close(clip(nan, -1, 1), [np.nan, 1.0])
    assert_close(sign(nan), [np.nan, 1.0])
    assert_close(clip(xp.array(np.array(7.0)), 1.0, 3.0), np.array(3.0))
