"""Convolutions of images in the usual order of memory agree with the reference, and run where they pay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.kernels import padded, pointwise, taps, tiles
from xpcnn.ops import Window, conv2d_backward, conv2d_forward, conv2d_inference, dispatch

from ..geometry import geometries
from .cases import DTYPES, assert_independent_of_threads, assert_same, orders


@pytest.fixture(params=["one block", "pieces", "rows", "shares of filters"])
def blocks(request, monkeypatch):
    if request.param == "pieces":
        monkeypatch.setattr(padded, "SHARE", 1.0)
        monkeypatch.setattr(padded, "POSITIONS", 1)
        monkeypatch.setattr(pointwise, "POSITIONS", 5)
    if request.param == "rows":
        monkeypatch.setattr(padded, "WORKSPACE", 1)
        monkeypatch.setattr(padded, "POSITIONS", 1)
        monkeypatch.setattr(taps, "WIDE", 1)
    if request.param == "shares of filters":
        monkeypatch.setattr(padded, "SHARE", 1.0)
        monkeypatch.setattr(taps, "WORKSPACE", 1)
        monkeypatch.setattr(taps, "FILTERS", 1)


@given(g=geometries(), filters=st.integers(1, 5), bias=st.booleans(), dtype=st.sampled_from(DTYPES))
def test_agrees_with_the_reference(blocks, g, filters, bias, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(g.images, *g.size, g.channels)).astype(dtype)
    b = rng.normal(size=filters).astype(dtype) if bias else None
    for kernel, size, pads in ((taps, g.kernel, g.pads), (pointwise, (1, 1), 0)):
        w, window = (
            rng.normal(size=(filters, *size, g.channels)).astype(dtype),
            Window(size, g.stride, pads, g.dilation),
        )
        y, cache = kernel.forward(x, w, b, window=window)
        expected, reference_cache = conv2d_forward(x, w, b, window=window)
        assert_same(y, expected)
        dy = rng.normal(size=y.shape).astype(dtype)
        for got, wanted in zip(kernel.backward(dy, cache), conv2d_backward(dy, reference_cache), strict=True):
            assert_same(got, wanted)


@given(
    size=st.tuples(st.integers(1, 13), st.integers(1, 13)),
    pads=st.tuples(*[st.integers(0, 4)] * 4),
    images=st.integers(1, 3),
    bias=st.booleans(),
    order=st.sampled_from(["C", "batch last", "strided", "turned"]),
    dtype=st.sampled_from(DTYPES),
)
@pytest.mark.parametrize("many", [False, True])
def test_tiles_full_and_not(many, size, pads, images, bias, order, dtype):
    """In one block, and in blocks of one row of tiles."""
    if min(size[0] + pads[0] + pads[1], size[1] + pads[2] + pads[3]) < 3:
        return
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(images, *size, 3)).astype(dtype), rng.normal(size=(5, 3, 3, 3)).astype(dtype)
    b, window = rng.normal(size=5).astype(dtype) if bias else None, Window(3, padding=pads)
    expected, reference_cache = conv2d_forward(x, w, b, window=window)
    dy = rng.normal(size=expected.shape).astype(dtype)
    epilogue = {"window": window, "scale": w[:, 0, 0, 0], "relu": True}
    with pytest.MonkeyPatch.context() as patch:
        if many:
            patch.setattr(tiles, "WORKSPACE", 1)
            patch.setattr(tiles, "FEWEST", 1)
        inferred = tiles.inference(orders(x)[order], w, b, **epilogue)
        y, cache = tiles.forward(orders(x)[order], w, b, window=window)
        gradients = tiles.backward(orders(dy)[order], cache)
    assert_same(y, expected)
    assert_same(inferred, conv2d_inference(x, w, b, **epilogue))
    for got, wanted in zip(gradients, conv2d_backward(dy, reference_cache), strict=True):
        assert_same(got, wanted)


@pytest.mark.parametrize("kernel", [taps, pointwise, tiles])
@pytest.mark.parametrize("stride", [1, 2])
def test_results_do_not_depend_on_the_number_of_threads(kernel, stride, monkeypatch):
    if kernel is tiles and stride == 2:
        return
    monkeypatch.setattr(padded, "WORKSPACE", 1 << 17)  # several blocks
    monkeypatch.setattr(tiles, "WORKSPACE", 1 << 17)
    size = 1 if kernel is pointwise else 3
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(9, 31, 30, 16)).astype("f4"), rng.normal(size=(24, size, size, 16)).astype("f4")

    def run():
        y, cache = kernel.forward(x, w, w[:, 0, 0, 0], window=Window(size, stride, size // 2))
        return [y, *kernel.backward(y, cache)]

    assert_independent_of_threads(run, monkeypatch)


@pytest.mark.parametrize(
    ("images", "channels", "window", "last", "name"),
    [
        (16, 16, Window(3, padding=1), False, "taps"),
        (32, 16, Window(3, padding=1), False, "winograd"),
        (16, 48, Window(3, padding=1), False, "tiles"),
        (16, 48, Window(3, padding=1), True, "tiles"),
        (1, 48, Window(3, padding=1), False, "im2col"),
        (32, 48, Window(3, padding=1), True, "winograd"),
        (16, 16, Window(3, padding=1), True, "winograd"),
        (64, 16, Window(3, 2, 1), False, "taps"),
        (64, 16, Window(3, padding=2, dilation=2), False, "taps"),
        (64, 16, Window(3, 2, 1), True, "rows"),
        (64, 3, Window(3, 2, 1), False, "rows"),
        (64, 16, Window(7, padding=3), False, "rows"),
        (4, 16, Window(3, padding=1), False, "im2col"),
        (4, 16, Window(1), False, "pointwise"),
        (64, 16, Window(1, 2), False, "pointwise"),
        (64, 16, Window(1), True, "rows"),
        (16, 16, Window(1), True, "pointwise"),
    ],
)
def test_what_runs(images, channels, window, last, name):
    x = np.zeros((images, 12, 12, channels), "f4")
    if last:
        x = np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    w = np.zeros((max(channels, 16), *window.kernel, channels), "f4")
    assert dispatch.choose("conv2d", x, w, window=window).name == name
