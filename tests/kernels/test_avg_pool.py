"""Average pooling with the batch last: the reference's means and gradients, whatever the geometry counts as a tap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.gradient_check import check_pair
from xpcnn.kernels import pool_pieces
from xpcnn.kernels.avg_pool import backward, forward, refuses
from xpcnn.ops.pool import avg_pool2d_backward, avg_pool2d_forward
from xpcnn.ops.window import Window

from ..geometry import geometries, window_of
from .cases import (
    BATCHES,
    DTYPES,
    PIECES,
    WINDOWS,
    assert_same,
    is_batch_last,
    orders,
)


def compare(x, window, include, rng, orders_of=orders):
    expected, reference_cache = avg_pool2d_forward(x, window=window, count_include_pad=include)
    dy = rng.normal(size=expected.shape).astype(x.dtype)
    expected_dx = avg_pool2d_backward(dy, reference_cache)
    gradients = orders_of(dy)
    for name, x_ in orders_of(x).items():
        y, cache = forward(x_, window=window, count_include_pad=include)
        assert_same(y, expected)
        assert is_batch_last(y)
        dx = backward(gradients[name], cache)
        assert_same(dx, expected_dx)
        assert is_batch_last(dx)


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("window", "size"), WINDOWS, ids=lambda each: str(each) if isinstance(each, Window) else "")
def test_agrees_with_the_reference(rng, window, size, dtype, include):
    compare(rng.normal(size=(17, *size, 3)).astype(dtype), window, include, rng)


@given(
    g=geometries(),
    images=st.sampled_from(BATCHES[:3]),
    ceil=st.booleans(),
    include=st.booleans(),
    piece=PIECES,
    seed=st.integers(0, 99),
)
def test_any_geometry(monkeypatch, g, images, ceil, include, piece, seed):
    monkeypatch.setattr(pool_pieces, "PIECE", piece)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(images, *g.size, g.channels))
    compare(x, window_of(g, ceil), include, rng, lambda x: {"C": x})


@pytest.mark.parametrize("images", BATCHES)
def test_batches(rng, images):
    compare(rng.normal(size=(images, 7, 8, 2)).astype("f4"), Window(2, 2, padding=1), False, rng)


@pytest.mark.parametrize("window", [Window(2, 2), Window(3, 2, padding=1)], ids=str)
def test_witnesses(rng, window):
    x = rng.normal(size=(16, 4, 6, 2))
    report = check_pair(
        lambda x: forward(x, window=window), lambda dy, cache: (backward(dy, cache),), {"x": x}, directions=2
    )
    assert report.passed, report


def test_takes_what_counts_as_a_tap():
    assert refuses(np.ones((16, 6, 6, 3)), window=Window(2, 2), count_include_pad=False) is None
