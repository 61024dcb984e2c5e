"""Zeros around the items of a batch, and the gradient.

With p_a zeros before the first element of axis a, of length L_a,

    y[n, …, i, …] = x[n, …, i − p_a, …]   where 0 ≤ i − p_a < L_a for every axis a,   0 elsewhere      (1)
    dx[n, …, i, …] = dy[n, …, i + p_a, …]                                                              (2)

Each x appears once in (1), and the zeros depend on nothing. So the gradient is a slice of dy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import OptionError, ShapeError
from ..options import as_pair
from ..typing import Array, Cache
from .check import check_array, check_floats, check_gradient


def zero_pad_forward(x: Array, widths: Sequence[tuple[int, int]]) -> tuple[Array, Cache]:
    """The items of a batch with zeros around them, (1).

    Parameters
        x : Array (N, …), float
        widths : for each axis after the batch axis, the numbers of zeros (before, after)
    Returns
        y : Array (N, …)
        cache : for `zero_pad_backward`; holds x's shape and its place in y
    Raises
        OptionError : a width is negative
        ShapeError : x is not a batch of items with that many axes
        DTypeError : x has no floating dtype

    >>> import numpy as np
    >>> y, cache = zero_pad_forward(np.array([[1., 2.]]), [(2, 1)])
    >>> y
    array([[0., 0., 1., 2., 0.]])
    """
    xp, inner, shape = check_zero_pad(x, widths)
    y: Array = xp.zeros(shape, dtype=x.dtype, device=x.device)
    y[inner] = x  # (1)
    return y, (inner, shape)


def zero_pad_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `zero_pad_forward`, (2): a view of dy.

    Parameters
        dy : Array, of y's shape
    Returns
        dx : Array, of x's shape

    >>> import numpy as np
    >>> y, cache = zero_pad_forward(np.arange(4.0).reshape(1, 2, 2, 1), widths=((1, 1), (0, 0), (0, 0)))
    >>> zero_pad_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[1., 1.],
           [1., 1.]])
    """
    inner, shape = cache
    check_gradient("zero_pad", dy, shape)
    return dy[inner]  # (2)


def check_zero_pad(x: Array, widths: Sequence[tuple[int, int]]) -> tuple[Any, tuple[slice, ...], tuple[int, ...]]:
    """Check that x and the widths fit together; return the array's namespace, x's place in y, and y's shape."""
    widths = [as_pair("zero_pad", "widths", width, least=0) for width in _sequence(widths)]
    check_array("zero_pad", x)
    if x.ndim != len(widths) + 1 or 0 in x.shape:
        raise ShapeError(
            "zero_pad", f"a batch (N ≥ 1) of items with {len(widths)} axes", str(tuple(x.shape)), "give a pair an axis"
        )
    xp = check_floats("zero_pad", x)
    pairs = list(zip(widths, x.shape[1:], strict=True))
    inner = (slice(None), *(slice(before, before + size) for (before, _), size in pairs))
    return xp, inner, (x.shape[0], *(before + size + after for (before, after), size in pairs))


def _sequence(widths: object) -> Sequence[tuple[int, int]]:
    if not isinstance(widths, (tuple, list)):
        raise OptionError("zero_pad", "widths: a pair (before, after) for each axis after the batch", repr(widths))
    return widths
