"""Some images of many, as floats.

y[n, …] = x[index[n], …] / scale                              (1)
"""

from __future__ import annotations

from typing import Any

from ..backend import array_namespace
from ..typing import Array


def gather_images(x: Array, index: Array, *, scale: float) -> Array:
    """The images at these positions, divided by the scale, (1).

    Parameters
        x : Array (M, …), of any real dtype
        index : Array (N,), integers
        scale : s
    Returns
        y : Array (N, …), float32

    >>> import numpy as np
    >>> gather_images(np.array([[0], [255], [51]], np.uint8), np.array([2, 1]), scale=255).tolist()
    [[0.20000000298023224], [1.0]]
    """
    xp: Any = array_namespace(x, index)
    y: Array = xp.astype(xp.take(x, index, axis=0), xp.float32)  # (N, …)
    y /= scale  # (1)
    return y
