"""Transposed convolution: values against plain loops, the adjoint of Conv2d, the witnesses, PyTorch, bad input."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import xpcnn
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import check_pair, gradcheck
from xpcnn.nn.conv_transpose import ConvTranspose2d
from xpcnn.ops.conv import conv2d_backward, conv2d_forward
from xpcnn.ops.conv_transpose import conv_transpose2d_backward, conv_transpose2d_forward
from xpcnn.ops.window import Window

from .. import reference_windows as reference
from ..arrays import assert_close, needs_torch

same = partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-11)  # what is NumPy on every backend

SMALL = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def cases(draw: st.DrawFn):
    """The window, output_padding, groups and the input's size, such that something is left of the output."""
    kernel, stride, dilation, size = draw(SMALL), draw(SMALL), draw(SMALL), draw(SMALL)
    pads = draw(st.tuples(*[st.integers(0, 2)] * 4))
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    for axis in (0, 1):
        reach = (size[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1 + extra[axis]
        assume(reach > pads[2 * axis] + pads[2 * axis + 1])
    return Window(kernel, stride, pads, dilation), extra, draw(st.integers(1, 3)), size


def draw_arrays(xp, rng, window, groups, size, dtype="float64"):
    x, x_ = xp.normal(rng, 2, *size, 2 * groups, dtype=dtype)
    w, w_ = xp.normal(rng, 2 * groups, *window.kernel, 3, dtype=dtype)
    b, b_ = xp.normal(rng, 3 * groups, dtype=dtype)
    return (x, w, b), (x_, w_, b_)


@given(case=cases(), dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 99))
def test_agrees_with_plain_loops(xp, case, dtype, seed):
    window, extra, groups, size = case
    (x, w, b), arrays = draw_arrays(xp, np.random.default_rng(seed), window, groups, size, dtype)
    y, _ = conv_transpose2d_forward(*arrays, window=window, output_padding=extra, groups=groups)
    host = (each.astype("f8") for each in (x, w, b))
    expected = reference.conv_transpose2d(*host, window.stride, window.padding, window.dilation, groups, extra)
    assert_close(y, expected.astype(dtype))


@given(case=cases())
def test_witnesses(xp, case):
    window, extra, groups, size = case
    _, (x, w, b) = draw_arrays(xp, np.random.default_rng(0), window, groups, size)
    report = check_pair(
        lambda *arrays: conv_transpose2d_forward(*arrays, window=window, output_padding=extra, groups=groups),
        conv_transpose2d_backward,
        {"x": x, "w": w, "b": b},
        directions=2,
    )
    assert report.passed, report
    assert [row.witness for row in report.rows].count("adjoint identity") == 3
    assert [row.witness for row in report.rows].count("complex step") == 3


def test_is_the_input_gradient_of_convolution(xp, rng):
    """⟨conv(a; w), x⟩ = ⟨a, conv_transpose(x; w)⟩, with one weight, stride 2 and dilation (1, 2)."""
    window = Window((3, 2), stride=(2, 2), padding=(1, 0, 2, 1), dilation=(1, 2))
    a, a_ = xp.normal(rng, 2, 7, 8, 4)
    _, w = xp.normal(rng, 6, 3, 2, 2)
    y, cache = conv2d_forward(a_, w, window=window, groups=2)
    x, x_ = xp.normal(rng, *y.shape)
    dx, _, _ = conv2d_backward(x_, cache)
    extra = tuple((a.shape[1 + i] + sum(window.padding[2 * i : 2 * i + 2]) - (3, 3)[i]) % 2 for i in (0, 1))
    painted, _ = conv_transpose2d_forward(x_, w, window=window, output_padding=extra, groups=2)
    assert_close(painted, xpcnn.to_numpy(dx))
    assert np.sum(xpcnn.to_numpy(y) * x) == pytest.approx(np.sum(a * xpcnn.to_numpy(painted)), rel=1e-12)


@needs_torch
@given(case=cases(), seed=st.integers(0, 99))
def test_agrees_with_pytorch(case, seed):
    import torch

    window, extra, groups, size = case
    top, _, left, _ = window.padding
    window = Window(window.kernel, window.stride, (top, top, left, left), window.dilation)
    out = [
        (size[i] - 1) * window.stride[i] + window.dilation[i] * (window.kernel[i] - 1) + 1 + extra[i] - 2 * pad
        for i, pad in enumerate((top, left))
    ]
    assume(min(out) > 0)
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(2, *size, 2 * groups)), rng.normal(size=(2 * groups, *window.kernel, 3))
    b = rng.normal(size=3 * groups)
    x_t, w_t = (torch.tensor(np.moveaxis(each, 3, 1), requires_grad=True) for each in (x, w))
    b_t = torch.tensor(b, requires_grad=True)
    y_t = torch.nn.functional.conv_transpose2d(
        x_t, w_t, b_t, window.stride, (top, left), extra, groups, window.dilation
    )
    y, cache = conv_transpose2d_forward(x, w, b, window=window, output_padding=extra, groups=groups)
    same(y, np.moveaxis(y_t.detach().numpy(), 1, 3))
    dy = rng.normal(size=y.shape)
    y_t.backward(torch.tensor(np.moveaxis(dy, 3, 1)))
    dx, dw, db = conv_transpose2d_backward(dy, cache)
    same(dx, np.moveaxis(x_t.grad.numpy(), 1, 3))
    same(dw, np.moveaxis(w_t.grad.numpy(), 1, 3))
    same(db, b_t.grad.numpy())


@pytest.mark.parametrize("bias", [True, False])
def test_layer(xp, rng, bias):
    layer = ConvTranspose2d(
        4, 6, (3, 2), stride=(2, 1), padding=(1, 0, 0, 1), output_padding=(1, 0), groups=2, bias=bias, rng=0
    )
    x = xp.array(rng.normal(size=(2, 3, 5, 4)))
    report = gradcheck(layer, x)
    assert report.passed, report
    assert {row.argument for row in report.rows} == {"x", "weight"} | ({"bias"} if bias else set())
    assert tuple(layer.weight.shape) == (4, 3, 2, 3)
    assert layer.output_shape((3, 5, 4)) == (7, 5, 6)
    assert layer.multiply_adds((3, 5, 4), (7, 5, 6)) == 3 * 5 * 4 * 6 * 3
    assert type(layer)(**layer.config()).config() == layer.config()
    layer.astype("float64")
    y, cache = layer.forward(x)
    dx, grads = layer.backward(y, cache, input_grad=False)
    assert dx is None
    assert grads.keys() == layer.parameters().keys()


def test_initial_outputs_keep_their_size(rng):
    """He's variance counts the taps that meet in one output: a stride of 2 leaves a quarter of them."""
    layer = ConvTranspose2d(64, 64, 4, stride=2, padding=1, rng=0)
    y = layer(xpcnn.asarray(rng.normal(size=(4, 9, 9, 64)), "float32"))
    assert np.var(xpcnn.to_numpy(y)[:, 2:-2, 2:-2, :]) == pytest.approx(2.0, rel=0.1)


def test_views_and_large_values(xp, rng):
    host = rng.normal(size=(2, 6, 8, 4)) * 1e4
    w, w_ = xp.normal(rng, 2, 3, 3, 3)
    view = (slice(None), slice(None, None, 2), slice(1, None, 2), slice(None, None, 2))
    y, cache = conv_transpose2d_forward(xp.array(host)[view], w_, window=Window((3, 3)))
    assert_close(y, reference.conv_transpose2d(host[view], w, 0.0, (1, 1), (0, 0, 0, 0), (1, 1), 1, (0, 0)))
    assert cache is not None


def test_refuses_what_makes_no_sense(xp):
    x, w = xp.array(np.ones((2, 3, 3, 4))), xp.array(np.ones((4, 3, 3, 2)))
    window = Window((3, 3))
    with pytest.raises(OptionError, match=r"ConvTranspose2d.*: expected padding in numbers, got 'same'"):
        conv_transpose2d_forward(x, w, window=Window((3, 3), padding="same"))
    with pytest.raises(OptionError, match=r"ConvTranspose2d: expected padding in numbers, got 'same'"):
        ConvTranspose2d(1, 1, 3, padding="same")
    with pytest.raises(OptionError, match=r"expected output_padding below the larger of stride and dilation, \(2, 3\)"):
        ConvTranspose2d(1, 1, 3, stride=2, dilation=(1, 3), output_padding=2)
    with pytest.raises(OptionError, match=r"expected output_padding: an integer ≥ 0"):
        ConvTranspose2d(1, 1, 3, output_padding=-1)
    with pytest.raises(OptionError, match=r"expected groups that divide 4 and 6, got 4"):
        ConvTranspose2d(4, 6, 3, groups=4)
    with pytest.raises(OptionError, match=r"expected groups that divide the 4 input channels, got 3"):
        conv_transpose2d_forward(x, w, window=window, groups=3)
    with pytest.raises(ShapeError, match=r"expected weight \(Cin, 2, 3, Cout/groups\), got \(4, 3, 3, 2\)"):
        conv_transpose2d_forward(x, w, window=Window((2, 3)))
    with pytest.raises(ShapeError, match=r"ConvTranspose2d\(4→2, 3×3\): expected input \(N, H, W, 4\)"):
        conv_transpose2d_forward(x[:, :, :, :3], w, window=window)
    with pytest.raises(ShapeError, match=r"expected bias \(2,\), got \(3,\)"):
        conv_transpose2d_forward(x, w, xp.array(np.ones(3)), window=window)
    with pytest.raises(ShapeError, match=r"expected an output of at least 1 × 1, got -1 × 5"):
        conv_transpose2d_forward(x, w, window=Window((3, 3), padding=(3, 3, 0, 0)))
    with pytest.raises(DTypeError, match=r"expected arrays of one dtype, got float64 and float32"):
        conv_transpose2d_forward(x, xp.array(np.ones((4, 3, 3, 2)), "float32"), window=window)
    _, cache = conv_transpose2d_forward(x, w, window=window)
    with pytest.raises(ShapeError, match=r"ConvTranspose2d backward: expected dy \(2, 5, 5, 2\)"):
        conv_transpose2d_backward(x, cache)
