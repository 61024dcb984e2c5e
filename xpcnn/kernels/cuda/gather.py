"""Some images of many, as floats, and images moved by whole pixels, on CuPy: one kernel each.

    y[n, …] = x[index[n], …] / scale                                                  (1)
    y[n,i,j] = x[n, i + a[n], j + b[n]]   where that is a pixel of x,   else fill     (3)

Source: the equations are those of `xpcnn.ops.gather`.
"""

from __future__ import annotations

import math
from typing import Any

from .kernel import Array, Kernel, refuses_kind
from .proof import proven
from .sums import empty

GATHER = Kernel(
    "gather_images",
    "raw uint8 x, raw int64 positions, index numbers, T scale",
    "raw T y",
    "y[i] = T(x[positions[i / numbers] * numbers + i % numbers]) / scale;",
)
SHIFT = Kernel(
    "shift_images",
    "raw T x, raw int64 rows, raw int64 columns, index h, index w, index ch, T fill",
    "raw T y",
    """
    index c = i % ch, n = i / ch / w / h;
    long long p = i / ch / w % h + rows[n], q = i / ch % w + columns[n];
    y[i] = p >= 0 && p < h && q >= 0 && q < w ? x[((n * h + p) * w + q) * ch + c] : fill;
    """,
)


def refuses(x: Any, index: Any, *, scale: float) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    if type(x).__module__.partition(".")[0] != "cupy":
        return "the arrays are not CuPy's"
    return None if (str(x.dtype), str(index.dtype)) == ("uint8", "int64") else "other dtypes than uint8 and int64"


def forward(x: Array, index: Array, *, scale: float) -> Array:
    """`gather_images`."""
    y = empty((index.shape[0], *x.shape[1:]), x, "float32")
    return GATHER(x, index, math.prod(x.shape[1:]), scale, y, size=y.size, reach=x.size)  # (1)


def refuses_shift(x: Any, rows: Any, columns: Any, *, fill: float) -> str | None:
    """The reason why `shift` refuses the call, or None."""
    kind = refuses_kind(x)
    if kind is None and not str(rows.dtype) == str(columns.dtype) == "int64":
        return "other dtypes than int64"
    return kind


def shift(x: Array, rows: Array, columns: Array, *, fill: float) -> Array:
    """`shift_images`."""
    y = empty(x.shape, x)
    return SHIFT(x, rows, columns, *x.shape[1:], fill, y, size=y.size)  # (3)


IMPLEMENTATION = proven("gather_images", refuses, forward)
SHIFTED = proven("shift_images", refuses_shift, shift)
