"""ReLU and ReLU6 in blocks: the reference's results in every memory order, for NaN and zeros, on any threads."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import DTypeError, ShapeError
from xpcnn.kernels.elementwise import MINIMUM_SIZE
from xpcnn.kernels.relu import BLOCK, IMPLEMENTATION, RELU6, backward, forward, refuses
from xpcnn.ops.hard_activation import relu6_backward, relu6_forward
from xpcnn.ops.rectifier import relu_backward, relu_forward

from .cases import DTYPES, assert_independent_of_threads, is_batch_last, orders, steps

SHAPES = [(1,), (5,), (3, 1), (17, 4), (1, 6, 1), (2, 3, 4, 5), (16, 1, 7, 3), (129, 28, 5, 4), (3, 2, 1, 2, 5)]


PAIRS = {"ReLU": (IMPLEMENTATION, relu_forward, relu_backward), "ReLU6": (RELU6, relu6_forward, relu6_backward)}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_agrees_with_the_reference(rng, shape, dtype, name):
    own, plain_forward, plain_backward = PAIRS[name]
    x = 2 * rng.integers(-3, 5, shape).astype(dtype)  # with zeros and sixes
    dy = rng.normal(size=shape).astype(dtype)
    expected, reference_cache = plain_forward(x)
    for x_ in orders(x).values():
        y, cache = own.forward(x_)
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, expected)
        for dy_ in orders(dy).values():
            dx = own.backward(dy_, cache)
            assert dx.dtype == x.dtype
            np.testing.assert_array_equal(dx, plain_backward(dy, reference_cache))
            assert steps(dx) == steps(y)


def test_keeps_the_memory_order(rng):
    x = orders(rng.normal(size=(16, 5, 6, 3)))
    for name in ("C", "F", "batch last"):
        y, cache = forward(x[name])
        assert y.strides == x[name].strides
        assert backward(x["C"], cache).strides == x[name].strides
    assert is_batch_last(forward(x["batch last"])[0])


def test_takes_what_is_broadcast(rng):
    """As global average pooling's gradient is: all pixels of an image share their memory."""
    x = rng.normal(size=(16, 5, 6, 3))
    same = np.broadcast_to(x[:, :1, :1, :], x.shape)
    y, cache = forward(same)
    np.testing.assert_array_equal(y, np.maximum(same, 0))
    np.testing.assert_array_equal(backward(same, cache), y)
    _, cache = forward(x)
    np.testing.assert_array_equal(backward(same, cache), same * (x > 0))


@pytest.mark.parametrize("name", PAIRS)
def test_nan_and_infinities_as_the_reference(name):
    own, plain_forward, plain_backward = PAIRS[name]
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0])
    dy = np.array([1.0, np.inf, 2.0, 3.0, 4.0, np.nan, 5.0])
    y, cache = own.forward(x)
    expected, reference_cache = plain_forward(x)
    np.testing.assert_array_equal(y, expected)
    with np.errstate(invalid="ignore"):  # ∞ · 0
        np.testing.assert_array_equal(own.backward(dy, cache), plain_backward(dy, reference_cache))


def test_independent_of_threads(rng, monkeypatch):
    x = rng.normal(size=(129, 28, 28, 5)).astype("f4")
    assert x.size > 3 * BLOCK

    def run():
        results = []
        for own in (IMPLEMENTATION, RELU6):
            y, cache = own.forward(x)
            results += [y, own.backward(x, cache)]
        return results

    np.testing.assert_array_equal(run()[0], np.maximum(x, 0))
    assert_independent_of_threads(run, monkeypatch)


def test_refuses():
    assert IMPLEMENTATION.refuses is refuses
    assert refuses(np.ones((1, MINIMUM_SIZE), "f4")) is None
    assert refuses(np.ones(MINIMUM_SIZE - 1, "f4")) == f"there are fewer than {MINIMUM_SIZE} numbers"
    assert refuses(np.ones((1, MINIMUM_SIZE), "complex128")) == "the numbers are not real"
    assert refuses([1.0]) == "the arrays are not NumPy's"
    with pytest.raises(DTypeError, match=r"ReLU: expected float32 or float64, got int64"):
        forward(np.ones((2, 2), "int64"))
    with pytest.raises(ShapeError, match=r"ReLU: expected at least one item"):
        forward(np.ones((0, 2)))
    with pytest.raises(ShapeError, match=r"ReLU6: expected at least one item"):
        RELU6.forward(np.ones((0, 2)))
    _, cache = forward(np.ones((2, 2)))
    with pytest.raises(ShapeError, match=r"ReLU backward: expected dy \(2, 2\)"):
        backward(np.ones((2, 3)), cache)
    with pytest.raises(DTypeError, match=r"ReLU backward: expected arrays of one dtype"):
        backward(np.ones((2, 2), "f4"), cache)
