"""Normalisation by given numbers: plain loops, three witnesses for the gradient, and bad input."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import BackendError, DTypeError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.ops.normalize import normalize_backward, normalize_forward

from ..arrays import assert_close

MEAN, STD = np.array([0.5, -1.0, 3.0]), np.array([0.25, 4.0, 0.1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3), (2, 3, 4, 3)])
def test_agrees_with_plain_loops(xp, dtype, shape, rng):
    x, x_ = xp.normal(rng, *shape, dtype=dtype)
    dy, dy_ = xp.normal(rng, *shape, dtype=dtype)
    mean, std = MEAN.astype(dtype), STD.astype(dtype)
    y, dx = np.zeros_like(x), np.zeros_like(x)
    for place in np.ndindex(*shape):
        c = place[-1]
        y[place] = (x[place] - mean[c]) / std[c]
        dx[place] = dy[place] / std[c]
    actual, cache = normalize_forward(x_, xp.array(mean, dtype), xp.array(std, dtype))
    assert_close(actual, y)
    assert_close(normalize_backward(dy_, cache), dx)


def test_witnesses(xp, rng):
    report = check_pair(
        lambda x: normalize_forward(
            x, xp.array(MEAN, str(x.dtype).split(".")[-1]), xp.array(STD, str(x.dtype).split(".")[-1])
        ),
        lambda dy, cache: (normalize_backward(dy, cache),),
        {"x": xp.normal(rng, 4, 3)[1]},
    )
    assert report.passed, report


def test_bad_input_is_refused(xp):
    x, mean, std = xp.array(np.ones((2, 3))), xp.array(MEAN), xp.array(STD)
    for wrong in (np.ones(2), np.ones((1, 3)), np.ones(())):
        with pytest.raises(ShapeError, match=r"Normalize: expected mean \(3,\) for this input"):
            normalize_forward(x, xp.array(wrong), std)
        with pytest.raises(ShapeError, match=r"Normalize: expected std \(3,\) for this input"):
            normalize_forward(x, mean, xp.array(wrong))
    with pytest.raises(DTypeError, match="Normalize: expected arrays of one dtype, got float64 and float32"):
        normalize_forward(x, xp.array(MEAN, "float32"), std)
    with pytest.raises(DTypeError, match="Normalize: expected float32 or float64, got int64"):
        normalize_forward(xp.array(np.ones((2, 3), "i8")), mean, std)
    with pytest.raises(ShapeError, match="skip empty batches"):
        normalize_forward(xp.array(np.ones((0, 3))), mean, std)
    if xp.backend != "numpy":
        with pytest.raises(BackendError, match="arrays of one backend"):
            normalize_forward(x, MEAN, std)
    _, cache = normalize_forward(x, mean, std)
    with pytest.raises(ShapeError, match=r"Normalize backward: expected dy \(2, 3\)"):
        normalize_backward(xp.array(np.ones((3, 2))), cache)
