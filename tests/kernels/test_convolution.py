"""The fast convolutions agree with the reference where it matters to them: tiles, blocks, images, threads, orders."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.kernels import few_channels, memory, rows, winograd
from xpcnn.ops import Window, conv2d_backward, conv2d_forward

from .cases import BATCHES, DTYPES, assert_independent_of_threads, assert_same, is_batch_last, orders

KERNELS = {"rows": rows, "winograd": winograd}


@pytest.fixture(params=KERNELS)
def kernel(request):
    return KERNELS[request.param]


@pytest.fixture(params=["one block", "many blocks", "tiled along the width"])
def blocks(request, monkeypatch):
    if request.param == "tiled along the width":
        monkeypatch.setattr(winograd, "WIDE", 1)
    if request.param != "one block":
        monkeypatch.setattr(rows, "WORKSPACE", 1)
        monkeypatch.setattr(rows, "IMAGES", 7)
        monkeypatch.setattr(winograd, "WORKSPACE", 1)


def both(kernel, x, w, b, window, dy_order="C", groups=1, input_grad=True):
    """(what the kernel gives, what the reference gives): y, dx, dw, db."""
    y, cache = kernel.forward(x, w, b, window=window, groups=groups)
    expected, reference_cache = conv2d_forward(x, w, b, window=window, groups=groups)
    dy = orders(np.random.default_rng(3).normal(size=y.shape).astype(x.dtype))[dy_order]
    return (
        (y, *kernel.backward(dy, cache, input_grad=input_grad)),
        (expected, *conv2d_backward(dy, reference_cache, input_grad=input_grad)),
    )


@given(
    height=st.integers(1, 13),
    width=st.integers(1, 7),
    kw=st.integers(1, 4),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    channels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    bias=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
def test_winograd_on_tiles_full_and_not(blocks, height, width, kw, pads, channels, bias, dtype):
    if height + pads[0] + pads[1] < 3 or width + pads[2] + pads[3] < kw:
        return
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, height, width, channels[0])).astype(dtype)
    w = rng.normal(size=(channels[1], 3, kw, channels[0])).astype(dtype)
    b = rng.normal(size=channels[1]).astype(dtype) if bias else None
    for actual, expected in zip(*both(winograd, x, w, b, Window((3, kw), padding=pads)), strict=True):
        assert_same(actual, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", BATCHES)
def test_batches_and_memory_orders(kernel, n, dtype):
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(n, 9, 6, 3)).astype(dtype), rng.normal(size=(5, 3, 3, 3)).astype(dtype)
    for order, given_x in orders(x).items():
        got, expected = both(kernel, given_x, w, None, Window(3, padding=1), dy_order=order)
        for actual, wanted in zip(got, expected, strict=True):
            assert_same(actual, wanted)
        assert is_batch_last(got[0])
        assert is_batch_last(got[1])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_rows_with_strides_and_groups_over_several_blocks(blocks, stride, groups):
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(17, 11, 8, 6)), rng.normal(size=(12, 3, 2, 6 // groups))
    got, expected = both(rows, x, w, rng.normal(size=12), Window((3, 2), stride, (1, 0)), groups=groups)
    for actual, wanted in zip(got, expected, strict=True):
        assert_same(actual, wanted)


def test_without_input_gradient(kernel):
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(16, 5, 5, 2)), rng.normal(size=(3, 3, 3, 2))
    for actual, wanted in zip(*both(kernel, x, w, np.ones(3), Window(3), input_grad=False), strict=True):
        assert_same(actual, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [5, few_channels.CHANNELS])
def test_results_do_not_depend_on_the_number_of_threads(kernel, dtype, channels, monkeypatch):
    rng = np.random.default_rng(4)
    x, w = rng.normal(size=(40, 13, 9, channels)).astype(dtype), rng.normal(size=(7, 3, 3, channels)).astype(dtype)
    dy = rng.normal(size=(40, 13, 9, 7)).astype(dtype)

    def run():
        y, cache = kernel.forward(x, w, np.ones(7, dtype), window=Window(3, padding=1))
        return [y, *kernel.backward(dy, cache)]

    assert_independent_of_threads(run, monkeypatch)


@pytest.mark.parametrize(
    ("x", "w", "window", "groups", "reason"),
    [
        ((7, 9, 9, 16), (16, 3, 3, 16), Window(3), 1, "fewer than 8 images"),
        ((16, 9, 9, 16), (16, 3, 3, 8), Window(3), 2, "grouped"),
        ((16, 9, 9, 16), (16, 5, 5, 16), Window(5), 1, "three rows"),
        ((16, 9, 9, 16), (16, 3, 3, 16), Window(3, 2), 1, "three rows"),
        ((16, 9, 9, 16), (16, 3, 3, 16), Window(3, dilation=2), 1, "three rows"),
        ((16, 9, 9, 3), (16, 3, 3, 3), Window(3), 1, "fewer than 8 channels"),
        ((16, 7, 7, 16), (16, 3, 3, 16), Window(3), 1, "5 rows of output"),
        ((16, 5, 7, 16), (16, 3, 3, 16), Window(3, padding="same"), 1, "5 rows of output"),
        ((16, 9, 9), (16, 3, 3, 16), Window(3), 1, "not those of a convolution"),
        ((), (16, 3, 3, 16), Window(3), 1, "no batch"),
        ((16, 10, 9, 16), (16, 3, 3, 16), Window(3), 1, None),
        ((16, 8, 7, 16), (16, 3, 3, 16), Window(3, padding="same"), 1, None),
    ],
)
def test_what_winograd_leaves_to_others(x, w, window, groups, reason):
    got = winograd.refuses(np.zeros(x), np.zeros(w), window=window, groups=groups)
    assert got is None if reason is None else reason in got


def test_complex_numbers_are_left_to_the_reference():
    x, w = np.zeros((16, 9, 9, 8), complex), np.zeros((8, 3, 3, 8), complex)
    assert "real numbers" in rows.refuses(x, w, window=Window(3))


@pytest.mark.parametrize("n", [64, 1024])
def test_the_workspace_does_not_grow_with_the_batch(kernel, n, monkeypatch):
    """With one thread, beside the results: L, or Bᵀd and the products of its tile; and dw, in parts."""
    monkeypatch.setenv("XPCNN_NUM_THREADS", "1")
    monkeypatch.setattr(memory, "LARGE", 1 << 60)  # tracemalloc knows NumPy's own memory only
    x = np.zeros((20, 20, 32, n), np.float32).transpose(3, 0, 1, 2)
    w = np.zeros((32, 3, 3, 32), np.float32)
    own = {rows: 2 * rows.WORKSPACE, winograd: 4 * winograd.WORKSPACE}[kernel] + 8 * w.nbytes

    def peak(run):
        gc.collect()
        tracemalloc.start()
        try:
            result = run()[0]
            return tracemalloc.get_traced_memory()[1] - result.nbytes
        finally:
            tracemalloc.stop()

    y, cache = kernel.forward(x, w, window=Window(3, padding=1))
    for run in lambda: kernel.forward(x, w, window=Window(3, padding=1)), lambda: kernel.backward(y, cache):
        assert min(peak(run), peak(run)) < own  # twice: the interpreter's own tables grow now and then
