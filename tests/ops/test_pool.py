"""Pooling: values and gradients against plain loops, the witnesses, PyTorch; ties, NaN, ceil mode, bad input."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import xpcnn
from xpcnn.backend import dtype_name
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import check_pair, gradcheck
from xpcnn.nn.pool import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from xpcnn.ops.adaptive_pool import adaptive_avg_pool2d_backward, adaptive_avg_pool2d_forward
from xpcnn.ops.global_pool import (
    global_avg_pool2d_backward,
    global_avg_pool2d_forward,
    global_max_pool2d_backward,
    global_max_pool2d_forward,
)
from xpcnn.ops.pool import avg_pool2d_backward, avg_pool2d_forward, max_pool2d_backward, max_pool2d_forward
from xpcnn.ops.window import Window

from .. import reference_windows as reference
from ..arrays import assert_close, needs_torch
from ..geometry import Geometry, geometries, window_of

same = partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-11)  # what is NumPy on every backend
DTYPES = st.sampled_from(["float32", "float64"])
PAST_THE_PADDING = Geometry(2, (6, 5), 3, (3, 2), (2, 2), (0, 0, 0, 0), (1, 1))  # with `ceil`, in both axes


def distinct(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers with gaps of 1/8 or more: no ties, no kinks nearby."""
    return rng.permutation(np.arange(np.prod(shape))).reshape(shape) / 8.0 - 2.0


@given(g=geometries(), ceil=st.booleans(), ties=st.booleans(), dtype=DTYPES, seed=st.integers(0, 99))
def test_max_agrees_with_plain_loops(xp, g, ceil, ties, dtype, seed):
    rng = np.random.default_rng(seed)
    window = window_of(g, ceil)
    x = rng.integers(-3, 0, (g.images, *g.size, g.channels)) if ties else rng.normal(size=(g.images, *g.size, 2))
    x = x.astype(dtype)  # all negative where tied: a padding of 0 would win
    y, cache = max_pool2d_forward(xp.array(x, dtype), window=window)
    dy, dy_ = xp.normal(rng, *y.shape, dtype=dtype)
    expected, dx = reference.max_pool(x.astype("f8"), lambda *at: dy[at], g.kernel, g.stride, g.pads, g.dilation, ceil)
    assert_close(y, reference.dense(expected).astype(dtype))
    assert_close(max_pool2d_backward(dy_, cache), dx.astype(dtype))


@given(g=geometries(), ceil=st.booleans(), include=st.booleans(), dtype=DTYPES, seed=st.integers(0, 99))
def test_average_agrees_with_plain_loops(xp, g, ceil, include, dtype, seed):
    rng = np.random.default_rng(seed)
    window = window_of(g, ceil)
    x, x_ = xp.normal(rng, g.images, *g.size, g.channels, dtype=dtype)
    y, cache = avg_pool2d_forward(x_, window=window, count_include_pad=include)
    dy, dy_ = xp.normal(rng, *y.shape, dtype=dtype)
    expected, dx = reference.avg_pool(
        x.astype("f8"), lambda *at: dy[at], g.kernel, g.stride, g.pads, g.dilation, ceil, include
    )
    assert_close(y, reference.dense(expected).astype(dtype))
    assert_close(avg_pool2d_backward(dy_, cache), dx.astype(dtype))


@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    out=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    dtype=DTYPES,
)
def test_adaptive_average_agrees_with_plain_loops(xp, size, out, dtype):
    x, x_ = xp.normal(np.random.default_rng(0), 2, *size, 3, dtype=dtype)
    y, _ = adaptive_avg_pool2d_forward(x_, output_size=out)
    assert_close(y, reference.adaptive_avg_pool(x.astype("f8"), out).astype(dtype))


LINEAR = ("adjoint identity", "complex step")  # the witnesses that speak besides central differences


@pytest.mark.parametrize(
    ("layer", "witnesses"),
    [
        (MaxPool2d((3, 2), stride=(1, 2), padding=(1, 0, 0, 1), dilation=(1, 2), ceil_mode=True), ()),
        (AvgPool2d((3, 2), stride=(1, 2), padding=1), LINEAR),
        (AvgPool2d(3, stride=2, padding=1, ceil_mode=True), LINEAR),
        (
            AvgPool2d((3, 2), stride=2, padding=(1, 0, 0, 1), ceil_mode=True, count_include_pad=False),
            LINEAR,
        ),
        (GlobalMaxPool2d(), ()),
        (GlobalAvgPool2d(), LINEAR),
        (AdaptiveAvgPool2d((3, 4)), LINEAR),
        (AdaptiveAvgPool2d((7, 1)), LINEAR),
    ],
    ids=repr,
)
def test_witnesses(xp, rng, layer, witnesses):
    report = gradcheck(layer, xp.array(distinct(rng, 2, 5, 6, 2)))
    assert report.passed, report
    assert {row.witness for row in report.rows} >= {"central difference", *witnesses}


@given(g=geometries(), ceil=st.booleans(), include=st.booleans())
def test_average_witnesses(xp, g, ceil, include):
    window = window_of(g, ceil)
    _, x = xp.normal(np.random.default_rng(0), g.images, *g.size, g.channels)
    report = check_pair(
        lambda x: avg_pool2d_forward(x, window=window, count_include_pad=include),
        lambda dy, cache: (avg_pool2d_backward(dy, cache),),
        {"x": x},
        directions=2,
    )
    assert report.passed, report
    assert {row.witness for row in report.rows} == {"central difference", "complex step", "adjoint identity"}


@needs_torch
@example(g=PAST_THE_PADDING, padded=(True, False), ceil=True, include=True, seed=0)
@example(g=PAST_THE_PADDING, padded=(True, False), ceil=True, include=False, seed=0)
@given(
    g=geometries(most_padding=0),
    padded=st.tuples(st.booleans(), st.booleans()),
    ceil=st.booleans(),
    include=st.booleans(),
    seed=st.integers(0, 99),
)
def test_agrees_with_pytorch(g, padded, ceil, include, seed):
    import torch

    pads = (g.kernel[0] // 2 * padded[0], g.kernel[1] // 2 * padded[1])  # as much as PyTorch allows
    g = replace(g, pads=(pads[0], pads[0], pads[1], pads[1]))
    x = np.random.default_rng(seed).integers(-9, 9, (g.images, *g.size, g.channels)) / 4.0  # with ties

    def compare(function, forward, backward, **options):
        x_t = torch.tensor(np.moveaxis(x, 3, 1), requires_grad=True)
        y_t = function(x_t)
        y, cache = forward(x, **options)
        same(y, np.moveaxis(y_t.detach().numpy().reshape(*y_t.shape), 1, -1))
        dy = np.random.default_rng(seed).normal(size=y.shape)
        y_t.backward(torch.tensor(np.ascontiguousarray(np.moveaxis(dy, -1, 1))))
        same(backward(dy, cache), np.moveaxis(x_t.grad.numpy(), 1, 3))

    pool = torch.nn.functional
    compare(
        lambda x: pool.max_pool2d(x, g.kernel, g.stride, pads, g.dilation, ceil),
        max_pool2d_forward,
        max_pool2d_backward,
        window=Window(g.kernel, g.stride, g.pads, g.dilation, ceil),
    )
    compare(
        lambda x: pool.avg_pool2d(x, g.kernel, g.stride, pads, ceil, include),
        avg_pool2d_forward,
        avg_pool2d_backward,
        window=Window(g.kernel, g.stride, g.pads, ceil=ceil),
        count_include_pad=include,
    )
    compare(
        lambda x: pool.adaptive_avg_pool2d(x, g.kernel),
        adaptive_avg_pool2d_forward,
        adaptive_avg_pool2d_backward,
        output_size=g.kernel,
    )
    compare(lambda x: x.mean(dim=(2, 3)), global_avg_pool2d_forward, global_avg_pool2d_backward)
    compare(lambda x: pool.adaptive_max_pool2d(x, 1)[:, :, 0, 0], global_max_pool2d_forward, global_max_pool2d_backward)


def test_ceil_mode_divisors_are_pytorchs(xp):
    """A last window that reaches past the padding is divided by its taps up to there, or by those in the image."""
    x = xp.array(np.ones((1, 6, 6, 1)))
    window = Window((3, 3), stride=(2, 2), padding=(1, 1, 1, 1), ceil=True)
    assert window.place(6, 6).out == (4, 4)
    y, _ = avg_pool2d_forward(x, window=window)
    share = np.array([2 / 3, 1, 1, 1 / 2])  # the last window: one element of the image, one of padding, one beyond
    assert_close(y[0, :, :, 0], share[:, None] * share)
    y, _ = avg_pool2d_forward(x, window=window, count_include_pad=False)
    assert_close(y, np.ones((1, 4, 4, 1)))
    no_padding = Window((2, 2), stride=(2, 2), ceil=True)
    y, _ = avg_pool2d_forward(xp.array(np.ones((1, 3, 3, 1))), window=no_padding)
    assert_close(y, np.ones((1, 2, 2, 1)))
    y, _ = max_pool2d_forward(xp.array(np.full((1, 3, 3, 1), -5.0)), window=no_padding)
    assert_close(y, np.full((1, 2, 2, 1), -5.0))


def test_nan_wins_and_infinities_pass(xp):
    x = np.array([[np.nan, 1, 2, np.inf], [3, 4, np.nan, 5], [-np.inf, -np.inf, -1, -2], [-np.inf, -np.inf, -3, -4]])
    y, _ = max_pool2d_forward(xp.array(x[None, :, :, None]), window=Window((2, 2), stride=(2, 2)))
    assert_close(y[0, :, :, 0], np.array([[np.nan, np.nan], [-np.inf, -1.0]]))


@pytest.mark.parametrize("scale", [1e4, 1e-4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_values_and_views(xp, rng, scale, dtype):
    host = (rng.normal(size=(2, 9, 7, 3)) * scale).astype(dtype)
    x, view = xp.array(host, dtype), (slice(None), slice(None, None, 2), slice(1, None, 2), slice(None))
    for layer in (MaxPool2d(2), AvgPool2d(2, padding=1), GlobalMaxPool2d(), GlobalAvgPool2d(), AdaptiveAvgPool2d(2)):
        y, cache = layer.forward(x[view])
        expected, expected_cache = layer.forward(xp.array(host[view], dtype))
        assert_close(y, xpcnn.to_numpy(expected), dtype=dtype)
        dx, grads = layer.backward(y, cache)
        assert_close(dx, xpcnn.to_numpy(layer.backward(y, expected_cache)[0]), dtype=dtype)
        assert grads == {}
        assert layer.backward(y, cache, input_grad=False) == (None, {})
        assert_close(layer(x[view]), xpcnn.to_numpy(expected), dtype=dtype)


def test_the_cache_of_max_pooling_is_small(xp):
    x = xp.array(np.zeros((1, 40, 40, 1)))
    _, (winner, *_) = max_pool2d_forward(x, window=Window((16, 16)))
    assert dtype_name(winner) == "uint8"
    host = np.zeros((1, 40, 40, 1))
    host[0, 16, 16, 0] = 1.0  # the last of 17 · 17 taps at position (0, 0)
    y, cache = max_pool2d_forward(xp.array(host), window=Window((17, 17), stride=(23, 23)))
    assert dtype_name(cache[0]) == "int32"
    dx = max_pool2d_backward(xp.array(np.ones(y.shape)), cache)
    assert float(dx[0, 16, 16, 0]) == 1.0


def test_layers_pass_their_options_on(xp, rng):
    """Each option against the operation; on ones, means over the image alone are ones."""
    x = xp.array(rng.normal(size=(1, 6, 7, 2)))
    window = Window((3, 2), (2, 1), (1, 0, 0, 1), (1, 2), ceil=True)
    layer = MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0, 0, 1), dilation=(1, 2), ceil_mode=True)
    assert_close(layer(x), xpcnn.to_numpy(max_pool2d_forward(x, window=window)[0]))
    window = Window((3, 2), (2, 1), (1, 0, 0, 1), ceil=True)
    layer = AvgPool2d((3, 2), stride=(2, 1), padding=(1, 0, 0, 1), ceil_mode=True)
    assert_close(layer(x), xpcnn.to_numpy(avg_pool2d_forward(x, window=window)[0]))
    y = AvgPool2d(3, padding=1, count_include_pad=False)(xp.array(np.ones((1, 6, 6, 1))))
    assert_close(y, np.ones((1, 2, 2, 1)))


def test_defaults_and_configuration():
    layer = MaxPool2d((3, 2))
    assert layer.stride == (3, 2)
    for layer in (
        MaxPool2d(3, stride=2, padding="same", dilation=(1, 2), ceil_mode=True),
        AvgPool2d((3, 2), padding=(1, 0), count_include_pad=False),
        AdaptiveAvgPool2d(7),
        GlobalMaxPool2d(),
        GlobalAvgPool2d(),
    ):
        assert type(layer)(**layer.config()).config() == layer.config()


def test_refuses_what_makes_no_sense(xp):
    x = xp.array(np.ones((2, 6, 6, 3)))
    only_padding = Window((2, 2), stride=(2, 2), padding=(2, 2, 0, 0))
    for forward in (max_pool2d_forward, avg_pool2d_forward):
        with pytest.raises(ShapeError, match=r"Pool2d\(2×2\): expected an element of the image .* nothing but padding"):
            forward(x, window=only_padding)
        with pytest.raises(ShapeError, match=r"expected an image and its padding of height ≥ 7, got height 6"):
            forward(x, window=Window((7, 1)))
        with pytest.raises(DTypeError, match=r"expected float32 or float64, got int64"):
            forward(xp.array(np.ones((2, 6, 6, 3), "int64")), window=Window((2, 2)))
    layers = [MaxPool2d(2), AvgPool2d(2), GlobalMaxPool2d(), GlobalAvgPool2d(), AdaptiveAvgPool2d(2)]
    for layer in layers:
        name = type(layer).__name__
        with pytest.raises(ShapeError, match=rf"{name}.*: expected input \(N, H, W, C\), got \(6, 6, 3\)"):
            layer(x[0, :, :, :])
        with pytest.raises(ShapeError, match=rf"{name}.*: expected at least one item .*skip empty batches"):
            layer(x[:0, :, :, :])
        _, cache = layer.forward(x)
        with pytest.raises(ShapeError, match=rf"{name} backward: expected dy"):
            layer.backward(x, cache)
    with pytest.raises(OptionError, match=r"AdaptiveAvgPool2d: expected output_size: an integer ≥ 1"):
        AdaptiveAvgPool2d(0)
    with pytest.raises(OptionError, match=r"MaxPool2d: expected stride"):
        MaxPool2d(2, stride=0)
    with pytest.raises(OptionError, match=r"AvgPool2d: expected kernel_size"):
        AvgPool2d((2, 2.5))


def test_padding_wins_over_nothing_however_small(xp):
    x = np.full((1, 2, 2, 1), -1e30)
    y, _ = max_pool2d_forward(xp.array(x), window=Window(3, padding=1))
    assert_close(y, x)
