"""Losses at ±∞: sure answers, masked classes, impossible ones; L and its gradient are what they tend to, not NaN."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.backend import to_numpy

from ..arrays import assert_close
from .losses import pair, run


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weight", [None, 0.0, 3.0])
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_sure_answers(xp, dtype, weight, target):
    """Logits of ±∞, and the largest finite ones: L is 0 or ∞ (or as large), dy is what it tends to."""
    p, largest = 1.0 if weight is None else weight, float(np.finfo(dtype).max)
    pos_weight = None if weight is None else xp.array(np.array(weight), dtype)
    for y, wrong, slope in (
        (-np.inf, p * target, -p * target),
        (-largest, p * target, -p * target),
        (largest, 1 - target, 1 - target),
        (np.inf, 1 - target, 1 - target),
    ):
        forward, backward = pair("bce_with_logits")
        y_, target_ = xp.array([y], dtype), xp.array([target], dtype)
        with np.errstate(over="ignore"):
            loss, cache = forward(y_, target_, pos_weight=pos_weight, reduction="sum")
        with np.errstate(over="ignore"):
            expected = np.asarray(abs(y) * wrong if wrong else 0.0).astype(dtype)
        np.testing.assert_allclose(to_numpy(loss), expected, rtol=1e-6)
        np.testing.assert_allclose(to_numpy(backward(cache)), [slope], rtol=1e-6)


@pytest.mark.parametrize("name", ["cross_entropy", "nll", "hinge"])
def test_masked_classes(xp, rng, name):
    """Classes at −∞ count for nothing, where none of them is the label: as if they were not there."""
    y = rng.normal(size=(5, 3))
    y -= np.log(np.exp(y).sum(axis=1, keepdims=True))  # log-probabilities, for all of them
    masked = np.full((5, 5), -np.inf)
    masked[:, [0, 2, 3]] = y
    labels = np.array([0, 1, 2, 1, 0])
    forward, backward = pair(name)
    loss, cache = forward(xp.array(masked), xp.array(np.array([0, 2, 3])[labels]))
    expected, expected_cache = forward(y, labels)
    factor = 3 / 5 if name == "hinge" else 1.0  # it is divided by K
    assert_close(loss, np.asarray(expected * factor))
    dy = np.zeros((5, 5))
    dy[:, [0, 2, 3]] = backward(expected_cache) * factor
    assert_close(backward(cache), dy)


def test_impossible_classes(xp):
    """−∞ among the logits or log-probabilities counts only where it is the target's."""
    y = xp.array([[0.0, -np.inf, 0.0]])
    loss, dy = run("cross_entropy", y, xp.array([0]))
    assert_close(loss, np.log(2.0))
    assert_close(dy, np.array([[-0.5, 0, 0.5]]))
    loss, dy = run("nll", y, xp.array([2]))
    assert_close(loss, np.asarray(0.0))
    assert_close(dy, np.array([[0.0, 0.0, -1.0]]))
