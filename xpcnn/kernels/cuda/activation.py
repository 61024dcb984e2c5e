"""Activations, and the sum of two arrays, on CuPy: one kernel forward, and one backward.

    ReLU      y = max(x, 0)              dx = dy · [y > 0]                        (1)

Source: the equations are those of `xpcnn.ops.rectifier`.
"""

from __future__ import annotations

from ...ops.check import check_gradient, check_items
from ...typing import Cache
from .kernel import Array, Kernel, refuses_kind
from .proof import proven

RELU = Kernel("relu", "T x", "T y", "y = x < 0 ? T(0) : x;")  # NaN stays
RELU_DX = Kernel("relu_dx", "T dy, T y", "T dx", "dx = y > 0 ? dy : dy * T(0);")  # NaN and ∞ show


def relu_forward(x: Array) -> tuple[Array, Cache]:
    """`relu_forward`."""
    check_items("ReLU", x)
    y = RELU(x)  # (N, …)                                                         (1)
    return y, y


def relu_backward(dy: Array, cache: Cache) -> Array:
    """`relu_backward`."""
    y = cache
    check_gradient("ReLU", dy, y.shape, y)
    return RELU_DX(dy, y)  # (1)


RECTIFIER = proven("relu", refuses_kind, relu_forward, relu_backward)
