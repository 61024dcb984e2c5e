"""Zeros around items with the batch last: exactly the reference's, for any number of axes and any widths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.kernels import zero_pad
from xpcnn.kernels.batch_last import MINIMUM_BATCH
from xpcnn.kernels.zero_pad import IMPLEMENTATION, backward, forward, refuses
from xpcnn.ops.pad import zero_pad_backward, zero_pad_forward

from .cases import BATCHES, DTYPES, assert_independent_of_threads, is_batch_last, orders

PAIRS = st.tuples(st.integers(0, 3), st.integers(0, 3))


def compare(x, widths, rng, orders_of=orders):
    expected, reference_cache = zero_pad_forward(x, widths)
    dy = rng.normal(size=expected.shape).astype(x.dtype)
    gradients = orders_of(dy)
    for name, x_ in orders_of(x).items():
        y, cache = forward(x_, widths)
        dx = backward(gradients[name], cache)
        for actual, wanted in ((y, expected), (dx, zero_pad_backward(dy, reference_cache))):
            assert actual.dtype == x.dtype
            np.testing.assert_array_equal(actual, wanted)
            assert name == "C" or not is_batch_last(x_) or is_batch_last(actual)


@pytest.mark.parametrize("images", BATCHES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees_with_the_reference(rng, images, dtype):
    compare(rng.normal(size=(images, 5, 4, 3)).astype(dtype), [(1, 2), (3, 0), (0, 0)], rng)
    compare(rng.normal(size=(images, 5)).astype(dtype), [(2, 1)], rng)


@given(
    widths=st.lists(PAIRS, min_size=1, max_size=4),
    images=st.integers(16, 20),
    piece=st.sampled_from([1, 50, 200, 1 << 16]),
    data=st.data(),
)
def test_any_widths(monkeypatch, widths, images, piece, data):
    """Some pieces are nothing but zeros, before the images or after them."""
    monkeypatch.setattr(zero_pad, "PIECE", piece)
    sizes = [data.draw(st.integers(1, 4)) for _ in widths]
    rng = np.random.default_rng(0)
    compare(rng.normal(size=(images, *sizes)), widths, rng, lambda x: {"C": x})


def test_nan_is_carried_along():
    x = np.full((16, 2, 1), np.nan)
    y, cache = forward(x, [(1, 0), (0, 0)])
    np.testing.assert_array_equal(y, zero_pad_forward(x, [(1, 0), (0, 0)])[0])
    assert np.isnan(backward(y, cache)).all()


def test_independent_of_threads(rng, monkeypatch):
    monkeypatch.setattr(zero_pad, "PIECE", 1 << 8)
    x = rng.normal(size=(33, 14, 15, 2)).astype("f4")

    def run():
        y, cache = forward(x, [(1, 2), (2, 3), (0, 1)])
        return [y, backward(y, cache)]

    assert_independent_of_threads(run, monkeypatch)


def test_refuses():
    assert IMPLEMENTATION.refuses is refuses
    x, widths = np.ones((16, 2)), [(1, 1)]
    assert refuses(x, widths) is None
    assert refuses(x[: MINIMUM_BATCH - 1], widths) == f"there are fewer than {MINIMUM_BATCH} images"
    with pytest.raises(OptionError, match=r"zero_pad: expected widths"):
        forward(x, [(-1, 0)])
    with pytest.raises(ShapeError, match=r"zero_pad: expected a batch"):
        forward(x, [(1, 1), (1, 1)])
    with pytest.raises(DTypeError, match=r"zero_pad: expected float32 or float64"):
        forward(np.ones((16, 2), "int64"), widths)
    _, cache = forward(x, widths)
    with pytest.raises(ShapeError, match=r"zero_pad backward: expected dy \(16, 4\)"):
        backward(x, cache)
    with pytest.raises(DTypeError, match=r"zero_pad backward: expected float32"):
        backward(np.ones((16, 4), "int64"), cache)
