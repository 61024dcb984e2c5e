"""Global average pooling with the batch last: the reference's means and gradients, which are arrays of their own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.errors import DTypeError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.kernels import global_pool
from xpcnn.kernels.batch_last import MINIMUM_BATCH
from xpcnn.kernels.global_pool import IMPLEMENTATION, backward, forward, refuses
from xpcnn.ops.global_pool import global_avg_pool2d_backward, global_avg_pool2d_forward

from .cases import BATCHES, DTYPES, assert_independent_of_threads, assert_same, is_batch_last, orders


def compare(x, rng, orders_of=orders):
    expected, reference_cache = global_avg_pool2d_forward(x)
    dy = rng.normal(size=expected.shape).astype(x.dtype)
    gradients = orders_of(dy)
    for name, x_ in orders_of(x).items():
        y, cache = forward(x_)
        assert_same(y, expected)
        dx = backward(gradients[name], cache)
        assert_same(dx, np.array(global_avg_pool2d_backward(dy, reference_cache)))
        assert name == "C" or not is_batch_last(x_) or is_batch_last(dx)
        assert dx.flags.writeable


@pytest.mark.parametrize("images", BATCHES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees_with_the_reference(rng, images, dtype):
    compare(rng.normal(size=(images, 7, 6, 5)).astype(dtype), rng)
    compare(rng.normal(size=(images, 1, 1, 1)).astype(dtype), rng)


@given(
    images=st.integers(16, 40),
    item=st.tuples(*[st.integers(1, 6)] * 3),
    run=st.sampled_from([1, 7, 1 << 12]),
    piece=st.sampled_from([1, 100, 1 << 16]),
)
def test_pieces_of_any_size(monkeypatch, images, item, run, piece):
    monkeypatch.setattr(global_pool, "RUN", run)
    monkeypatch.setattr(global_pool, "PIECE", piece)
    rng = np.random.default_rng(0)
    compare(rng.normal(size=(images, *item)), rng, lambda x: {"C": x})


def test_witnesses(rng):
    x = rng.normal(size=(16, 3, 2, 2))
    report = check_pair(forward, lambda dy, cache: (backward(dy, cache),), {"x": x}, directions=2)
    assert report.passed, report


def test_independent_of_threads(rng, monkeypatch):
    monkeypatch.setattr(global_pool, "RUN", 50)
    monkeypatch.setattr(global_pool, "PIECE", 1 << 10)
    x = rng.normal(size=(33, 14, 15, 8)).astype("f4")

    def run():
        y, cache = forward(x)
        return [y, backward(y, cache)]

    assert_independent_of_threads(run, monkeypatch)


def test_refuses():
    assert IMPLEMENTATION.refuses is refuses
    x = np.ones((16, 6, 6, 3))
    assert refuses(x) is None
    assert refuses(x[: MINIMUM_BATCH - 1]) == f"there are fewer than {MINIMUM_BATCH} images"
    with pytest.raises(ShapeError, match=r"GlobalAvgPool2d: expected input \(N, H, W, C\)"):
        forward(x[0])
    with pytest.raises(DTypeError, match=r"GlobalAvgPool2d: expected float32 or float64, got int64"):
        forward(np.ones((16, 6, 6, 3), "int64"))
    _, cache = forward(x)
    with pytest.raises(ShapeError, match=r"GlobalAvgPool2d backward: expected dy \(16, 3\)"):
        backward(x, cache)
    with pytest.raises(DTypeError, match=r"GlobalAvgPool2d backward: expected float32"):
        backward(np.ones((16, 3), "int64"), cache)
