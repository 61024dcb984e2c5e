"""Axes of length one, each and all: every implementation agrees with its reference, forward and backward."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest

from xpcnn.ops import Window, dispatch

CONVOLUTIONS = ("conv2d", "conv2d_inference")
WINDOW = Window((2, 2), padding=1)
ELSEWHERE = {"cuda", "reference", *([] if find_spec("numba") else ["numba"])}
OPERATIONS = [  # that NumPy has a choice for
    op for op in dispatch.operations() if {each.name for each in dispatch.implementations(op)} - ELSEWHERE
]


def arguments(op, n, h, w, c, f, rng):
    """Of the operation, for images (N, H, W, C); f is the number of outputs where there is one."""
    x, channels = rng.normal(size=(n, h, w, c)), rng.uniform(1, 2, size=(4, c))
    if op in CONVOLUTIONS:
        return (x, rng.normal(size=(f, 2, 2, c)), rng.normal(size=f)), {"window": WINDOW}
    if op == "linear":
        return (x.reshape(n, -1), rng.normal(size=(f, h * w * c)), rng.normal(size=f)), {}
    if "pool2d" in op and not op.startswith("global"):
        return (x,), {"window": WINDOW}
    if op in ("batch_norm", "batch_norm_relu"):
        return (x, *channels[:2]), {}
    if op == "batch_norm_inference":
        return (x, *channels), {}
    if op == "zero_pad":
        return (x, [(0, 1), (1, 0), (0, 0)]), {}
    if op == "prelu":
        return (x, channels[0]), {}
    if op == "cross_entropy":
        return (x, rng.integers(0, c, size=(n, h, w))), {}
    if op in ("add_join", "multiply", "maximum", "minimum"):
        return ((x, x[::-1]),), {}
    return (x, x[::-1]) if op == "add" else (x,), {}


def results(implementation, arrays, options, rng):
    made = implementation.forward(*arrays, **options)
    if implementation.backward is None:
        return [made]
    y, cache, *more = made
    if y.ndim == 0:  # a loss
        return [y, implementation.backward(cache)]
    dy = rng.normal(size=y.shape)
    gradients = implementation.backward(dy, cache)
    return [y, *(gradients if isinstance(gradients, tuple) else (gradients,)), *(more[0] if more else ())]


@pytest.mark.usefixtures("any_batch")
@pytest.mark.parametrize("op", OPERATIONS)
def test_axes_of_one(op):
    ran = 0
    for n, *sizes in product((1, 3), (1, 3), (1, 3), (1, 2), (1, 2)):
        rng = np.random.default_rng(0)
        arrays, options = arguments(op, n, *sizes, rng)
        if op in ("batch_norm", "batch_norm_relu") and n * sizes[0] * sizes[1] == 1:
            continue  # refused: it has no variance
        *faster, reference = dispatch.implementations(op)
        expected = results(reference, arrays, options, np.random.default_rng(1))
        for each in faster:
            if each.refuses(*arrays, **options) is None:
                found = results(each, arrays, options, np.random.default_rng(1))
                for ours, theirs in zip(found, expected, strict=True):
                    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
                ran += 1
    assert ran >= 10
