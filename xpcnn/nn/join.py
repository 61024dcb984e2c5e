"""Joins: layers with several inputs, which combine values in a `Graph`. Equations in `xpcnn.ops.join`.

Their input is a tuple of arrays, and so is ∂L/∂x.
"""

from __future__ import annotations

from ..ops import join
from .layer import OpLayer


class Add(OpLayer):
    """y = x₁ + x₂ + …, for shapes that can be broadcast.

    >>> import numpy as np
    >>> Add()((np.ones((1, 2)), np.array([1.0, 2.0])))
    array([[2., 3.]])
    """

    pair = (join.add_forward, join.add_backward)
    arity = (2, None)


class Subtract(OpLayer):
    """y = a − b, for shapes that can be broadcast."""

    pair = (join.subtract_forward, join.subtract_backward)
    arity = (2, 2)


class Multiply(OpLayer):
    """y = x₁ · x₂ · …, for shapes that can be broadcast, such as (N, H, W, C) and (N, 1, 1, C)."""

    pair = (join.multiply_forward, join.multiply_backward)
    arity = (2, None)


class Maximum(OpLayer):
    """y = max(x₁, x₂, …), elementwise, for shapes that can be broadcast."""

    pair = (join.maximum_forward, join.maximum_backward)
    arity = (2, None)


class Minimum(OpLayer):
    """y = min(x₁, x₂, …), elementwise, for shapes that can be broadcast."""

    pair = (join.minimum_forward, join.minimum_backward)
    arity = (2, None)
