"""Softmax and log-softmax: values and Jacobians row by row, witnesses, PyTorch, the shift by the maximum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.errors import DTypeError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.ops.softmax import log_softmax_backward, log_softmax_forward, softmax_backward, softmax_forward

from .. import reference_activation as reference
from ..arrays import assert_close, needs_torch

PAIRS = {"softmax": (softmax_forward, softmax_backward), "log_softmax": (log_softmax_forward, log_softmax_backward)}
SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)


@given(shape=SHAPES, dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0))
def test_agrees_with_plain_loops(xp, shape, dtype, seed):
    rng = np.random.default_rng(seed)
    x, x_ = xp.normal(rng, *shape, dtype=dtype)
    dy, dy_ = xp.normal(rng, *shape, dtype=dtype)
    y, jacobian = reference.softmax_rows(x.astype("f8"))
    actual, cache = softmax_forward(x_)
    assert_close(actual, y.astype(dtype))
    assert_close(softmax_backward(dy_, cache), (dy[..., None] * jacobian).sum(-2).astype(dtype))
    actual, cache = log_softmax_forward(x_)
    assert_close(actual, np.log(y).astype(dtype))
    assert_close(log_softmax_backward(dy_, cache), ((dy / y)[..., None] * jacobian).sum(-2).astype(dtype))


@pytest.mark.parametrize("name", PAIRS)
def test_witnesses(xp, name, rng):
    forward, backward = PAIRS[name]
    _, x = xp.normal(rng, 3, 2, 5)
    report = check_pair(forward, lambda dy, cache: (backward(dy, cache),), {"x": x})
    assert report.passed, report
    assert "central difference" in [row.witness for row in report.rows]


@needs_torch
@pytest.mark.parametrize("name", PAIRS)
@given(shape=SHAPES, scale=st.sampled_from([1.0, 100.0]), seed=st.integers(0))
def test_agrees_with_pytorch(name, shape, scale, seed):
    import torch

    rng = np.random.default_rng(seed)
    x, dy = rng.normal(scale=scale, size=shape), rng.normal(size=shape)
    x_t = torch.tensor(x, requires_grad=True)
    y_t = getattr(torch, name)(x_t, -1)
    y_t.backward(torch.tensor(dy))
    forward, backward = PAIRS[name]
    y, cache = forward(x)
    np.testing.assert_allclose(y, y_t.detach().numpy(), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(backward(dy, cache), x_t.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scores_of_any_size(xp, dtype):
    """Without the shift by the maximum, e^10000 is infinite and the result NaN."""
    x = xp.array([[1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]], dtype)
    third = 1 / 3
    y, cache = softmax_forward(x)
    assert_close(y, np.array([[0.5, 0.5, 0.0], [third] * 3], dtype))
    dy = xp.array([[1.0, 0.0, 0.0]] * 2, dtype)
    assert_close(
        softmax_backward(dy, cache), np.array([[0.25, -0.25, 0.0], [2 * third**2, -(third**2), -(third**2)]], dtype)
    )
    y, cache = log_softmax_forward(x)
    assert_close(y, np.array([[-np.log(2), -np.log(2), -2e4 - np.log(2)], [-np.log(3)] * 3], dtype))
    assert_close(log_softmax_backward(dy, cache), np.array([[0.5, -0.5, 0.0], [2 * third, -third, -third]], dtype))


@pytest.mark.parametrize("name", PAIRS)
def test_strided_inputs(name, rng):
    forward, backward = PAIRS[name]
    x, dy = rng.normal(size=(6, 8))[::-2, 1::2], rng.normal(size=(4, 3)).T
    y, cache = forward(x)
    packed, packed_cache = forward(x.copy())
    np.testing.assert_allclose(y, packed, rtol=1e-15)
    np.testing.assert_allclose(backward(dy, cache), backward(dy.copy(), packed_cache), rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", PAIRS)
def test_bad_input_is_refused(xp, name):
    forward, backward = PAIRS[name]
    with pytest.raises(ShapeError, match=r"oftmax: expected input \(N, K\), got \(3,\); add the batch axis"):
        forward(xp.array(np.ones(3)))
    with pytest.raises(ShapeError, match="skip empty batches"):
        forward(xp.array(np.ones((2, 0))))
    with pytest.raises(DTypeError, match="expected float32 or float64, got int64"):
        forward(xp.array(np.ones((2, 3), "i8")))
    _, cache = forward(xp.array(np.ones((2, 3))))
    with pytest.raises(ShapeError, match=r"oftmax backward: expected dy \(2, 3\)"):
        backward(xp.array(np.ones((2, 1))), cache)
    with pytest.raises(DTypeError, match="oftmax backward: expected arrays of one dtype"):
        backward(xp.array(np.ones((2, 3)), "float32"), cache)
