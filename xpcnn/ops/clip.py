"""Clip and sign, without waiting for the device.

array-api-compat's `clip` and `sign` for CuPy index with masks. Such an index waits until the device knows how many
elements the mask selects.

    clip     y = min(max(x, a), b)                  (1)
    sign     y = [x > 0] − [x < 0]                  (2)

Both leave NaN as it is.
"""

from __future__ import annotations

import math

from ..backend import dtype_name
from ..typing import Array
from .check import check_floats


def clip(x: Array, low: float, high: float = math.inf) -> Array:
    """Limit the array's numbers to `low` … `high`, (1). The limits may lie outside the range of its dtype.

    >>> import numpy as np
    >>> clip(np.array([-3.0, 0.5, 3.0, np.nan]), -1, 1)
    array([-1. ,  0.5,  1. ,  nan])
    """
    xp = check_floats("clip", x)
    largest = float(xp.finfo(x.dtype).max)
    a, b = (bound if abs(bound) <= largest else math.copysign(math.inf, bound) for bound in (low, high))
    y: Array = xp.maximum(x, xp.full((), a, dtype=x.dtype, device=x.device))
    return y if b == math.inf else xp.minimum(y, xp.full((), b, dtype=x.dtype, device=x.device))  # (1)


def held(x: Array, low: float, high: float) -> Array:
    """As `clip`, but complex numbers, with which derivatives are checked and which have no order, pass."""
    return x if dtype_name(x).startswith("complex") else clip(x, low, high)


def sign(x: Array) -> Array:
    """1 where positive, −1 where negative, 0 at 0, (2), in x's floating dtype.

    >>> import numpy as np
    >>> sign(np.array([-3.0, 0.0, np.inf, np.nan]))
    array([-1.,  0.,  1., nan])
    """
    xp = check_floats("sign", x)
    y = xp.astype(x > 0, x.dtype) - xp.astype(x < 0, x.dtype)  # (2)
    return xp.where(x == x, y, x)  # type: ignore[no-any-return]
