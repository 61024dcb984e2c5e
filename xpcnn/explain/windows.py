"""Finds the elements that a sliding window reads, and the positions that read an element (`xpcnn.ops.window`, (2))."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..ops.window import Placement
from ..typing import NDArray

Integers: TypeAlias = NDArray


def reads(place: Placement, i: Any, j: Any) -> tuple[Any, Any]:
    """The padded rows (KH, 1) and columns (1, KW) that the taps read at position (i, j).

    i and j may be arrays, with axes before those of the taps.

    >>> from xpcnn.ops import Window
    >>> rows, columns = reads(Window(3, stride=2, padding=1).place(5, 5), 1, 0)
    >>> rows.ravel().tolist(), columns.ravel().tolist()
    ([2, 3, 4], [0, 1, 2])
    """
    window = place.window
    u, v = taps(place)
    return i * window.stride[0] + u * window.dilation[0], j * window.stride[1] + v * window.dilation[1]


def taps(place: Placement) -> tuple[Integers, Integers]:
    """u (KH, 1) and v (1, KW)."""
    kh, kw = place.window.kernel
    return np.arange(kh)[:, None], np.arange(kw)[None, :]


class Readers(NamedTuple):
    """Positions i, j and the taps u, v with which they read one element: (A, 1) for rows, (1, B) for columns."""

    i: Integers
    j: Integers
    u: Integers
    v: Integers


def readers(place: Placement, p: int, q: int) -> Readers:
    """All positions whose windows read the element (p, q) of the padded image, and the taps with which they do.

    >>> from xpcnn.ops import Window
    >>> i, j, u, v = readers(Window(3, stride=2, padding=1).place(5, 5), 2, 1)
    >>> i.ravel().tolist(), u.ravel().tolist(), j.ravel().tolist(), v.ravel().tolist()
    ([1, 0], [0, 2], [0], [1])
    """
    found = []
    for axis, at in ((0, p), (1, q)):
        kernel, stride = place.window.kernel[axis], place.window.stride[axis]
        starts = at - np.arange(kernel) * place.window.dilation[axis]  # i·S for each tap
        fits = (starts % stride == 0) & (starts >= 0) & (starts // stride < place.out[axis])
        found.append((starts[fits] // stride, np.arange(kernel)[fits]))
    (i, u), (j, v) = found
    return Readers(i[:, None], j[None, :], u[:, None], v[None, :])
