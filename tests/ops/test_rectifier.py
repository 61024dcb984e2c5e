"""Activations with a corner: PReLU's learned slope, and options."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpcnn
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.ops.rectifier import (
    elu_backward,
    elu_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    prelu_backward,
    prelu_forward,
)

from .. import reference_activation as reference
from ..arrays import assert_close, needs_torch

SHAPES = st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple)


def draw_prelu(xp, shape, shared, rng, dtype="float64"):
    x, x_ = xp.normal(rng, *shape, dtype=dtype)
    slope, slope_ = xp.normal(rng, 1 if shared else shape[-1], dtype=dtype)
    return (x, slope), (x_, slope_)


@given(shape=SHAPES, shared=st.booleans(), dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0))
def test_prelu_agrees_with_plain_loops(xp, shape, shared, dtype, seed):
    rng = np.random.default_rng(seed)
    (x, slope), arrays = draw_prelu(xp, shape, shared, rng, dtype)
    dy, dy_ = xp.normal(rng, *shape, dtype=dtype)
    y, cache = prelu_forward(*arrays)
    assert_close(y, np.where(x > 0, x, slope * x))
    dx, dslope = reference.prelu_gradients(*(a.astype("f8") for a in (x, slope, dy)))
    actual = prelu_backward(dy_, cache)
    assert_close(actual[0], dx.astype(dtype))
    assert_close(actual[1], dslope.astype(dtype))
    no_dx, again = prelu_backward(dy_, cache, input_grad=False)
    assert no_dx is None
    assert_close(again, dslope.astype(dtype))


@pytest.mark.parametrize("shared", [True, False])
def test_prelu_witnesses(xp, shared, rng):
    _, (x, slope) = draw_prelu(xp, (3, 4, 5, 2), shared, rng)
    report = check_pair(prelu_forward, prelu_backward, {"x": x, "slope": slope})
    assert report.passed, report
    assert ("slope", "adjoint identity") in [(row.argument, row.witness) for row in report.rows]
    assert [row.witness for row in report.rows].count("central difference") == 2


@needs_torch
@given(shape=SHAPES, shared=st.booleans(), zeros=st.booleans(), seed=st.integers(0))
def test_prelu_agrees_with_pytorch(shape, shared, zeros, seed):
    import torch

    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) * (rng.random(shape) > 0.5 if zeros else 1)
    slope, dy = rng.normal(size=1 if shared else shape[-1]), rng.normal(size=shape)
    x_t, slope_t = torch.tensor(x, requires_grad=True), torch.tensor(slope, requires_grad=True)
    y_t = torch.nn.functional.prelu(x_t.movedim(-1, 1), slope_t).movedim(1, -1)  # their channels are axis 1
    y_t.backward(torch.tensor(dy))
    y, cache = prelu_forward(x, slope)
    dx, dslope = prelu_backward(dy, cache)
    for actual, expected in ((y, y_t.detach()), (dx, x_t.grad), (dslope, slope_t.grad)):
        np.testing.assert_allclose(actual, expected.numpy(), rtol=0, atol=1e-12)


@needs_torch
@pytest.mark.parametrize("option", [0.0, 0.3, 2.5])
@pytest.mark.parametrize("name", ["elu", "leaky_relu"])
def test_options_agree_with_pytorch(name, option, rng):
    import torch

    x, dy = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    x[0] = 0
    x_t = torch.tensor(x, requires_grad=True)
    y_t = getattr(torch.nn.functional, name)(x_t, option)
    y_t.backward(torch.tensor(dy))
    if name == "elu":
        y, cache = elu_forward(x, alpha=option)
        dx = elu_backward(dy, cache)
    else:
        y, cache = leaky_relu_forward(x, negative_slope=option)
        dx = leaky_relu_backward(dy, cache)
    np.testing.assert_allclose(y, y_t.detach().numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(dx, x_t.grad.numpy(), rtol=0, atol=1e-12)


def test_leaky_relu_passes_positive_numbers_exactly(xp):
    x = np.array([0.1, 1 / 3, 1e-30], "f4")
    y, cache = leaky_relu_forward(xp.array(x, "float32"), negative_slope=0.3)
    assert xpcnn.to_numpy(y).tolist() == x.tolist()
    assert xpcnn.to_numpy(leaky_relu_backward(xp.array(x, "float32"), cache)).tolist() == x.tolist()


def test_bad_input_is_refused(xp):
    x = xp.array(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"PReLU: expected a slope \(1,\) or \(3,\) for input \(2, 3\), got \(2,\)"):
        prelu_forward(x, xp.array(np.ones(2)))
    with pytest.raises(ShapeError, match=r"got \(\)"):
        prelu_forward(x, xp.array(np.float64(1.0)))
    with pytest.raises(DTypeError, match="PReLU: expected arrays of one dtype, got float64 and float32"):
        prelu_forward(x, xp.array(np.ones(1), "float32"))
    _, cache = prelu_forward(x, xp.array(np.ones(1)))
    with pytest.raises(ShapeError, match="PReLU backward"):
        prelu_backward(xp.array(np.ones((2, 1))), cache)
    with pytest.raises(OptionError, match=r"ELU: expected alpha: a number in \[0, inf\), got -1"):
        elu_forward(x, alpha=-1)
    for wrong in ("0.1", float("nan"), float("inf"), None, True):
        with pytest.raises(OptionError, match="LeakyReLU: expected negative_slope: a number"):
            leaky_relu_forward(x, negative_slope=wrong)
