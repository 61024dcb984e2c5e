"""What tests of training in parts share."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import xpcnn
from xpcnn import nn

NUMPY_AS_USUAL = [
    pytest.mark.skipif(
        not isinstance(nn.Linear(1, 1).weight, np.ndarray), reason="other arrays than NumPy's have no parts"
    ),
    pytest.mark.usefixtures("parts_of_users"),
]


def run(model, x, dy=None):
    """Output, gradients and dy, which is random."""
    y, cache = model.forward(x)
    dy = np.random.default_rng(3).normal(size=y.shape).astype(y.dtype) if dy is None else dy
    return y, model.backward(dy, cache, input_grad=False)[1]


def has_parts(plan):
    return any(chain is not None for chain in plan._chains.found.values())


def check(model, x):
    """The plan of that network has parts, and agrees with it."""
    plan = nn.plan_training(copy.deepcopy(model))
    tolerance = 1e-9 if x.dtype == np.float64 else 2e-4
    for _ in range(2):  # the second time in the memory of the first
        y, grads = run(plan, x)
        with xpcnn.use_implementation("reference"):
            expected, whole = run(model, x)
        assert has_parts(plan)
        assert sorted(grads) == sorted(whole)
        np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
        for name, g in whole.items():
            np.testing.assert_allclose(grads[name], g, rtol=tolerance, atol=tolerance * abs(g).max() + 1e-12)
    return plan


def steps(plan):
    (chain,) = plan._chains.found.values()
    return chain.entries


def lenet(dtype="float32", drop=0.3):
    layers = [nn.Conv2d(2, 5, 5, padding=2, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(drop, rng=4)]
    inner = nn.Sequential(
        nn.Conv2d(5, 4, (2, 3), bias=False, rng=1),
        nn.LeakyReLU(),
        nn.Softplus(),
        nn.AvgPool2d(2),
        nn.MaxPool2d(2, stride=1),
    )
    return nn.Sequential(
        *layers, inner, nn.Flatten(), nn.Linear(4, 7, rng=2), nn.ReLU(), nn.Linear(7, 3, rng=3)
    ).astype(dtype)


def infers(model, x):
    """The plan of that network's inference has parts, and agrees with it."""
    plan, tolerance = nn.plan(model, x.shape[1:]), 1e-9 if x.dtype == np.float64 else 2e-4
    with xpcnn.use_implementation("reference"):
        expected = model(x)
    np.testing.assert_allclose(plan(x), expected, rtol=tolerance, atol=tolerance)
    assert has_parts(plan)
