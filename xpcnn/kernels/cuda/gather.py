"""Some images of many, as floats, on CuPy: one kernel.

    y[n, …] = x[index[n], …] / scale                              (1)

Source: the equation is that of `xpcnn.ops.gather`.
"""

from __future__ import annotations

import math
from typing import Any

from .kernel import Array, Kernel
from .proof import proven
from .sums import empty

GATHER = Kernel(
    "gather_images",
    "raw uint8 x, raw int64 positions, index numbers, T scale",
    "raw T y",
    "y[i] = T(x[positions[i / numbers] * numbers + i % numbers]) / scale;",
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


IMPLEMENTATION = proven("gather_images", refuses, forward)
