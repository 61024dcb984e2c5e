"""Weights of items in losses: an item of weight 2 counts as two equal items.

A loss has a sum S_i over each item i, and a mean divides by what the items have in it: D_i elements, positions that
count, or weights of their classes. With the weight w_i ≥ 0 of each item:

    L = Σ_i w_i·S_i / Σ_i w_i·D_i,     as a sum   L = Σ_i w_i·S_i                                    (1)

If all w_i are 0, the mean is NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backend import array_namespace, dtype_name, is_numpy
from ..errors import DataError, DTypeError, ShapeError
from ..typing import Array
from .check import check_array


def item_weights(who: str, y: Array, item_weight: Array | None) -> Array | None:
    """The weights (N,) of y's items as (N, 1, …, 1) of y's dtype; None for None.

    Raises
        ShapeError, DTypeError
        DataError : a weight is negative or not finite (NumPy weights; on a device it is NaN, as reading means waiting)
    """
    if item_weight is None:
        return None
    check_array(who, y, item_weight)
    xp: Any = array_namespace(y, item_weight)
    if y.ndim == 0 or tuple(item_weight.shape) != tuple(y.shape[:1]):
        shape = f"({y.shape[0]},)" if y.ndim else "(N,)"
        raise ShapeError(who, f"item_weight {shape}, one for each item", str(tuple(item_weight.shape)))
    if not xp.isdtype(item_weight.dtype, ("integral", "real floating")):
        raise DTypeError(who, "item_weight: real numbers", dtype_name(item_weight))
    with np.errstate(over="ignore"):  # found by the next line
        w = xp.astype(item_weight, y.dtype, copy=False)
    fits = (w >= 0) & xp.isfinite(w)
    if not is_numpy(w):
        w = xp.where(fits, w, xp.full_like(w, math.nan))
    elif not xp.all(fits):
        raise DataError(who, "item_weight: finite numbers ≥ 0", str(item_weight[~fits][0]), "0 leaves an item out")
    return xp.reshape(w, (-1, *[1] * (y.ndim - 1)))  # type: ignore[no-any-return]


def weighed(terms: Any, w: Array | None) -> Any:
    """w·terms, in numerator and divisor of (1); the terms themselves if there are no weights."""
    return terms if w is None else terms * w  # (1)
