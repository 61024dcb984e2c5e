"""Compiled convolution, channels last: the reference's numbers for every geometry, direct and by Winograd's tiles.

In every memory order, in units of any size, for filters of all parts of vectors, and the same bits for any number of
threads.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.kernels.compiled import conv, conv_direct, conv_tiles, loop
from xpcnn.ops import Window, conv2d_backward, conv2d_forward, conv2d_inference

from ..geometry import geometries
from .cases import DTYPES, assert_independent_of_threads, assert_same, orders

needs_numba = pytest.mark.skipif(not loop._is_installed(), reason="numba is not installed")


@pytest.fixture(params=["large units", "small units", "units of filters"])
def units(request, monkeypatch):
    if request.param == "small units":
        monkeypatch.setattr(conv_direct, "UNIT", 1.0)
        monkeypatch.setattr(conv_direct, "PIECE", 1)
        monkeypatch.setattr(conv_direct, "POSITIONS", 1)
        monkeypatch.setattr(conv_tiles, "WORKSPACE", 1)
        monkeypatch.setattr(conv_tiles, "TILES", 3)
    if request.param == "units of filters":
        monkeypatch.setattr(conv_direct, "LARGE", 0)


@pytest.fixture
def tiled(monkeypatch):
    monkeypatch.setattr(conv_tiles, "CHANNELS", 1)
    monkeypatch.setattr(conv_tiles, "FILLED", 0.0)
    monkeypatch.setattr(conv_tiles, "SUMMED", 1)


def arrays(rng, images, size, channels, filters, kernel, groups, dtype):
    shapes = (images, *size, channels * groups), (filters * groups, *kernel, channels), (filters * groups,)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def compare(x, w, b, window, groups=1, order="C", factor=5.0):
    y, cache = conv.forward(orders(x)[order], w, b, window=window, groups=groups)
    expected, reference_cache = conv2d_forward(x, w, b, window=window, groups=groups)
    assert_same(y, expected, factor)
    dy = np.random.default_rng(3).normal(size=y.shape).astype(x.dtype)
    wanted = conv2d_backward(dy, reference_cache)
    for actual, each in zip(conv.backward(orders(dy)[order], cache), wanted, strict=True):
        assert_same(actual, each, factor)
    assert conv.backward(dy, cache, input_grad=False)[0] is None
    assert conv.backward(dy, cache, weight_grad=False)[1:] == (None, None)


@needs_numba
@given(
    g=geometries(),
    groups=st.integers(1, 4),
    filters=st.sampled_from([1, 2, 3, 18]),
    bias=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from(["C", "F", "batch last", "strided", "turned"]),
)
def test_every_geometry(units, g, groups, filters, bias, dtype, order):
    rng = np.random.default_rng(0)
    x, w, b = arrays(rng, g.images, g.size, g.channels, filters, g.kernel, groups, dtype)
    compare(x, w, b if bias else None, Window(g.kernel, g.stride, g.pads, g.dilation), groups, order)


@needs_numba
@given(
    g=geometries(),
    groups=st.integers(1, 3),
    bias=st.booleans(),
    scaled=st.booleans(),
    relu=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
def test_inference(units, tiled, g, groups, bias, scaled, relu, dtype):
    rng = np.random.default_rng(0)
    x, w, b = arrays(rng, g.images, g.size, g.channels, 2, g.kernel, groups, dtype)
    scale = rng.normal(size=len(b)).astype(dtype) if scaled else None
    options = {"window": Window(g.kernel, g.stride, g.pads, g.dilation), "groups": groups, "scale": scale, "relu": relu}
    given_b = b if bias else None
    assert_same(conv.inference(x, w, given_b, **options), conv2d_inference(x, w, given_b, **options), 5.0)


@needs_numba
@given(
    size=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    pads=st.tuples(*[st.integers(1, 3)] * 4),
    images=st.integers(1, 3),
    channels=st.integers(1, 5),
    filters=st.integers(1, 5),
    dtype=st.sampled_from(DTYPES),
)
def test_tiles_full_and_not(units, tiled, size, pads, images, channels, filters, dtype):
    x, w, b = arrays(np.random.default_rng(0), images, size, channels, filters, (3, 3), 1, dtype)
    compare(x, w, b, Window(3, padding=pads), factor=20.0)


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("filters", [5, 8, 16, 20, 32, 40, 75])
@pytest.mark.parametrize(
    ("size", "channels", "window", "groups"),
    [
        ((5, 33), 3, Window(3, padding=1), 1),  # tiles along a row
        ((2, 3), 17, Window(3, padding=(1, 0, 2, 1)), 1),  # and along images
        ((4, 5), 20, Window(1), 1),
        ((4, 5), 3, Window(1, padding=(0, 1, 0, 2)), 1),  # more positions than the image has
        ((6, 7), 6, Window((3, 2), (2, 1), 1), 3),
    ],
)
def test_filters_of_all_parts_of_vectors(dtype, filters, size, channels, window, groups):
    compare(*arrays(np.random.default_rng(0), 9, size, channels, filters, window.kernel, groups, dtype), window, groups)


@needs_numba
def test_numbers_that_are_none_stay_where_they_are():
    x, w, b = arrays(np.random.default_rng(0), 2, (5, 6), 2, 3, (3, 3), 2, "float32")
    x[1, 2, 3, 0], x[0, 0, 0, 3] = np.nan, np.inf
    options = {"window": Window(3, padding=1), "groups": 2}
    expected, actual = (each(x, w, b, **options, relu=True) for each in (conv2d_inference, conv.inference))
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(actual), np.isinf(expected))


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("channels", "options"), [(5, {}), (33, {}), (6, {"stride": 2}), (4, {"dilation": 2})])
def test_independent_of_threads(monkeypatch, dtype, channels, options):
    monkeypatch.setattr(conv_direct, "UNIT", 1e4)
    monkeypatch.setattr(conv_tiles, "WORKSPACE", 1)
    x, w, b = arrays(np.random.default_rng(4), 9, (15, 16), channels, channels, (3, 3), 1, dtype)

    def run():
        y, cache = conv.forward(x, w, b, window=Window(3, padding=1, **options))
        return [y, *conv.backward(y, cache)]

    assert_independent_of_threads(run, monkeypatch)


@needs_numba
def test_without_being_compiled_they_compute_the_same(monkeypatch, tiled):
    monkeypatch.setattr(loop.Loop, "__call__", lambda self, *given: self.function(*given))
    x, w, b = arrays(np.random.default_rng(0), 2, (5, 6), 2, 3, (3, 3), 1, "float64")
    for options in ({}, {"stride": 2}):
        compare(x, w, b, Window(3, padding=1, **options))


@needs_numba
@pytest.mark.parametrize(
    ("x", "w", "window", "order", "reason"),
    [
        ((7, 9, 9, 3), (16, 3, 3, 3), Window(3), "batch last", None),
        ((8, 9, 9, 8), (16, 3, 3, 8), Window(3), "batch last", "the batch is last in memory"),
        ((32, 9, 9, 7), (16, 3, 3, 7), Window(3), "C", "there are 32 images or more with fewer than 8 channels"),
        ((8, 9, 9, 8), (16, 3, 3, 8), Window(3), "C", None),
        ((32, 10, 9, 8), (16, 3, 3, 8), Window(3), "C", "`winograd` is faster"),
        ((32, 10, 9, 8), (16, 3, 3, 8), Window(3, 2), "C", None),
        ((7, 9, 9), (16, 3, 3, 8), Window(3), "C", "the arrays are not those of a convolution"),
    ],
)
def test_refuses(x, w, window, order, reason):
    assert conv.refuses(orders(np.zeros(x))[order], np.zeros(w), window=window) == reason
    assert conv.refuses(np.zeros(x, "f2"), np.zeros(w), window=window) is not None
