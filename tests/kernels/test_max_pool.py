"""Maximum pooling with the batch last: exactly the reference's maxima, winners and gradients, ties and NaN included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.kernels import pool_pieces
from xpcnn.kernels.max_pool import backward, forward
from xpcnn.ops.pool import max_pool2d_backward, max_pool2d_forward
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


def special(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """All different; small integers, with ties; those with NaN and both infinities; almost nothing but −∞."""
    if kind == "normal":
        return rng.normal(size=shape)
    x = rng.integers(-3, 0, shape).astype("f8")
    if kind == "wild":
        x[rng.random(shape) < 0.2] = np.nan
        x[rng.random(shape) < 0.1] = np.inf
    if kind in ("wild", "infinite"):
        x[rng.random(shape) < (0.3 if kind == "wild" else 0.9)] = -np.inf
    return x


def compare(x, window, rng, orders_of=orders):
    """Forward and backward in several memory orders, against the reference."""
    expected, (winner, *more) = max_pool2d_forward(x, window=window)
    dy = rng.normal(size=expected.shape).astype(x.dtype)
    expected_dx = max_pool2d_backward(dy, (winner, *more))
    gradients = orders_of(dy)
    for name, x_ in orders_of(x).items():
        y, cache = forward(x_, window=window)
        assert y.dtype == x.dtype
        assert is_batch_last(y)
        np.testing.assert_array_equal(y, expected)
        assert cache[0].dtype == winner.dtype
        np.testing.assert_array_equal(np.moveaxis(cache[0], -1, 0), winner)
        dx = backward(gradients[name], cache)
        assert is_batch_last(dx)
        assert_same(dx, expected_dx)


@pytest.mark.parametrize("kind", ["normal", "tied", "wild", "infinite"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("window", "size"), WINDOWS, ids=lambda each: str(each) if isinstance(each, Window) else "")
def test_agrees_with_the_reference(rng, window, size, dtype, kind):
    compare(special(rng, (17, *size, 3), kind).astype(dtype), window, rng)


@given(
    g=geometries(),
    images=st.sampled_from(BATCHES[:3]),
    ceil=st.booleans(),
    kind=st.sampled_from(["normal", "tied", "wild", "infinite"]),
    piece=PIECES,
    seed=st.integers(0, 99),
)
def test_any_geometry(monkeypatch, g, images, ceil, kind, piece, seed):
    monkeypatch.setattr(pool_pieces, "PIECE", piece)
    rng = np.random.default_rng(seed)
    window = window_of(g, ceil)
    compare(special(rng, (images, *g.size, g.channels), kind), window, rng, lambda x: {"C": x})


@pytest.mark.parametrize("images", BATCHES)
def test_batches(rng, images):
    compare(rng.normal(size=(images, 7, 8, 2)).astype("f4"), Window(2, 2), rng)


@pytest.mark.parametrize(("window", "size"), WINDOWS, ids=lambda each: str(each) if isinstance(each, Window) else "")
def test_an_infinite_gradient_goes_to_the_winner_alone(rng, window, size):
    y, cache = forward(rng.normal(size=(16, *size, 2)), window=window)
    dy = np.zeros(y.shape)
    dy[:, 0, 0] = np.inf
    dx = backward(dy, cache)
    _, reference_cache = max_pool2d_forward(rng.normal(size=(16, *size, 2)), window=window)
    reference_cache = (np.moveaxis(cache[0], -1, 0), *reference_cache[1:])
    np.testing.assert_array_equal(dx, max_pool2d_backward(dy, reference_cache))
    assert not np.isnan(dx).any()


def test_more_than_256_taps(rng):
    x = rng.normal(size=(16, 40, 23, 1))
    x[:, 16, 16] = 9.0  # the last of 17 · 17 taps at position (0, 0)
    compare(x, Window((17, 17), stride=(23, 23)), rng)
    _, cache = forward(x, window=Window((17, 17), stride=(23, 23)))
    assert cache[0].dtype == np.int32
    assert (cache[0][0, 0] == 288).all()
