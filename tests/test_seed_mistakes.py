"""Mistakes in convolution, pooling and padding in the documents on which xpcnn is based: a test against each.

Each test is named after its mistake, small enough to check by hand, and fails if the mistake is made.
"""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.nn import Conv2d, Linear
from xpcnn.nn.conv_transpose import ConvTranspose2d
from xpcnn.nn.pool import AvgPool2d, MaxPool2d
from xpcnn.ops import dispatch

from . import reference
from .arrays import assert_close

# not numba's, which is for depthwise convolution alone: tests/kernels/test_compiled.py
IMPLEMENTATIONS = [each.name for each in dispatch.implementations("conv2d") if each.name != "numba"]


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request):
    with xpcnn.use_implementation(request.param):
        yield request.param


def with_weights(layer, w, b=None):
    """The layer in float64, with these weights."""
    layer.astype("float64").load_state_dict({"weight": w} if b is None else {"weight": w, "bias": b})
    return layer


def image(values) -> np.ndarray:
    """One image with one channel."""
    return np.array(values, "f8")[None, :, :, None]


@pytest.mark.parametrize("kernel", [(1, 3), (3, 1), (2, 5)])
def test_padding_computed_from_the_width_alone(xp, rng, implementation, kernel):
    """Kernels that are not square keep the image's size with "same"; padding may exceed kernel − 1."""
    x, w = rng.normal(size=(1, 6, 7, 2)), rng.normal(size=(3, *kernel, 2))
    same = with_weights(Conv2d(2, 3, kernel, padding="same", bias=False), w)
    assert tuple(same(xp.array(x)).shape) == (1, 6, 7, 3)
    pads = (kernel[0] + 1, kernel[0], kernel[1], kernel[1] + 2)
    wide = with_weights(Conv2d(2, 3, kernel, padding=pads, bias=False), w)
    y, cache = wide.forward(xp.array(x))
    assert_close(y, reference.conv2d(x, w, None, (1, 1), pads, (1, 1), 1))
    dy = rng.normal(size=y.shape)
    dx, grads = wide.backward(xp.array(dy), cache)
    expected_dx, expected_dw, _ = reference.conv2d_gradients(x, w, dy, (1, 1), pads, (1, 1), 1)
    assert_close(dx, expected_dx)
    assert_close(grads["weight"], expected_dw)


def test_overlapping_windows_assigned_instead_of_added(xp, implementation):
    """The middle of 3×3 is in all four 2×2 windows, an edge in two, a corner in one."""
    counts = image([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    peak = image([[0, 0, 0], [0, 9, 0], [0, 0, 0]])
    dy = xp.array(np.ones((1, 2, 2, 1)))
    for layer, expected in (
        (MaxPool2d(2, stride=1), peak / 9 * 4),
        (AvgPool2d(2, stride=1), counts / 4),
        (with_weights(Conv2d(1, 1, 2, bias=False), np.ones((1, 2, 2, 1))), counts),
    ):
        dx, _ = layer.backward(dy, layer.forward(xp.array(peak))[1])
        assert_close(dx, expected)
    painted = with_weights(ConvTranspose2d(1, 1, 2, bias=False), np.ones((1, 2, 2, 1)))(dy)
    assert_close(painted, counts)


def test_stride_ignored_in_backward(xp, implementation):
    """Windows of one element, two rows and three columns apart: all other elements have no gradient."""
    x = xp.array(image(np.arange(20).reshape(4, 5)))
    dy = xp.array(image([[1, 2], [3, 4]]))
    expected = image([[1, 0, 0, 2, 0], [0, 0, 0, 0, 0], [3, 0, 0, 4, 0], [0, 0, 0, 0, 0]])
    conv = with_weights(Conv2d(1, 1, 1, stride=(2, 3), bias=False), np.ones((1, 1, 1, 1)))
    for layer in (conv, MaxPool2d(1, stride=(2, 3)), AvgPool2d(1, stride=(2, 3))):
        dx, grads = layer.backward(dy, layer.forward(x)[1])
        assert_close(dx, expected)
        for dw in grads.values():
            assert_close(dw, image([[1 * 0 + 2 * 3 + 3 * 10 + 4 * 13]]))


@pytest.mark.parametrize("padding", [0, (0, 1), (1, 0), (0, 1, 1, 0), (1, 0, 0, 1)])
def test_padding_of_zero_cut_off_as_an_empty_slice(xp, implementation, padding):
    """`pad:-pad` is empty at 0. With dy = y, ⟨x, dx⟩ is ⟨y, y⟩ for a linear layer: dx has x's shape and is complete."""
    x = np.arange(1.0, 17.0).reshape(1, 4, 4, 1)
    conv = with_weights(Conv2d(1, 1, 3, padding=padding, bias=False), np.arange(9.0).reshape(1, 3, 3, 1))
    for layer in (conv, AvgPool2d(3, stride=1, padding=padding), MaxPool2d(3, stride=1, padding=padding)):
        y, cache = layer.forward(xp.array(x))
        dx, _ = layer.backward(y, cache)
        assert tuple(dx.shape) == x.shape
        host = xpcnn.to_numpy(y)
        assert np.sum(x * xpcnn.to_numpy(dx)) == pytest.approx(np.sum(host * host), rel=1e-12)


@pytest.mark.parametrize("images", [1, 9])
def test_bias_added_once_per_tap(xp, implementation, any_batch, images):
    """In inference, in training, and in its gradient, which counts the positions of the output."""
    x = xp.array(np.ones((images, 5, 5, 3)))
    bias = np.array([1.0, -2.0])
    for layer, shape in (
        (Conv2d(3, 2, 3), (2, 3, 3, 3)),
        (Conv2d(3, 2, 3, stride=2, padding=1), (2, 3, 3, 3)),
        (Conv2d(3, 2, 1), (2, 1, 1, 3)),
        (ConvTranspose2d(3, 2, 3), (3, 3, 3, 2)),
    ):
        y, cache = with_weights(layer, np.zeros(shape), bias).forward(x)
        assert_close(y, np.zeros(y.shape) + bias)
        assert_close(layer(x), np.zeros(y.shape) + bias)
        dx, grads = layer.backward(xp.array(np.ones(y.shape)), cache)
        assert_close(grads["bias"], np.full(2, float(np.prod(y.shape[:3]))))
        assert_close(dx, np.zeros(x.shape))


def test_tied_maxima_each_with_the_full_gradient(xp):
    """The first maximum of the window, row by row, gets the whole gradient."""
    x = xp.array(image([[1, 3, 5, 5], [3, 3, 5, 5]]))
    layer = MaxPool2d(2)
    _, cache = layer.forward(x)
    dx, _ = layer.backward(xp.array(image([[7, 8]])), cache)
    assert_close(dx, image([[0, 7, 8, 0], [0, 0, 0, 0]]))


def test_one_stride_one_padding_one_kernel_for_both_axes(xp, rng, implementation):
    """Kernel, stride, padding and dilation all differ between the axes; along the height, only rows matter."""
    kernel, stride, pads, dilation = (3, 2), (1, 3), (2, 2, 0, 0), (2, 1)
    x, w = rng.normal(size=(1, 5, 8, 1)), rng.normal(size=(2, 3, 2, 1))
    conv = Conv2d(1, 2, kernel, stride=stride, padding=(2, 0), dilation=dilation, bias=False)
    y, cache = with_weights(conv, w).forward(xp.array(x))
    assert_close(y, reference.conv2d(x, w, None, stride, pads, dilation, 1))  # (1, 5, 3, 2)
    dy = rng.normal(size=y.shape)
    dx, grads = conv.backward(xp.array(dy), cache)
    expected_dx, expected_dw, _ = reference.conv2d_gradients(x, w, dy, stride, pads, dilation, 1)
    assert_close(dx, expected_dx)
    assert_close(grads["weight"], expected_dw)
    rows = xp.array(image([[1, 2, 3, 4, 5, 6]]).transpose(0, 2, 1, 3))  # six rows of one column
    assert_close(MaxPool2d((2, 1), stride=(3, 1))(rows), image([[2], [5]]))
    assert_close(AvgPool2d((2, 1), stride=(4, 2), padding=(1, 0))(rows), image([[0.5], [4.5]]))


def test_weight_gradient_from_the_unpadded_input(xp, implementation):
    """With ones everywhere, dw counts positions where the tap is inside: a corner tap misses a row and a column."""
    conv = with_weights(Conv2d(1, 1, 3, padding=1, bias=False), np.ones((1, 3, 3, 1)))
    y, cache = conv.forward(xp.array(np.ones((1, 5, 6, 1))))
    _, grads = conv.backward(xp.array(np.ones(y.shape)), cache)
    assert_close(grads["weight"], image([[4 * 5, 4 * 6, 4 * 5], [5 * 5, 5 * 6, 5 * 5], [4 * 5, 4 * 6, 4 * 5]]))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [(5, 3, 2, 0, 2), (5, 2, 2, 0, 2), (7, 3, 3, 1, 3), (6, 1, 4, 0, 2), (4, 3, 1, 0, 2)],
)
def test_output_size_as_input_over_stride(xp, implementation, size, kernel, stride, padding, expected):
    x = xp.array(np.ones((1, size, size, 1)))
    for layer in (
        Conv2d(1, 1, kernel, stride=stride, padding=padding).astype("float64"),
        MaxPool2d(kernel, stride=stride, padding=padding),
        AvgPool2d(kernel, stride=stride, padding=padding),
    ):
        y, cache = layer.forward(x)
        assert tuple(y.shape) == (1, expected, expected, 1)
        dx, _ = layer.backward(y, cache)
        assert tuple(dx.shape) == (1, size, size, 1)


@pytest.mark.parametrize("options", [{"padding": 1}, {"padding": "same"}, {"ceil_mode": True}])
def test_max_pooling_padded_with_zero(xp, options):
    """If all elements are negative, a zero outside the image would win."""
    layer = MaxPool2d(2, stride=2, **options)
    y, cache = layer.forward(xp.array(np.full((1, 3, 3, 1), -1.0)))
    assert_close(y, np.full((1, 2, 2, 1), -1.0))
    dx, _ = layer.backward(xp.array(np.ones((1, 2, 2, 1))), cache)
    assert float(np.sum(xpcnn.to_numpy(dx))) == 4.0


def test_weight_gradient_divided_by_the_batch_inside_the_layer(xp, rng, implementation):
    """Only the loss knows whether it is a mean: a doubled batch has twice the dw and db, and the same dx."""
    for layer, shape in (
        (Conv2d(2, 3, 3, rng=0), (4, 5, 5, 2)),
        (ConvTranspose2d(2, 3, 3, rng=0), (4, 5, 5, 2)),
        (Linear(6, 3, rng=0), (4, 6)),
    ):
        layer.astype("float64")
        x = rng.normal(size=shape)
        dy = rng.normal(size=(4, *layer.output_shape(shape[1:])))
        dx, grads = layer.backward(xp.array(dy), layer.forward(xp.array(x))[1])
        twice_x, twice_dy = np.concatenate([x, x]), np.concatenate([dy, dy])
        dx2, grads2 = layer.backward(xp.array(twice_dy), layer.forward(xp.array(twice_x))[1])
        assert_close(dx2[:4, ...], xpcnn.to_numpy(dx))
        for name, gradient in grads.items():
            assert_close(grads2[name], 2 * xpcnn.to_numpy(gradient))
        assert_close(grads["bias"], dy.reshape(-1, 3).sum(axis=0))
