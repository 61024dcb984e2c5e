"""Unflatten is Flatten backwards: which number goes where, the witnesses, views of any memory order, bad input."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import gradcheck
from xpcnn.nn import Flatten, Linear, Sequential, Unflatten

from ..arrays import assert_close


def test_each_number_goes_to_its_place_and_its_gradient_comes_back(xp, rng):
    x, x_ = xp.normal(rng, 2, 24, dtype="float32")
    dy, dy_ = xp.normal(rng, 2, 4, 3, 2, dtype="float32")
    layer = Unflatten((4, 3, 2))
    y, cache = layer.forward(x_)
    dx, grads = layer.backward(dy_, cache)
    expected, dx_expected = np.zeros((2, 4, 3, 2), "float32"), np.zeros((2, 24), "float32")
    for n, i, j, c in np.ndindex(2, 4, 3, 2):
        expected[n, i, j, c] = x[n, (i * 3 + j) * 2 + c]
        dx_expected[n, (i * 3 + j) * 2 + c] = dy[n, i, j, c]
    np.testing.assert_array_equal(xpcnn.to_numpy(y), expected)
    np.testing.assert_array_equal(xpcnn.to_numpy(dx), dx_expected)
    assert grads == {}
    assert layer.backward(dy_, cache, input_grad=False) == (None, {})


def test_witnesses(xp, rng):
    report = gradcheck(Unflatten((3, 2, 2)), xp.array(rng.normal(size=(2, 12))))
    assert report.passed, report
    assert {row.witness for row in report.rows} == {"central difference", "complex step", "adjoint identity"}


def test_it_undoes_flatten(xp, rng):
    x, x_ = xp.normal(rng, 3, 2, 3, 4)
    assert_close(Unflatten((2, 3, 4))(Flatten()(x_)), x)


def test_shapes_configuration_and_summary():
    layer = Unflatten([3, 2, np.int64(4)])  # as JSON gives it back
    assert layer.config() == {"shape": (3, 2, 4)}
    assert layer.output_shape((24,)) == (3, 2, 4)
    table = Sequential(Linear(5, 24), layer).to_backend().summary((5,))
    assert "1 Unflatten  (3, 2, 4)           0        0         0" in table


@pytest.mark.parametrize("order", ["C", "F"])
def test_nothing_is_copied_batch_first_or_last(order):
    x = np.asarray(np.arange(16 * 12.0).reshape(16, 12), order=order)
    layer = Unflatten((3, 2, 2))
    y, cache = layer.forward(x)
    dx, _ = layer.backward(y, cache)
    assert np.shares_memory(x, y)
    assert np.shares_memory(x, dx)
    assert dx.strides == x.strides
    if order == "F":
        assert np.moveaxis(y, 0, -1).flags.c_contiguous


def test_refuses_what_makes_no_sense(xp):
    for shape in (12, (12,), (1, 3, 2, 2), "322"):
        with pytest.raises(OptionError, match=r"Unflatten: expected shape: \(H, W, C\) or \(L, C\), got "):
            Unflatten(shape)
    for shape in ((3, 0, 2), (3, -2, 2), (3, 2.0, 2), (3, True, 2)):
        with pytest.raises(OptionError, match=r"Unflatten: expected each axis of shape: an integer ≥ 1, got "):
            Unflatten(shape)
    layer = Unflatten((3, 2, 2))
    x = xp.array(np.ones((5, 12)))
    refused = r"^Unflatten\(\(3, 2, 2\)\): expected input \(N, 12\), got "
    for given, got in (
        (x[:, :6], r"\(5, 6\); build the layer for 6"),
        (x[0, :], r"\(12,\); add the batch axis"),
        (xp.array(np.ones((5, 3, 2, 2))), r"\(5, 3, 2, 2\); put Flatten\(\) before$"),
        (xp.array(np.ones((5, 3, 2, 4))), r"\(5, 3, 2, 4\); put Flatten\(\) before, and build the layer for 24"),
    ):
        with pytest.raises(ShapeError, match=refused + got):
            layer(given)
    with pytest.raises(ShapeError, match=r"skip empty batches"):
        layer(x[:0, :])
    with pytest.raises(DTypeError, match=r"Unflatten: expected float32 or float64, got int64"):
        layer(xp.array(np.ones((5, 12), "int64")))
    _, cache = layer.forward(x)
    with pytest.raises(ShapeError, match=r"Unflatten backward: expected dy \(5, 3, 2, 2\), as forward's output"):
        layer.backward(x, cache)
