"""Dropout: what is kept is enlarged, what is not is 0, and so for the gradient."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import BackendError, DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.ops.dropout import dropout_backward, dropout_forward

from ..arrays import assert_close, needs_torch


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("keep_shape", [(3, 2, 4, 5), (3, 1, 1, 5)])
@pytest.mark.parametrize("p", [0.0, 0.25, 0.9])
def test_agrees_with_plain_loops(xp, dtype, keep_shape, p, rng):
    x, x_ = xp.normal(rng, 3, 2, 4, 5, dtype=dtype)
    dy, dy_ = xp.normal(rng, 3, 2, 4, 5, dtype=dtype)
    keep = rng.random(keep_shape) >= p
    y, dx = np.zeros_like(x), np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        if keep[tuple(min(i, size - 1) for i, size in zip(place, keep_shape, strict=True))]:
            y[place] = x[place] / (1 - p)
            dx[place] = dy[place] / (1 - p)
    actual, cache = dropout_forward(x_, xp.array(keep), p=p)
    assert_close(actual, y)
    assert_close(dropout_backward(dy_, cache), dx)


def test_witnesses(xp, rng):
    keep = xp.array(rng.random((3, 4)) >= 0.3)
    report = check_pair(
        lambda x: dropout_forward(x, keep, p=0.3),
        lambda dy, cache: (dropout_backward(dy, cache),),
        {"x": xp.normal(rng, 3, 4)[1]},
    )
    assert report.passed, report
    assert len(report.rows) == 3  # central difference, complex step, adjoint identity


@needs_torch
def test_agrees_with_pytorch(rng):
    """PyTorch draws its own mask: read it off its output, and compare the rest."""
    import torch

    x, dy = rng.normal(size=(50, 20)), rng.normal(size=(50, 20))
    x_t = torch.tensor(x, requires_grad=True)
    y_t = torch.nn.functional.dropout(x_t, 0.4, training=True)
    y_t.backward(torch.tensor(dy))
    y, cache = dropout_forward(x, y_t.detach().numpy() != 0, p=0.4)
    np.testing.assert_allclose(y, y_t.detach().numpy(), rtol=1e-14)
    np.testing.assert_allclose(dropout_backward(dy, cache), x_t.grad.numpy(), rtol=1e-14)


def test_bad_input_is_refused(xp):
    x, keep = xp.array(np.ones((2, 3))), xp.array(np.ones((2, 3), bool))
    for p in (-0.1, 1, float("nan"), "half"):
        with pytest.raises(OptionError, match=r"Dropout: expected p: a number in \[0, 1\), got"):
            dropout_forward(x, keep, p=p)
    with pytest.raises(ShapeError, match=r"Dropout: expected keep \(2, 3\), or 1 for some of them, got \(3, 2\)"):
        dropout_forward(x, xp.array(np.ones((3, 2), bool)), p=0.5)
    with pytest.raises(ShapeError, match=r"got \(3,\)"):
        dropout_forward(x, xp.array(np.ones(3, bool)), p=0.5)
    with pytest.raises(DTypeError, match="Dropout: expected a boolean keep, got float64"):
        dropout_forward(x, x, p=0.5)
    with pytest.raises(DTypeError, match="expected float32 or float64, got int64"):
        dropout_forward(xp.array(np.ones((2, 3), "i8")), keep, p=0.5)
    with pytest.raises(ShapeError, match="skip empty batches"):
        dropout_forward(xp.array(np.ones((0, 3))), xp.array(np.ones((0, 3), bool)), p=0.5)
    if xp.backend != "numpy":
        with pytest.raises(BackendError, match="arrays of one backend"):
            dropout_forward(x, np.ones((2, 3), bool), p=0.5)
    _, cache = dropout_forward(x, keep, p=0.5)
    with pytest.raises(ShapeError, match=r"Dropout backward: expected dy \(2, 3\)"):
        dropout_backward(xp.array(np.ones((2, 1))), cache)
