"""Dropout, and its gradient.

Each number is kept with probability 1 − p. The kept ones are scaled up, so that the expectation stays x:

    y = x · keep / (1 − p)         keep = 1 with probability 1 − p, else 0             (1)
    dx = dy · keep / (1 − p)                                                           (2)

Inference then needs no change. The caller draws `keep`, so that the operation is a pure function.

Sources
    N. Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, 2014, section 10: (1)
    J. Tompson et al., Efficient object localization using convolutional networks, 2015: whole channels
    G. Huang et al., Deep networks with stochastic depth, 2016: whole items
"""

from __future__ import annotations

from typing import Any

from ..backend import array_namespace, dtype_name
from ..errors import DTypeError, ShapeError
from ..options import as_number
from ..typing import Array, Cache
from .check import check_array, check_gradient, check_items


def dropout_forward(x: Array, keep: Array, *, p: float) -> tuple[Array, Cache]:
    """Set the numbers that are not kept to 0, and scale up the others; (1).

    Parameters
        x : Array (N, …), float
        keep : boolean Array of x's shape, or with axes of length 1: (N, 1, 1, C) drops whole channels
        p : the probability with which `keep` was drawn False, in [0, 1)
    Returns
        y : Array (N, …)
        cache : for `dropout_backward`; refers to keep
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> dropout_forward(np.array([[1.0, 2.0]]), np.array([[True, False]]), p=0.5)[0]
    array([[2., 0.]])
    """
    p = as_number("Dropout", "p", p, "[0, 1)")
    xp = check_items("Dropout", x)
    check_array("Dropout", keep)
    array_namespace(x, keep)
    if not xp.isdtype(keep.dtype, "bool"):
        raise DTypeError("Dropout", "a boolean keep", dtype_name(keep), "pass uniform numbers ≥ p")
    if keep.ndim != x.ndim or any(k not in (1, size) for k, size in zip(keep.shape, x.shape, strict=True)):
        raise ShapeError("Dropout", f"keep {tuple(x.shape)}, or 1 for some of them", str(tuple(keep.shape)))
    return x * _factor(keep, p, x, xp), (keep, p, x.shape)  # (1)


def dropout_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `dropout_forward`, (2): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = dropout_forward(np.ones((1, 4)), np.array([[True, False, True, True]]), p=0.25)
    >>> dropout_backward(np.ones_like(y), cache).round(4)
    array([[1.3333, 0.    , 1.3333, 1.3333]])
    """
    keep, p, shape = cache
    xp = check_gradient("Dropout", dy, shape)
    return dy * _factor(keep, p, dy, xp)  # (2)


def _factor(keep: Array, p: float, like: Array, xp: Any) -> Array:
    """0 or 1/(1 − p), in the dtype of `like`."""
    factor: Array = xp.astype(keep, like.dtype) * (1 / (1 - p))
    return factor
