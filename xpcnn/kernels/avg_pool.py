"""Average pooling on NumPy with the batch last in memory.

Idea. At each tap, a piece of the output reads a strided slice of runs of C·N numbers (see `taps`):

    y  = Σ_{u,v} x̂(u,v) · (1/r)                         (3)
    dx = Σ dy · (1/r), over all taps that read it       (5)

with the equation numbers of `xpcnn.ops.pool`. In (5) each piece of dx collects its own terms, so that pieces can be
computed in parallel. Where the windows tile the image, there is only one term, and nothing to add.
Measured: 3 times as fast as the reference on (128, 28, 28, 32), float32, 2 × 2, 2 threads.

Source: the equations are those of `xpcnn.ops.pool`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ops.check import check_gradient
from ..ops.implementations import Implementation
from ..ops.pool import check_pool, tap_counts
from ..ops.window import Window
from ..typing import Cache, NDArray
from .batch_last import batch_first, batch_last, refuses_batch
from .memory import empty
from .pool_pieces import Piece, TapOverlap, pieces, read_by, reading, tiled
from .threads import PASS, parallel


def refuses(x: Any, *, window: Window, count_include_pad: bool = True) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    return refuses_batch(x)


def forward(x: NDArray, *, window: Window, count_include_pad: bool = True) -> tuple[NDArray, Cache]:
    """`avg_pool2d_forward`, piece by piece."""
    _, place = check_pool(f"AvgPool2d({window})", x, window)
    n, h, w, c = x.shape
    images = batch_last(x).reshape(h, w, c * n)  # (H, W, CN)
    r = tap_counts(place, count_include_pad, x, np)  # (OH, OW, 1), or one number
    share = np.broadcast_to(np.asarray(1 / r, x.dtype), (*place.out, 1))  # (OH, OW, 1), 1/r
    y = empty((*place.out, c * n), x.dtype)

    def work(unit: tuple[Piece, list[TapOverlap]]) -> None:
        piece, overlaps = unit
        out = y[piece]  # (i, j, r)
        out[...] = 0
        for _, part, at in overlaps:
            out[at] += images[*part, piece.run]
        out *= share[piece[:2]]  # (3)

    parallel(work, read_by(place, c * n), PASS * y.size * (2 + window.taps))
    return batch_first(y.reshape(*place.out, c, n)), (share, x.shape, place)


def backward(dy: NDArray, cache: Cache) -> NDArray:
    """`avg_pool2d_backward`, piece by piece."""
    share, (n, h, w, c), place = cache
    check_gradient("AvgPool2d", dy, (n, *place.out, c))
    gradient = batch_last(dy).reshape(*place.out, c * n)  # (OH, OW, CN)
    dx = empty((h, w, c * n), dy.dtype)
    tiles: Any = tiled(dx, place)

    def tile(piece: Piece) -> None:
        out = tiles[piece.rows, :, piece.columns, :, piece.run]  # (i, KH, j, KW, r)
        out[...] = (gradient[piece] * share[piece[:2]])[:, None, :, None]  # (5)

    def add(unit: tuple[Piece, list[TapOverlap]]) -> None:
        piece, overlaps = unit
        out = dx[piece]  # (p, q, r)
        out[...] = 0
        for _, part, at in overlaps:
            out[at] += gradient[*part, piece.run] * share[part]  # (5)

    if tiles is None:
        taps = place.window.taps / math.prod(place.window.stride)  # per element
        parallel(add, reading(place, c * n), PASS * dx.size * (1 + 2 * taps))
    else:
        parallel(tile, pieces(*gradient.shape), PASS * dx.size)
    return batch_first(dx.reshape(h, w, c, n))


IMPLEMENTATION = Implementation("batch_last", refuses, forward, backward)
