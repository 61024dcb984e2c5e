"""The worked examples of the documents on which xpcnn is based: their numbers, by operations and by layers.

Arrays are written as the documents print them, channels first, and converted to channels last here.
"""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.nn import Conv2d, Linear
from xpcnn.nn.pool import AvgPool2d, MaxPool2d
from xpcnn.nn.shape import ZeroPad2d
from xpcnn.ops import Window, conv2d_backward, conv2d_forward
from xpcnn.ops.pad import zero_pad_forward
from xpcnn.ops.pool import avg_pool2d_backward, avg_pool2d_forward, max_pool2d_backward, max_pool2d_forward

from .arrays import assert_close

IMAGE = [
    [[0, 1, 1, 0, 2], [2, 2, 2, 2, 1], [1, 0, 0, 2, 0], [0, 1, 1, 0, 0], [1, 2, 0, 0, 2]],
    [[1, 0, 2, 2, 0], [0, 0, 0, 2, 0], [1, 2, 1, 2, 1], [1, 0, 0, 0, 0], [1, 2, 1, 1, 1]],
    [[2, 1, 2, 0, 0], [1, 0, 0, 1, 0], [0, 2, 1, 0, 1], [0, 1, 2, 2, 2], [2, 1, 0, 0, 1]],
]
FILTERS = [
    [
        [[-1, 1, 0], [0, 1, 0], [0, 1, 1]],
        [[-1, -1, 0], [0, 0, 0], [0, -1, 0]],
        [[0, 0, -1], [0, 1, 0], [1, -1, -1]],
    ],
    [
        [[1, 1, -1], [-1, -1, 1], [0, -1, 1]],
        [[0, 1, 0], [-1, 0, -1], [-1, 1, 0]],
        [[-1, 0, 0], [-1, 0, 1], [-1, 0, 0]],
    ],
]
BIAS = [1, 0]
SENSITIVITY = [[[0, 1, 1], [2, 2, 2], [1, 0, 0]], [[1, 0, 2], [0, 0, 0], [1, 2, 1]]]

SMALL_IMAGE = [[1, 0, 1, 0], [1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0]]


def last(channels_first) -> np.ndarray:
    """(…, C, H, W) as printed → (…, H, W, C), float64."""
    return np.ascontiguousarray(np.moveaxis(np.array(channels_first, "f8"), -3, -1))


def batch(channels_first) -> np.ndarray:
    return last(channels_first)[None]


def conv_pair(xp, w, b, **window):
    """(forward, backward) by the operation, and by a layer that holds w and b; backward → dx, dw, db."""
    options = Window(w.shape[1:3], **window)
    layer = Conv2d(w.shape[3], w.shape[0], w.shape[1:3], bias=b is not None, **window).astype("float64")
    layer.load_state_dict({"weight": w} if b is None else {"weight": w, "bias": b})

    def layer_backward(dy, cache):
        dx, grads = layer.backward(dy, cache)
        return dx, grads["weight"], grads.get("bias")

    arrays = xp.array(w), None if b is None else xp.array(b)
    return [
        (lambda x: conv2d_forward(x, *arrays, window=options), conv2d_backward),
        (layer.forward, layer_backward),
    ]


def document_000(xp, stride=2):
    return conv_pair(xp, last(FILTERS), np.array(BIAS, "f8"), stride=stride, padding=1)


def test_1_convolution_its_gradients_and_the_update(xp):
    x, dy = xp.array(batch(IMAGE)), xp.array(batch(SENSITIVITY))
    expected_dw = [
        [
            [[8, 10, 9], [5, 6, 6], [6, 5, 4]],
            [[4, 1, 4], [10, 9, 12], [2, 2, 2]],
            [[2, 2, 3], [5, 8, 5], [7, 8, 7]],
        ],
        [
            [[2, 2, 1], [4, 7, 3], [4, 4, 2]],
            [[0, 1, 0], [9, 5, 4], [4, 0, 0]],
            [[4, 6, 5], [2, 5, 2], [2, 1, 0]],
        ],
    ]
    for forward, backward in document_000(xp):
        y, cache = forward(x)
        assert_close(
            y,
            batch([[[6, 7, 5], [3, -1, -1], [2, -1, 4]], [[2, -5, -8], [1, -4, -4], [0, -5, -5]]]),
        )
        dx, dw, db = backward(dy, cache)
        assert_close(dw, last(expected_dw))
        assert_close(db, np.array([9.0, 7.0]))
        assert_close(
            dx[0, :, :, 0],
            np.array(
                [[-1, 1, 1, -2, -1], [1, -1, 3, -1, 1], [2, 0, 2, 0, 2], [4, 3, 4, 1, 3], [0, -1, -2, 1, -1]], "f8"
            ),
        )
        printed = [
            [
                [[-1.008, 0.99, -0.009], [-0.005, 0.994, -0.006], [-0.006, 0.995, 0.996]],
                [[-1.004, -1.001, -0.004], [-0.01, -0.009, -0.012], [-0.002, -1.002, -0.002]],
                [[-0.002, -0.002, -1.003], [-0.005, 0.992, -0.005], [0.993, -1.008, -1.007]],
            ],
            [
                [[0.998, 0.998, -1.001], [-1.004, -1.007, 0.997], [-0.004, -1.004, 0.998]],
                [[0.0, 0.999, 0.0], [-1.009, -0.005, -1.004], [-1.004, 1.0, 0.0]],
                [[-1.004, -0.006, -0.005], [-1.002, -0.005, 0.998], [-1.002, -0.001, 0.0]],
            ],
        ]
        assert_close(xp.array(last(FILTERS)) - 0.001 * dw, last(printed))
        assert_close(xp.array(np.array(BIAS, "f8")) - 0.001 * db, np.array([0.991, -0.007]))


@pytest.mark.parametrize(
    ("stride", "expected"),
    [
        ((2, 1), [[6, 8, 7, 1, 5], [3, 2, -1, -1, -1], [2, 2, -1, -2, 4]]),
        ((1, 2), [[6, 7, 5], [0, 3, 0], [3, -1, -1], [-2, 1, -2], [2, -1, 4]]),
    ],
)
def test_2_strides_that_differ(xp, stride, expected):
    for forward, _ in document_000(xp, stride):
        y, _ = forward(xp.array(batch(IMAGE)))
        assert_close(y[0, :, :, 0], np.array(expected, "f8"))


def test_3_gradients_of_the_sum_of_the_outputs(xp):
    expected = [
        [[5, 6, 5], [5, 7, 5], [5, 6, 5]],
        [[2, 1, 2], [9, 9, 9], [2, 1, 2]],
        [[4, 5, 4], [4, 9, 4], [4, 5, 4]],
    ]
    for forward, backward in document_000(xp):
        _, cache = forward(xp.array(batch(IMAGE)))
        _, dw, db = backward(xp.array(np.ones((1, 3, 3, 2))), cache)
        assert_close(dw[0, ...], last(expected))
        assert_close(db, np.array([9.0, 9.0]))


def pool_pairs(kind, kernel, stride):
    window = Window(kernel, stride)
    op, op_backward, layer = {
        "max": (max_pool2d_forward, max_pool2d_backward, MaxPool2d(kernel, stride=stride)),
        "average": (avg_pool2d_forward, avg_pool2d_backward, AvgPool2d(kernel, stride=stride)),
    }[kind]
    return [
        (lambda x: op(x, window=window), op_backward),
        (layer.forward, lambda dy, cache: layer.backward(dy, cache)[0]),
    ]


def test_4_max_pooling(xp):
    x = [
        [[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]],
        [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1], [3, 4, 5, 6]],
    ]
    dx = [
        [[0, 0, 0, 0], [0, 1, 0, 2], [2, 0, 0, 0], [0, 0, 0, 4]],
        [[0, 0, 0, 0], [0, 3, 0, 5], [0, 8, 0, 0], [0, 0, 0, 2]],
    ]
    for forward, backward in pool_pairs("max", 2, 2):
        y, cache = forward(xp.array(batch(x)))
        assert_close(y, batch([[[6, 8], [3, 4]], [[5, 7], [9, 6]]]))
        assert_close(backward(xp.array(batch([[[1, 2], [2, 4]], [[3, 5], [8, 2]]])), cache), batch(dx))


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ([[1, -1], [1, -1]], [[1, -1, 2], [1, -1, 2], [1, -2, 2]]),
        ([[1, 1], [-1, -1]], [[-1, -1, 0], [1, 1, 0], [1, 0, 0]]),
    ],
)
def test_5_edges_of_a_small_image(xp, kernel, expected):
    for forward, _ in conv_pair(xp, batch([kernel]), None):
        y, _ = forward(xp.array(batch([SMALL_IMAGE])))
        assert_close(y, batch([expected]))


@pytest.mark.parametrize(
    ("stride", "z", "da", "dw", "db"),
    [
        (1, 0.00281294628648631, 4.114581704914984, 9.20367719901417, 1.37834368037827),
        (2, 0.0489952035288558, 1.45243777753881, 1.72699145831391, 7.83923256461693),
    ],
)
def test_6_the_bias_is_added_once(xp, stride, z, da, dw, db):
    """Document 001 prints 0.1558… for the first: it adds the bias at each of the 12 taps."""
    rng = np.random.RandomState(1)
    a, w, b = rng.randn(10, 4, 4, 3), rng.randn(2, 2, 3, 8), rng.randn(1, 1, 1, 8)
    w = np.ascontiguousarray(w.transpose(3, 0, 1, 2))  # (KH, KW, Cin, Cout) → (Cout, KH, KW, Cin)
    for forward, backward in conv_pair(xp, w, b[0, 0, 0], stride=stride, padding=2):
        y, cache = forward(xp.array(a))
        means = [np.mean(xpcnn.to_numpy(each)) for each in (y, *backward(y, cache))]
        assert means == pytest.approx([z, da, dw, db], rel=1e-12)


def test_7_zero_pad(xp):
    x = np.random.RandomState(1).randn(4, 3, 3, 2)
    for y in (zero_pad_forward(xp.array(x), [(2, 2), (2, 2), (0, 0)])[0], ZeroPad2d(2)(xp.array(x))):
        assert tuple(y.shape) == (4, 7, 7, 2)
        assert_close(y[1, 1, ...], np.zeros((7, 2)))
        assert_close(y[:, 2:5, 2:5, :], x)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("max", [[1.74481176, 1.6924546, 2.10025514], [1.19891788, 1.51981682, 2.18557541]]),
        ("average", [[-0.09498456, 0.11180064, -0.14263511], [-0.09525108, 0.28325018, 0.33035185]]),
    ],
)
def test_8_pooling_of_whole_images(xp, kind, expected):
    x = np.random.RandomState(1).randn(2, 4, 4, 3)
    for forward, _ in pool_pairs(kind, 4, 1):
        y = xpcnn.to_numpy(forward(xp.array(x))[0])
        np.testing.assert_allclose(y, np.array(expected)[:, None, None, :], atol=5.1e-9)  # as many digits as printed


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("max", [[0, 0], [5.05844394, -1.68282702], [0, 0]]),
        ("average", [[0.08485462, 0.2787552], [1.26461098, -0.25749373], [1.17975636, -0.53624893]]),
    ],
)
def test_9_gradients_of_overlapping_windows(xp, kind, expected):
    rng = np.random.RandomState(1)
    x, dy = rng.randn(5, 5, 3, 2), rng.randn(5, 4, 2, 2)
    for forward, backward in pool_pairs(kind, 2, 1):
        _, cache = forward(xp.array(x))
        dx = xpcnn.to_numpy(backward(xp.array(dy), cache))
        np.testing.assert_allclose(dx[1, 1], expected, atol=5.1e-9)  # as many digits as printed


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [
        (5, 3, 1, 0, (3, 3)),
        (5, 3, 1, 1, (5, 5)),
        (5, 3, 2, 0, (2, 2)),
        (5, 3, 2, 1, (3, 3)),
        (5, 3, 2, (1, 0), (3, 2)),
        (5, 3, (2, 1), 1, (3, 5)),
        (28, 5, 1, 0, (24, 24)),
    ],
)
def test_10_sizes(xp, size, kernel, stride, padding, expected):
    w = np.ones((1, kernel, kernel, 1))
    for forward, _ in conv_pair(xp, w, None, stride=stride, padding=padding):
        assert tuple(forward(xp.array(np.ones((1, size, size, 1))))[0].shape) == (1, *expected, 1)


def test_10_parameters_and_ones(xp):
    per_filter = sum(int(np.prod(each.shape)) for each in Conv2d(1, 7, 5).parameters().values()) / 7
    assert per_filter == 26
    for forward, _ in conv_pair(xp, np.ones((32, 3, 3, 16)), np.ones(32)):
        assert_close(forward(xp.array(np.ones((8, 5, 5, 16))))[0], np.full((8, 3, 3, 32), 145.0))


def test_11_linear_regression_converges(xp, rng):
    """Plain gradient descent on the mean squared error recovers the numbers that generated the data."""
    w, b = np.array([[3.0, 7, 4], [5, 2, 6]]).T, np.array([2.0, 9, 3])  # printed (in, out)
    x = rng.normal(size=(64, 2))
    layer = Linear(2, 3, rng=0).astype("float64")
    x_, target = xp.array(x), xp.array(x @ w.T + b)
    for _ in range(200):
        y, cache = layer.forward(x_)
        _, grads = layer.backward(2 / 64 * (y - target), cache, input_grad=False)
        for name, parameter in layer.parameters().items():
            parameter -= 0.2 * grads[name]
    assert_close(layer.weight, w)
    assert_close(layer.bias, b)
