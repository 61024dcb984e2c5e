"""The gradient of a broadcast array.

Shapes are broadcast as in the array API standard: axes are aligned at the last one, and an axis that has length 1 or is
missing is repeated. Each copy has a gradient, and the array's own is their sum:

    y[…, i, …] = x[…, 0, …]   ⇒   dx[…, 0, …] = Σᵢ dy[…, i, …]                                            (1)
"""

from __future__ import annotations

from ..backend import array_namespace
from ..typing import Array, Shape


def sum_to(dy: Array, shape: Shape) -> Array:
    """The gradient of an array of that shape, which was broadcast to dy's; (1).

    >>> import numpy as np
    >>> sum_to(np.array([[1.0, 2.0], [3.0, 4.0]]), (2,)), sum_to(np.array([[1.0, 2.0], [3.0, 4.0]]), (1,))
    (array([4., 6.]), array([10.]))
    """
    if tuple(dy.shape) == tuple(shape):
        return dy
    xp = array_namespace(dy)
    ahead = dy.ndim - len(shape)
    axes = [*range(ahead), *(ahead + i for i, size in enumerate(shape) if size == 1 and dy.shape[ahead + i] != 1)]
    summed: Array = xp.reshape(xp.sum(dy, axis=tuple(axes)), tuple(shape))  # (1)
    return summed
