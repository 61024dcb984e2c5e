"""Activations, smooth and not: values and slopes number by number, witnesses, PyTorch, huge and odd inputs."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.reliability.pytorch_layers import FUNCTIONS
from xpcnn import nn
from xpcnn.backend import to_numpy
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.ops import activation, dispatch, rectifier

from .. import reference_activation as reference
from ..arrays import assert_close, needs_torch

NAMES = tuple(reference.FUNCTIONS)
VARIANTS = {"GELU, tanh": lambda: nn.GELU("tanh")}
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def test_every_elementwise_layer_is_here():
    every = {name for name, make in EXAMPLES.items() if make()[0].elementwise}
    others = {
        "Identity",
        "Dropout",
        "Dropout1d",
        "Dropout2d",
        "StochasticDepth",
        "Abs",
        "Exp",
        "Log",
        "Power",
    }  # tests/ops/test_elementary.py
    assert every - others == set(NAMES) - VARIANTS.keys(), "tests/reference_activation.py"


def layer_of(name):
    return VARIANTS[name]() if name in VARIANTS else EXAMPLES[name]()[0]


def pair(name):
    """The reference, where there are faster implementations; with the options of the layer's example."""
    layer = layer_of(name)
    forward, backward = layer.pair
    if isinstance(forward, partial):
        found = dispatch.implementations(*forward.args)[-1]
        forward, backward = found.forward, found.backward
    return partial(forward, **layer.options()), backward


@pytest.mark.parametrize("name", NAMES)
@given(shape=SHAPES, dtype=st.sampled_from(["float32", "float64"]), scale=st.sampled_from([1, 10]), seed=st.integers(0))
def test_each_number_is_right(xp, name, shape, dtype, scale, seed):
    rng = np.random.default_rng(seed)
    forward, backward = pair(name)
    value, slope, *_ = reference.FUNCTIONS[name]
    x = rng.normal(scale=scale, size=shape).astype(dtype)
    dy, dy_ = xp.normal(rng, *shape, dtype=dtype)
    y, cache = forward(xp.array(x, dtype))
    assert_close(y, reference.each(value, x).astype(dtype))
    assert_close(backward(dy_, cache), (dy * reference.each(slope, x)).astype(dtype))


@pytest.mark.parametrize("name", NAMES)
def test_witnesses(xp, name, rng):
    forward, backward = pair(name)
    _, x = xp.normal(rng, 3, 4, 2)
    report = check_pair(forward, lambda dy, cache: (backward(dy, cache),), {"x": x})
    assert report.passed, report
    spoke = [row.witness for row in report.rows]
    assert "central difference" in spoke
    assert ("complex step" in spoke) >= reference.FUNCTIONS[name].smooth


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_inputs_stay_finite_and_right(xp, name, dtype):
    forward, backward = pair(name)
    x = np.array([-1e4, -700.0, -89.0, -20.0, 0.0, 20.0, 89.0, 700.0, 1e4])
    value, slope, *_ = reference.FUNCTIONS[name]
    y, cache = forward(xp.array(x, dtype))
    assert_close(y, reference.each(value, x).astype(dtype))
    dx = backward(xp.array(np.ones(9), dtype), cache)
    assert_close(dx, reference.each(slope, x).astype(dtype))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@np.errstate(over="ignore")  # SELU of the largest number
def test_limits(xp, name, dtype):
    """At ±∞, and for finite numbers up to the largest: all activations are straight lines long before."""
    forward, backward = pair(name)
    low, high, low_slope, high_slope = reference.FUNCTIONS[name].limits
    large = np.array([1e8, 1e10, 1e20, 1e30, np.finfo(dtype).max, np.inf]).astype(dtype)
    n = len(large)
    y, cache = forward(xp.array(np.concatenate([-large, large]), dtype))
    below = np.full(n, low) if np.isfinite(low) else -0.01 * large
    above = np.full(n, high) if np.isfinite(high) else high_slope * large.astype("f8")
    np.testing.assert_allclose(to_numpy(y), np.concatenate([below, above]).astype(dtype), rtol=1e-6)
    slopes = to_numpy(backward(xp.array(np.ones(2 * n), dtype), cache))
    np.testing.assert_allclose(slopes, np.repeat([low_slope, high_slope], n), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sigmoid_near_0_has_all_its_digits(xp, dtype):
    x = np.array([-10.0, -17.0, -30.0, -80.0])
    ones, exact = xp.array(np.ones(4), dtype), np.exp(x) / (1 + np.exp(x))
    y, cache = activation.sigmoid_forward(xp.array(x, dtype))
    dx = activation.sigmoid_backward(ones, cache)
    _, cache = activation.softplus_forward(xp.array(x, dtype))
    for got, expected in ((y, exact), (dx, exact * (1 - exact)), (activation.softplus_backward(ones, cache), exact)):
        np.testing.assert_allclose(to_numpy(got), expected, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "slope"), [("ELU", 1), ("SELU", rectifier.SELU_SCALE * rectifier.SELU_ALPHA)])
def test_a_slope_far_below_0_has_all_its_digits(xp, name, slope, dtype):
    forward, backward = pair(name)
    x = np.array([-10.0, -17.0, -30.0, -80.0])
    _, cache = forward(xp.array(x, dtype))
    dx = backward(xp.array(np.ones(4), dtype), cache)
    np.testing.assert_allclose(to_numpy(dx), slope * np.exp(x), rtol=8 * np.finfo(dtype).eps)


@needs_torch
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at_corner", [False, True])
def test_agrees_with_pytorch_at_the_corner_too(name, at_corner, rng):
    import torch

    forward, backward = pair(name)
    corners = np.tile(reference.FUNCTIONS[name].corners, (3, 1))
    x = corners if at_corner else rng.normal(scale=3, size=(3, 5))
    dy = rng.normal(size=x.shape)
    x_t = torch.tensor(x, requires_grad=True)
    y_t = FUNCTIONS[name.partition(",")[0]](torch, layer_of(name), x_t, {})
    y_t.backward(torch.tensor(dy))
    y, cache = forward(x)
    np.testing.assert_allclose(y, y_t.detach().numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(backward(dy, cache), x_t.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_strided_inputs(name, rng):
    forward, backward = pair(name)
    x, dy = rng.normal(size=(2, 6, 8))[:, ::-2, 1::3], rng.normal(size=(3, 3, 2)).transpose(2, 1, 0)
    y, cache = forward(x)
    packed, packed_cache = forward(x.copy())
    np.testing.assert_array_equal(y, packed)
    np.testing.assert_array_equal(backward(dy, cache), backward(dy.copy(), packed_cache))


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_refused(xp, name):
    forward, backward = pair(name)
    with pytest.raises(ShapeError, match=f"^{name.partition(',')[0]}: "):
        forward(xp.array(np.float64(1.0)))
    with pytest.raises(ShapeError, match="skip empty batches"):
        forward(xp.array(np.zeros((0, 3))))
    with pytest.raises(DTypeError, match=r"expected float32 or float64, got int64"):
        forward(xp.array(np.ones((2, 3), "i8")))
    _, cache = forward(xp.array(np.ones((2, 3))))
    with pytest.raises(ShapeError, match=r"backward: expected dy \(2, 3\), as forward's output, got \(3, 2\)"):
        backward(xp.array(np.ones((3, 2))), cache)
    with pytest.raises(DTypeError, match="float32"):
        backward(xp.array(np.ones((2, 3), "i8")), cache)


def test_clips_with_one_bound_and_bad_ones():
    x = np.array([[-1.0, 0.5, 7.0]])
    np.testing.assert_array_equal(nn.Clip(max=1)(x), [[-1, 0.5, 1]])
    np.testing.assert_array_equal(nn.Clip(0)(x), [[0, 0.5, 7]])
    for options, text in (
        ({}, "Clip: expected min, max or both, got neither"),
        ({"min": 2, "max": 1}, "Clip: expected min ≤ max, got 2.0 and 1.0"),
        ({"min": "low"}, "Clip: expected min: a number"),
    ):
        with pytest.raises(OptionError, match=text):
            nn.Clip(**options)
    with pytest.raises(OptionError, match=r"CELU: expected alpha: a number in \(0, inf\)"):
        nn.CELU(0)


def test_mish_and_softsign_are_right_to_rounding(xp):
    """Numbers for which log(1 + e) and 1 − t² would have lost their digits."""
    x = np.array([-80.0, -30.0, -17.0, -9.0, -1e-3, 1e-8, 5.0])
    for name in ("Mish", "Softsign"):
        forward, backward = pair(name)
        value, slope, *_ = reference.FUNCTIONS[name]
        for dtype in ("float32", "float64"):
            y, cache = forward(xp.array(x, dtype))
            dx = backward(xp.array(np.ones(7), dtype), cache)
            exact = x.astype(dtype).astype("f8")
            for got, function in ((y, value), (dx, slope)):
                np.testing.assert_allclose(
                    to_numpy(got), reference.each(function, exact), rtol=64 * np.finfo(dtype).eps, err_msg=name
                )


@pytest.mark.parametrize(("dtype", "lowest"), [("float32", -12.0), ("float64", -36.0)])
def test_gelu_is_right_to_rounding(xp, dtype, lowest, rng):
    """Relative to itself, also where Φ is 10⁻²⁸⁰; at all ends of the polynomials' ranges, and on both sides of 0."""
    ends = np.sqrt(2) * np.array([0.46875, 4.0])
    x = np.concatenate(
        [
            rng.uniform(lowest, 9, 500),
            rng.normal(size=200),
            *(s * ends * (1 + e) for s in (-1, 1) for e in (-1e-6, 0, 1e-6)),
        ]
    )
    x = x.astype(dtype)
    forward, backward = pair("GELU")
    y, cache = forward(xp.array(x, dtype))
    dx = to_numpy(backward(xp.array(np.ones(len(x)), dtype), cache))
    value, slope, *_ = reference.FUNCTIONS["GELU"]
    eps, exact = np.finfo(dtype).eps, x.astype("f8")
    rounded = 1 + exact**2 / 4 if dtype == "float64" else 1  # of the reference: math.erfc rounds −x/√2 first
    assert np.all(np.abs(to_numpy(y) / reference.each(value, exact) - 1) <= 8 * eps * rounded)
    np.testing.assert_allclose(dx, reference.each(slope, exact), rtol=0, atol=4 * eps)


def test_gelu_takes_one_of_two_words():
    with pytest.raises(OptionError, match='GELU: expected approximate: "none" or "tanh", got \'erf\''):
        nn.GELU("erf")
    with pytest.raises(DTypeError, match=r"GELU: expected real numbers, got complex128; GELU\('tanh'\)"):
        nn.GELU()(np.ones((2, 2), complex))
