"""Zeros around the items of a batch on NumPy, in the memory order of the batch.

Idea. With the batch last in memory the items are (L₁, …, N), else (N, L₁, …). A row of y, along the first of these
axes, that comes from a row of x is one strided copy:

    y[i, …]  = x[i − p, …], or 0                        (1)
    dx[i, …] = dy[i + p, …]                             (2)

with the equation numbers of `xpcnn.ops.pad`. Each element of y is written once, some rows at a time.
dx is a copy, because the next operation needs an array without gaps.
Measured: forward 1.3 times as fast as the reference on (128, 28, 28, 32), float32, widths of 1, 2 threads.

Source: the equations are those of `xpcnn.ops.pad`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ops.check import check_gradient
from ..ops.implementations import Implementation
from ..ops.pad import check_zero_pad
from ..typing import Cache, NDArray
from .batch_last import batch_first, chunks, is_batch_last, refuses_batch
from .memory import empty
from .threads import PASS, parallel

PIECE = 1 << 16  # elements


def refuses(x: Any, widths: Sequence[tuple[int, int]]) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    return refuses_batch(x)


def forward(x: NDArray, widths: Sequence[tuple[int, int]]) -> tuple[NDArray, Cache]:
    """`zero_pad_forward`, some rows at a time."""
    _, inner, shape = check_zero_pad(x, widths)
    last = is_batch_last(x)
    items, y = _moved(x, last), empty(shape[1:] + shape[:1] if last else shape, x.dtype)  # (L₁, …, N), or (N, L₁, …)
    images, places = slice(0, len(x)), inner[1:]
    first, *others = (*places, images) if last else (images, *places)

    def work(rows: slice) -> None:
        start, stop = (min(max(at, rows.start), rows.stop) for at in (first.start, first.stop))
        part = y[rows]
        for axis, at in enumerate((slice(start - rows.start, stop - rows.start), *others)):
            before = (slice(None),) * axis
            part[(*before, slice(0, at.start))] = 0  # (1)
            part[(*before, slice(at.stop, None))] = 0  # (1)
            part = part[(*before, at)]
        part[...] = items[start - first.start : stop - first.start]  # (1)

    parallel(work, _rows(y), 2 * PASS * y.size)
    return batch_first(y) if last else y, (inner, shape, last)


def backward(dy: NDArray, cache: Cache) -> NDArray:
    """`zero_pad_backward`, some rows at a time."""
    inner, shape, last = cache
    check_gradient("zero_pad", dy, shape)
    cut = _moved(dy[inner], last)  # (L₁, …, N), or (N, L₁, …)
    dx = empty(cut.shape, dy.dtype)

    def work(rows: slice) -> None:
        dx[rows] = cut[rows]  # (2)

    parallel(work, _rows(dx), PASS * dx.size)
    return batch_first(dx) if last else dx


def _moved(x: NDArray, last: bool) -> NDArray:
    return np.moveaxis(x, 0, -1) if last else x


def _rows(x: NDArray) -> list[slice]:
    """Slices of the first axis, of about `PIECE` elements."""
    return chunks(len(x), max(1, PIECE * len(x) // x.size))


IMPLEMENTATION = Implementation("batch_last", refuses, forward, backward)
