"""The sum of two arrays, and its errors."""

from __future__ import annotations

import pytest

from xpcnn.errors import DTypeError, ShapeError
from xpcnn.ops import add

from ..arrays import assert_close


def test_is_the_sum(xp, rng):
    (a, a_), (b, b_) = xp.normal(rng, 3, 4), xp.normal(rng, 3, 4)
    assert_close(add(a_, b_), a + b)


def test_bad_input_is_one_clear_line(xp, rng):
    _, a = xp.normal(rng, 3, 4)
    with pytest.raises(ShapeError, match=r"one shape \(3, 4\), got \(1, 4\)"):
        add(a, a[:1, :])
    with pytest.raises(DTypeError, match="float64 and float32"):
        add(a, xp.normal(rng, 3, 4, dtype="float32")[1])
