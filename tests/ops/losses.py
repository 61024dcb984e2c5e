"""Shared by the tests of the losses: each loss by its name, its value and gradient at once."""

from __future__ import annotations

import numpy as np

from xpcnn import ops

from ..arrays import assert_close

ELEMENTWISE = ("mse", "mae", "huber", "bce_with_logits")
LABELLED = ("cross_entropy", "nll", "hinge")


def pair(name):
    return getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")


def run(name, y, target, **options):
    """loss and dy."""
    forward, backward = pair(name)
    loss, cache = forward(y, target, **options)
    return loss, backward(cache)


def check(name, y, target, expected, dtype, **options):
    loss, dy = run(name, y, target, **options)
    assert_close(loss, np.asarray(expected[0], dtype), factor=4)
    assert_close(dy, expected[1].astype(dtype), factor=4)
