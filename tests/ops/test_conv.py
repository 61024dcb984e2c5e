"""Convolution: values and gradients against plain loops, worked examples, PyTorch, and the definition itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xpcnn
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.kernels import depthwise, few_channels, im2col, padded, rows, winograd
from xpcnn.ops import Window, conv2d_backward, conv2d_forward, conv2d_inference, dispatch

from .. import reference
from ..arrays import Library, assert_close, needs_torch
from ..geometry import Geometry, geometries

# not numba's three: tests/kernels/test_compiled.py, test_compiled_conv.py and test_compiled_winograd.py
IMPLEMENTATIONS = [each.name for each in dispatch.implementations("conv2d") if each.name != "numba"]
pytestmark = pytest.mark.usefixtures("any_batch")


def draw_case(g: Geometry, groups: int, rng: np.random.Generator, xp: Library, dtype: str = "float64"):
    filters = groups * 2
    x, x_ = xp.normal(rng, g.images, *g.size, g.channels * groups, dtype=dtype)
    w, w_ = xp.normal(rng, filters, *g.kernel, g.channels, dtype=dtype)
    b, b_ = xp.normal(rng, filters, dtype=dtype)
    return (x, w, b), (x_, w_, b_), Window(g.kernel, g.stride, g.pads, g.dilation)


@pytest.fixture(params=["one block", "one block of many filters", "many blocks"])
def blocks(request, monkeypatch):
    """Both with a workspace for the whole batch, and with one that holds a row or a position at most."""
    if request.param == "one block of many filters":
        monkeypatch.setattr(im2col, "FILTERS", 1)
        monkeypatch.setattr(im2col, "SHARE", 1.0)
        monkeypatch.setattr(few_channels, "CHANNELS", 0)
    if request.param == "many blocks":
        monkeypatch.setattr(padded, "POSITIONS", 1)
        for module in (depthwise, im2col, padded, rows, winograd):
            monkeypatch.setattr(module, "WORKSPACE", 1)
        monkeypatch.setattr("xpcnn.kernels.cuda.conv.WORKSPACE", 1)
        monkeypatch.setattr(few_channels, "BLOCKS", 999)
        monkeypatch.setattr(im2col, "POSITIONS", 1)
        monkeypatch.setattr(im2col, "FILTERS", 1)
        monkeypatch.setattr(im2col, "SHARE", 1.0)
        monkeypatch.setattr(rows, "IMAGES", 2)
        monkeypatch.setattr(winograd, "WIDE", 1)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@given(g=geometries(), groups=st.integers(1, 3), dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 99))
def test_agrees_with_plain_loops(xp, blocks, implementation, g, groups, dtype, seed):
    rng = np.random.default_rng(seed)
    (x, w, b), arrays, window = draw_case(g, groups, rng, xp, dtype)
    geometry = (g.stride, g.pads, g.dilation, groups)
    with xpcnn.use_implementation(implementation):
        y, cache = dispatch.forward("conv2d", *arrays, window=window, groups=groups)
    assert_close(y, reference.conv2d(x, w, b, *geometry).astype(dtype))
    dy, dy_ = xp.normal(rng, *y.shape, dtype=dtype)
    expected = reference.conv2d_gradients(*(a.astype("f8") for a in (x, w, dy)), *geometry)
    for actual, wanted in zip(dispatch.backward(dy_, cache), expected, strict=True):
        assert_close(actual, wanted.astype(dtype))
    no_dx, dw, _ = dispatch.backward(dy_, cache, input_grad=False)
    assert no_dx is None
    assert_close(dw, expected[1].astype(dtype))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@given(g=geometries(), groups=st.integers(1, 3), bias=st.booleans(), scaled=st.booleans(), relu=st.booleans())
def test_inference_scales_adds_and_cuts_off(xp, blocks, implementation, g, groups, bias, scaled, relu):
    rng = np.random.default_rng(0)
    (x, w, b), (x_, w_, b_), window = draw_case(g, groups, rng, xp)
    scale, scale_ = xp.normal(rng, len(b))
    options = {"scale": scale_ if scaled else None, "relu": relu}
    with xpcnn.use_implementation(implementation):
        y = dispatch.output("conv2d_inference", x_, w_, b_ if bias else None, window=window, groups=groups, **options)
    expected = reference.conv2d(x, w, 0 * b, g.stride, g.pads, g.dilation, groups)
    expected = expected * (scale if scaled else 1) + (b if bias else 0)
    assert_close(y, np.maximum(expected, 0) if relu else expected)


def test_scale_has_a_number_of_their_dtype_for_each_filter(xp):
    x, w = xp.array(np.zeros((1, 3, 3, 1))), xp.array(np.zeros((2, 3, 3, 1)))
    with pytest.raises(ShapeError, match=r"scale \(2,\), got \(1,\)"):
        conv2d_inference(x, w, window=Window(3), scale=xp.array(np.ones(1)))
    with pytest.raises(DTypeError, match="one dtype"):
        conv2d_inference(x, w, window=Window(3), scale=xp.array(np.ones(2), "float32"))


@given(g=geometries(), groups=st.integers(1, 3))
def test_witnesses(xp, g, groups):
    _, (x, w, b), window = draw_case(g, groups, np.random.default_rng(0), xp)
    report = check_pair(
        lambda *arrays: conv2d_forward(*arrays, window=window, groups=groups),
        conv2d_backward,
        {"x": x, "w": w, "b": b},
        directions=2,
    )
    assert report.passed, report
    assert [row.witness for row in report.rows].count("adjoint identity") == 3
    assert [row.witness for row in report.rows].count("complex step") == 3


def test_input_gradient_is_the_correlation_with_the_flipped_kernel(xp, rng):
    """Documents 000, 002 and 003: δ, padded by K − 1, against the kernel turned by 180° (stride 1)."""
    _, x_ = xp.normal(rng, 2, 6, 7, 3)
    w, w_ = xp.normal(rng, 4, 3, 2, 3)
    y, cache = conv2d_forward(x_, w_, window=Window((3, 2)))
    dy, dy_ = xp.normal(rng, *y.shape)
    turned = w[:, ::-1, ::-1, :].transpose(3, 1, 2, 0)  # (Cin, KH, KW, Cout)
    full = reference.conv2d(dy, turned, None, (1, 1), (2, 2, 1, 1), (1, 1), 1)
    assert_close(conv2d_backward(dy_, cache)[0], full)


@needs_torch
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@settings(max_examples=100)
@given(g=geometries(), groups=st.integers(1, 3), seed=st.integers(0, 99))
def test_agrees_with_pytorch(implementation, g, groups, seed):
    import torch

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(g.images, *g.size, g.channels * groups))
    w, b = rng.normal(size=(2 * groups, *g.kernel, g.channels)), rng.normal(size=2 * groups)
    window = Window(g.kernel, g.stride, g.pads, g.dilation)
    with xpcnn.use_implementation(implementation):
        y, cache = dispatch.forward("conv2d", x, w, b, window=window, groups=groups)
    dy = rng.normal(size=y.shape)

    xt, wt, bt = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
    top, bottom, left, right = g.pads
    yt = torch.nn.functional.conv2d(
        torch.nn.functional.pad(xt.permute(0, 3, 1, 2), (left, right, top, bottom)),
        wt.permute(0, 3, 1, 2),
        bt,
        stride=g.stride,
        dilation=g.dilation,
        groups=groups,
    ).permute(0, 2, 3, 1)
    yt.backward(torch.tensor(dy))
    for ours, theirs in zip((y, *dispatch.backward(dy, cache)), (yt.detach(), xt.grad, wt.grad, bt.grad), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_batches_of_many_blocks(implementation, channels, rng, monkeypatch):
    """A batch that does not fit the workspace, and does not divide into its blocks, is the sum of its images."""
    monkeypatch.setattr("xpcnn.kernels.im2col.WORKSPACE", 3 * 8 * 8 * 9 * channels * 8)  # three images
    x, w = rng.normal(size=(7, 8, 8, channels)), rng.normal(size=(4, 3, 3, channels))
    with xpcnn.use_implementation(implementation):
        y, cache = dispatch.forward("conv2d", x, w, window=Window((3, 3), padding=(1, 1, 1, 1)))
        dx, dw, _ = dispatch.backward(y, cache)
        singles = [
            dispatch.forward("conv2d", x[i : i + 1], w, window=Window((3, 3), padding=(1, 1, 1, 1))) for i in range(7)
        ]
        backs = [dispatch.backward(y1, cache1) for y1, cache1 in singles]
    np.testing.assert_allclose(y, np.concatenate([y1 for y1, _ in singles]), atol=1e-12)
    np.testing.assert_allclose(dx, np.concatenate([each[0] for each in backs]), atol=1e-11)
    np.testing.assert_allclose(dw, sum(each[1] for each in backs), atol=1e-11)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_non_contiguous_inputs(implementation, rng):
    x = rng.normal(size=(3, 12, 5, 4)).transpose(2, 1, 0, 3)[:, ::2, :, ::-1]  # (5, 6, 3, 4), strided and reversed
    w = rng.normal(size=(3, 4, 2, 2)).transpose(2, 1, 3, 0)[:, ::2, :, :].repeat(2, axis=3)[:, :, :, 1:5]
    dy = rng.normal(size=(2, 2, 5, 5))[::-1].transpose(2, 3, 1, 0)
    window = Window(w.shape[1:3], padding=(0, 0, 0, 0))
    with xpcnn.use_implementation(implementation):
        y, cache = dispatch.forward("conv2d", x, w, window=window)
        gradients = dispatch.backward(dy, cache)
        y_, cache_ = dispatch.forward("conv2d", x.copy(), w.copy(), window=window)
        gradients_ = dispatch.backward(dy.copy(), cache_)
    np.testing.assert_allclose(y, y_, atol=1e-12)
    np.testing.assert_allclose(gradients[0], gradients_[0], atol=1e-12)
    np.testing.assert_allclose(gradients[1], gradients_[1], atol=1e-12)


def test_same_padding_keeps_ceil_of_size_over_stride(xp, rng):
    """TensorFlow's and Keras's rule, the odd zero after."""
    for size, kernel, stride, before, after in [(5, 3, 1, 1, 1), (5, 2, 1, 0, 1), (6, 3, 2, 0, 1), (7, 4, 3, 1, 2)]:
        place = Window(kernel, stride, "same").place(size, size)
        assert place.out == (-(-size // stride),) * 2
        assert place.pads == (before, after, before, after)
    place = Window(3, 2, "same").place(6, 7)  # each axis by itself
    assert (place.out, place.pads) == ((3, 4), (0, 1, 1, 1))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("pads", [(3, 3, 0, 0), (0, 0, 3, 3), (3, 0, 0, 0), (0, 0, 0, 4)])
def test_padding_beyond_the_kernel_along_one_axis(xp, rng, implementation, pads):
    x, x_ = xp.normal(rng, 2, 4, 5, 2)
    w, w_ = xp.normal(rng, 3, 3, 3, 2)
    with xpcnn.use_implementation(implementation):
        y, cache = dispatch.forward("conv2d", x_, w_, window=Window(3, padding=pads))
    dy, dy_ = xp.normal(rng, *y.shape)
    expected = reference.conv2d_gradients(x, w, dy, (1, 1), pads, (1, 1), 1)
    for actual, wanted in zip(dispatch.backward(dy_, cache)[:2], expected, strict=False):
        assert_close(actual, wanted)


@pytest.mark.parametrize(
    ("x", "w", "b", "options", "error", "text"),
    [
        (
            (8, 28, 28, 1),
            (16, 3, 3, 3),
            None,
            {},
            ShapeError,
            r"Conv2d\(3→16, 3×3\): expected input \(N, H, W, 3\), got",
        ),
        ((8, 3, 28, 28), (16, 3, 3, 3), None, {}, ShapeError, "move axis 1 to the end"),
        ((28, 28, 3), (16, 3, 3, 3), None, {}, ShapeError, "add the batch axis"),
        ((0, 28, 28, 3), (16, 3, 3, 3), None, {}, ShapeError, "at least one item"),
        ((1, 2, 28, 3), (16, 3, 3, 3), None, {}, ShapeError, "height ≥ 3, got height 2"),
        ((1, 9, 9, 3), (16, 3, 3, 3), (15,), {}, ShapeError, r"bias \(16,\), got \(15,\)"),
        ((1, 9, 9, 3), (16, 5, 3, 3), None, {}, ShapeError, "weight"),
        ((1, 9, 9, 4), (9, 3, 3, 2), None, {"groups": 2}, OptionError, "groups that divide the 9"),
    ],
)
def test_bad_input_is_one_clear_line(x, w, b, options, error, text):
    arrays = [None if shape is None else np.zeros(shape, np.float32) for shape in (x, w, b)]
    for implementation in IMPLEMENTATIONS:
        with xpcnn.use_implementation(implementation), pytest.raises(error, match=text) as caught:
            dispatch.forward("conv2d", *arrays, window=Window((3, 3)), **options)
        assert "\n" not in str(caught.value)


def test_dtypes_must_agree(xp, rng):
    w = xp.array(np.zeros((2, 3, 3, 1)), "float32")
    with pytest.raises(DTypeError, match="float32 or float64, got uint8"):
        conv2d_forward(xp.array(np.zeros((1, 5, 5, 1)), "uint8"), w, window=Window((3, 3)))
    with pytest.raises(DTypeError, match="float64 and float32"):
        conv2d_forward(xp.array(np.zeros((1, 5, 5, 1)), "float64"), w, window=Window((3, 3)))
    _, cache = conv2d_forward(xp.array(np.zeros((1, 5, 5, 1)), "float32"), w, window=Window((3, 3)))
    with pytest.raises(ShapeError, match=r"dy \(1, 3, 3, 2\)"):
        conv2d_backward(xp.array(np.zeros((1, 3, 3, 3)), "float32"), cache)
    with pytest.raises(DTypeError, match="float64 and float32"):
        conv2d_backward(xp.array(np.zeros((1, 3, 3, 2)), "float64"), cache)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kernel": 0}, "kernel_size"),
        ({"kernel": (3, 3, 3)}, "kernel_size"),
        ({"stride": 0}, "stride"),
        ({"stride": True}, "stride"),
        ({"padding": -1}, "padding"),
        ({"padding": "full"}, '"same", "valid"'),
        ({"padding": (1, 2, 3)}, "padding"),
        ({"dilation": 1.5}, "dilation"),
    ],
)
def test_window_options(options, text):
    with pytest.raises(OptionError, match=text):
        Window(**({"kernel": 3} | options))
