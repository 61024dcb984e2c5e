"""Upsampling: each element fills its block, the gradient is the block's sum; the witnesses, PyTorch, bad input."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import gradcheck
from xpcnn.nn import Upsample
from xpcnn.ops.upsample import upsample2d_backward, upsample2d_forward

from ..arrays import assert_close, needs_torch

same = partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-11)  # what is NumPy on every backend

Factors = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(factors=Factors, dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 99))
def test_agrees_with_plain_loops(xp, factors, dtype, seed):
    rng = np.random.default_rng(seed)
    x, x_ = xp.normal(rng, 2, 3, 2, 2, dtype=dtype)
    y, cache = upsample2d_forward(x_, scale_factor=factors)
    dy, dy_ = xp.normal(rng, 2, 3 * factors[0], 2 * factors[1], 2, dtype=dtype)
    expected, dx = np.zeros(dy.shape), np.zeros(x.shape)
    for n, i, j, c in np.ndindex(*dy.shape):
        expected[n, i, j, c] = x[n, i // factors[0], j // factors[1], c]
        dx[n, i // factors[0], j // factors[1], c] += dy[n, i, j, c]
    assert_close(y, expected.astype(dtype))
    assert_close(upsample2d_backward(dy_, cache), dx.astype(dtype))


@pytest.mark.parametrize("factors", [2, (1, 3), (1, 1)])
def test_witnesses(xp, rng, factors):
    report = gradcheck(Upsample(factors), xp.array(rng.normal(size=(2, 3, 4, 2))))
    assert report.passed, report
    assert {row.witness for row in report.rows} == {"central difference", "complex step", "adjoint identity"}


@needs_torch
@given(factors=Factors, seed=st.integers(0, 99))
def test_agrees_with_pytorch(factors, seed):
    import torch

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 3, 4, 2))
    x_t = torch.tensor(np.moveaxis(x, 3, 1), requires_grad=True)
    y_t = torch.nn.functional.interpolate(x_t, scale_factor=tuple(map(float, factors)), mode="nearest")
    layer = Upsample(factors)
    y, cache = layer.forward(x)
    same(y, np.moveaxis(y_t.detach().numpy(), 1, 3))
    dy = rng.normal(size=y.shape)
    y_t.backward(torch.tensor(np.moveaxis(dy, 3, 1)))
    same(layer.backward(dy, cache)[0], np.moveaxis(x_t.grad.numpy(), 1, 3))


def test_layer_on_views_of_large_values(xp, rng):
    host = rng.normal(size=(2, 6, 4, 2)) * 1e4
    layer = Upsample((2, 3))
    y, cache = layer.forward(xp.array(host)[:, ::2, :, :])
    assert_close(y, host[:, ::2, :, :].repeat(2, axis=1).repeat(3, axis=2))
    assert_close(layer.backward(y, cache)[0], host[:, ::2, :, :] * 6)
    assert layer.backward(y, cache, input_grad=False) == (None, {})
    assert layer.output_shape((3, 4, 2)) == (6, 12, 2)
    assert type(layer)(**layer.config()).scale_factor == (2, 3)


def test_refuses_what_makes_no_sense(xp):
    x = xp.array(np.ones((2, 3, 3, 4)))
    for factor in (0, 1.5, (2, 2, 2), "2"):
        with pytest.raises(OptionError, match=r"Upsample: expected scale_factor: an integer ≥ 1"):
            Upsample(factor)
    layer = Upsample(2)
    with pytest.raises(
        ShapeError, match=r"Upsample: expected input \(N, H, W, C\), got \(3, 3, 4\); add the batch axis"
    ):
        layer(x[0, :, :, :])
    with pytest.raises(ShapeError, match=r"skip empty batches"):
        layer(x[:0, :, :, :])
    with pytest.raises(DTypeError, match=r"Upsample: expected float32 or float64, got int64"):
        layer(xp.array(np.ones((2, 3, 3, 4), "int64")))
    _, cache = layer.forward(x)
    with pytest.raises(ShapeError, match=r"Upsample backward: expected dy \(2, 6, 6, 4\), as forward's output"):
        layer.backward(x, cache)
