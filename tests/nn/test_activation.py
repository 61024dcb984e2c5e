"""Activation layers: each is its op pair, with its options, and comes back from its config."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn import nn as layers
from xpcnn.errors import OptionError, ShapeError
from xpcnn.gradient_check import gradcheck
from xpcnn.nn import OpLayer

from ..arrays import assert_close

E = np.e
CASES = [  # layer, what it makes of the row [−1, 2]
    (layers.Identity(), [-1, 2]),
    (layers.ReLU(), [0, 2]),
    (layers.LeakyReLU(), [-0.01, 2]),
    (layers.LeakyReLU(0.5), [-0.5, 2]),
    (layers.PReLU(), [-0.25, 2]),
    (layers.PReLU(2, init=0.5), [-0.5, 2]),
    (layers.ELU(), [1 / E - 1, 2]),
    (layers.ELU(alpha=2.0), [2 / E - 2, 2]),
    (layers.SELU(), [1.758099340847376 * (1 / E - 1), 2.101401974710969]),
    (layers.Sigmoid(), [1 / (1 + E), 1 / (1 + E**-2)]),
    (layers.Tanh(), [np.tanh(-1), np.tanh(2)]),
    (layers.GELU(), [-0.15865525393145707, 1.9544997361036416]),
    (layers.GELU("tanh"), [-0.15880800939172324, 1.954597694087775]),
    (layers.SiLU(), [-1 / (1 + E), 2 / (1 + E**-2)]),
    (layers.Softplus(), [np.log(1 + 1 / E), np.log(1 + E**2)]),
    (layers.Softmax(), [1 / (1 + E**3), 1 / (1 + E**-3)]),
    (layers.LogSoftmax(), [-np.log(1 + E**3), -np.log(1 + E**-3)]),
]


def rebuilt(layer):
    """The layer, made anew in the library under test, in float64."""
    return type(layer)(**layer.config()).astype("float64")


@pytest.mark.parametrize(("layer", "expected"), CASES, ids=lambda case: str(case).partition("(")[0])
def test_values_and_gradients(xp, layer, expected, rng):
    layer = rebuilt(layer)
    x = xp.array([[-1.0, 2.0]])
    assert_close(layer(x), np.array([expected], "f8"))
    y, cache = layer.forward(x)
    assert_close(y, np.array([expected], "f8"))
    dx, grads = layer.backward(y, cache, input_grad=False)
    assert dx is None
    assert grads.keys() == layer.parameters().keys()
    report = gradcheck(layer, xp.normal(rng, 3, 4, 2)[1], directions=2)
    assert report.passed, report
    assert "central difference" in [row.witness for row in report.rows]


def test_the_base_takes_your_own_pair(xp):
    class Power(OpLayer):
        pair = (lambda x, exponent: (x**exponent, (x, exponent)), lambda dy, cache: dy * cache[1] * cache[0])
        config_names = ("exponent",)
        exponent = 2.0

    assert gradcheck(Power(), xp.array([[1.0, -3.0]])).passed


def test_prelu_learns_one_slope_for_each_channel(xp):
    layer = layers.PReLU(3)
    assert_close(layer.weight, np.full(3, 0.25, "f4"))
    assert repr(layer) == "PReLU(num_parameters=3, init=0.25)"
    _, cache = layer.forward(xp.array(-np.ones((2, 3)), "float32"))
    dx, grads = layer.backward(xp.array([[1, 2, 3], [4, 5, 6]], "float32"), cache)
    assert_close(dx, np.array([[1, 2, 3], [4, 5, 6]], "f4") / 4)
    assert_close(grads["weight"], np.array([-5, -7, -9], "f4"))
    with pytest.raises(ShapeError, match=r"PReLU: expected a slope \(1,\) or \(4,\)"):
        layer(xp.array(np.ones((2, 4)), "float32"))


def test_bad_options_are_refused():
    with pytest.raises(OptionError, match=r"PReLU: expected num_parameters: an integer ≥ 1, got 0"):
        layers.PReLU(0)
    with pytest.raises(OptionError, match="PReLU: expected init: a number"):
        layers.PReLU(init=None)
    with pytest.raises(OptionError, match="LeakyReLU: expected negative_slope: a number"):
        layers.LeakyReLU("steep")
    with pytest.raises(OptionError, match="ELU: expected alpha: a number"):
        layers.ELU(-1.0)


def test_layers_of_one_kind_share_nothing():
    a, b = layers.PReLU(), layers.PReLU()
    a.weight[...] = 7.0
    assert xpcnn.to_numpy(b.weight).tolist() == [0.25]
