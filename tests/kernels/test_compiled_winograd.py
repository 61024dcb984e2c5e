"""Winograd's algorithm in compiled loops: the reference's numbers for tiles full and not, in blocks of any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.kernels.compiled import loop, winograd
from xpcnn.ops import Window, conv2d_backward, conv2d_forward, conv2d_inference, dispatch

from .cases import DTYPES, assert_independent_of_threads, assert_same, is_batch_last, orders

pytestmark = pytest.mark.skipif(not loop._is_installed(), reason="numba is not installed")
SMALL = {"RUN": 8, "TOGETHER": 8, "SHARE": 1.0, "CHANNELS": 2}


@pytest.fixture(params=["one block", "many blocks"])
def blocks(request, monkeypatch):
    if request.param == "many blocks":
        for name, value in SMALL.items():
            monkeypatch.setattr(winograd, name, value)


def arrays(rng, images, size, channels, filters, dtype="float32"):
    shapes = (images, *size, channels), (filters, 3, 3, channels), (filters,)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@given(
    size=st.tuples(st.integers(1, 11), st.integers(1, 13)),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    images=st.sampled_from([1, 3, 8, 19]),
    channels=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    bias=st.booleans(),
    relu=st.booleans(),
    order=st.sampled_from(["C", "batch last", "strided"]),
    dtype=st.sampled_from(DTYPES),
)
def test_every_tile(blocks, size, pads, images, channels, bias, relu, order, dtype):
    if size[0] + pads[0] + pads[1] < 3 or size[1] + pads[2] + pads[3] < 3:
        return
    rng, window = np.random.default_rng(0), Window(3, padding=pads)
    x, w, b = arrays(rng, images, size, *channels, dtype)
    given_x, b = orders(x)[order], b if bias else None
    y, cache = winograd.forward(given_x, w, b, window=window)
    expected, reference_cache = conv2d_forward(x, w, b, window=window)
    assert_same(y, expected)
    assert is_batch_last(y) or order != "batch last"
    dy = rng.normal(size=y.shape).astype(dtype)
    gradients = winograd.backward(orders(dy)[order], cache)
    for actual, wanted in zip(gradients, conv2d_backward(dy, reference_cache), strict=True):
        assert_same(actual, wanted)
    options = {"scale": rng.normal(size=len(w)).astype(dtype), "relu": relu, "window": window}
    assert_same(winograd.inference(given_x, w, b, **options), conv2d_inference(x, w, b, **options), 3)


def test_one_gradient_alone(rng):
    x, w, b = arrays(rng, 32, (8, 8), 8, 8)
    y, cache = winograd.forward(x, w, b, window=Window(3))
    both = winograd.backward(y, cache)
    no_dx, dw, db = winograd.backward(y, cache, input_grad=False)
    dx, *none = winograd.backward(y, cache, weight_grad=False)
    assert no_dx is None
    assert none == [None, None]
    for one, other in zip((dx, dw, db), both, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("images", [9, 24])
def test_independent_of_threads(rng, monkeypatch, images):
    for name, value in SMALL.items():
        monkeypatch.setattr(winograd, name, value)
    x, w, b = arrays(rng, images, (14, 10), 5, 8)

    def run():
        y, cache = winograd.forward(x, w, b, window=Window(3, padding=1))
        return [y, *winograd.backward(y, cache)]

    assert_independent_of_threads(run, monkeypatch)


def test_without_being_compiled_they_compute_the_same(rng, monkeypatch):
    x, w, b = arrays(rng, 3, (5, 9), 2, 3)
    options = {"window": Window(3, padding=1)}

    def run():
        y, cache = winograd.forward(x, w, b, **options)
        return [y, *winograd.backward(y, cache), winograd.inference(x, w, b, relu=True, **options)]

    expected = run()
    monkeypatch.setattr(loop.Loop, "__call__", lambda self, *given: self.function(*given))
    for actual, wanted in zip(run(), expected, strict=True):
        assert_same(actual, wanted)


@pytest.mark.parametrize(
    ("x", "w", "window", "groups", "reason"),
    [
        ((7, 8, 8, 8), (8, 3, 3, 8), Window(3), 1, "fewer than 8 images"),
        ((32, 8, 8, 16), (8, 3, 3, 8), Window(3), 2, "grouped"),
        ((32, 8, 8, 7), (8, 3, 3, 7), Window(3), 1, "fewer than 8 channels"),
        ((32, 8, 8, 8), (8, 3, 1, 8), Window((3, 1)), 1, "not 3×3"),
        ((32, 8, 8, 8), (8, 3, 3, 8), Window(3, 2), 1, "three rows"),
        ((32, 7, 8, 8), (8, 3, 3, 8), Window(3), 1, "5×6 positions"),
        ((32, 8, 8), (8, 3, 3, 8), Window(3), 1, "not those of a convolution"),
        ((31, 8, 8, 8), (8, 3, 3, 8), Window(3), 1, "fewer than 32 images with the channels last"),
        ((8, 8, 8, 512), (512, 3, 3, 512), Window(3), 1, None),
        ((32, 7, 7, 8), (8, 3, 3, 8), Window(3, padding="same"), 1, None),
    ],
)
def test_what_it_leaves_to_others(x, w, window, groups, reason):
    got = winograd.refuses(np.zeros(x, "f4"), np.zeros(w, "f4"), window=window, groups=groups)
    assert got is None if reason is None else reason in got


def test_it_runs_where_it_is_asked_for(monkeypatch, rng):
    monkeypatch.delenv("XPCNN_IMPLEMENTATION", raising=False)
    x, w, b = arrays(rng, 32, (8, 8), 8, 8)
    for setting, module in (("1", "xpcnn.kernels.compiled.winograd"), ("", "xpcnn.kernels.winograd")):
        monkeypatch.setenv("XPCNN_NUMBA", setting)
        for op in "conv2d", "conv2d_inference":
            assert dispatch.choose(op, x, w, b, window=Window(3)).forward.__module__ == module
