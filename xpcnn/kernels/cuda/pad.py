"""Zeros around the items of a batch, on CuPy: one kernel, for items of up to three axes.

    y[n, …, i, …] = x[n, …, i − p_a, …]   where that is an element of x,   0 elsewhere      (1)

Source: the equation is that of `xpcnn.ops.pad`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ops.pad import check_zero_pad, zero_pad_backward
from ...typing import Cache
from .kernel import Array, Kernel, refuses_kind
from .proof import proven
from .sums import empty

PAD = Kernel(
    "zero_pad",
    "raw T x, index h, index w, index c, index oh, index ow, index oc, index ph, index pw, index pc",
    "raw T y",
    """
    index k = i % oc - pc, q = i / oc % ow - pw, p = i / oc / ow % oh - ph, n = i / oc / ow / oh;
    bool inside = p >= 0 && p < h && q >= 0 && q < w && k >= 0 && k < c;
    y[i] = inside ? x[((n * h + p) * w + q) * c + k] : T(0);
    """,
)


def refuses(x: Any, widths: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    kind = refuses_kind(x)
    if kind is None and x.ndim > 4:
        return f"items of {x.ndim - 1} axes"
    return kind


def forward(x: Array, widths: Sequence[tuple[int, int]]) -> tuple[Array, Cache]:
    """`zero_pad_forward`."""
    _, inner, shape = check_zero_pad(x, widths)
    y, more = empty(shape, x), [1] * (4 - x.ndim)
    before = [each.start for each in inner[1:]]
    PAD(x, *more, *x.shape[1:], *more, *shape[1:], *(0 for _ in more), *before, y, size=y.size)  # (1)
    return y, (inner, shape)


IMPLEMENTATION = proven("zero_pad", refuses, forward, zero_pad_backward)
