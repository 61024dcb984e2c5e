"""The sum of two arrays. It joins branches of a network, and the gradients of a value that is used twice.

    y = a + b                                   (1)

The gradients of a and b both equal that of y.
"""

from __future__ import annotations

from ..errors import ShapeError
from ..typing import Array
from .check import check_array, check_floats


def add(a: Array, b: Array) -> Array:
    """a + b, (1).

    Parameters
        a, b : Arrays of the same shape and dtype, float
    Returns
        y : Array of that shape
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> add(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([4., 6.])
    """
    check_add(a, b)
    y: Array = a + b  # (1)
    return y


def check_add(a: Array, b: Array) -> None:
    """Raise an error unless the arguments fit together."""
    check_array("add", a)
    check_array("add", b)
    if tuple(a.shape) != tuple(b.shape):
        raise ShapeError("add", f"two arrays of one shape {tuple(a.shape)}", str(tuple(b.shape)))
    check_floats("add", a, b)
