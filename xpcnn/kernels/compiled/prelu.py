"""PReLU in compiled loops: one pass forward, and one backward.

With x stored as (P, C, N), the positions of an image, its channels and the images (see `batch_last`),

    y = x where x > 0, else slope · x             dx = dy · f,  f = 1 where x > 0, else slope    (2)
    dslope = Σ dy · min(x, 0)                     over all that the slope multiplies             (3)

with the equation numbers of `xpcnn.ops.rectifier`. Sums of a channel's N numbers are in their own type, sums of these
in float64.

Source: the equations are those of `xpcnn.ops.rectifier`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops.check import check_gradient
from ...ops.implementations import Implementation
from ...ops.rectifier import check_prelu
from ...typing import Cache, NDArray
from ..batch_last import batch_first, batch_last, chunks, refuses_batch
from ..memory import empty
from ..threads import PASS, parallel
from .loop import NAME, In1, In3, Out3, Sums1, contiguous, loop, refuses_numbers

PIECE = 1 << 16  # elements, or one position


@loop
def sloped(x: In3, slope: In1, first: int, last: int, y: Out3) -> None:
    """(2)."""
    _, channels, images = x.shape
    for p in range(first, last):
        for c in range(channels):
            numbers, out, s = x[p, c], y[p, c], slope[c]
            for n in range(images):
                out[n] = numbers[n] if numbers[n] > 0.0 else s * numbers[n]  # (2)


@loop
def sloped_gradients(dy: In3, x: In3, slope: In1, first: int, last: int, dx: Out3) -> None:
    """dx of (2)."""
    _, channels, images = x.shape
    for p in range(first, last):
        for c in range(channels):
            numbers, gradients, out, s = x[p, c], dy[p, c], dx[p, c], slope[c]
            for n in range(images):
                out[n] = gradients[n] if numbers[n] > 0.0 else s * gradients[n]  # (2)


@loop
def slope_gradients(dy: In3, x: In3, first: int, last: int, sums: Sums1) -> None:
    """The sums of (3)."""
    _, channels, images = x.shape
    zero = x.dtype.type(0)
    for p in range(first, last):
        for c in range(channels):
            numbers, gradients, total = x[p, c], dy[p, c], zero
            for n in range(images):
                total += gradients[n] * (zero if numbers[n] > 0.0 else numbers[n])  # (3)
            sums[c] += total


def refuses(x: Any, slope: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    return refuses_numbers(x) or refuses_numbers(slope) or refuses_batch(x)


def forward(x: NDArray, slope: NDArray) -> tuple[NDArray, Cache]:
    """`prelu_forward`, in a compiled loop."""
    check_prelu(x, slope)
    rows, slopes = _rows(x), np.ascontiguousarray(np.broadcast_to(slope, x.shape[-1:]))  # (P, C, N), (C,)
    y = empty(rows.shape, x.dtype)
    parallel(lambda at: sloped(rows, slopes, at.start, at.stop, y), _places(rows), 2 * PASS * y.size)
    return _images(y, x.shape), (rows, slopes, slope.size, x.shape)


def backward(dy: NDArray, cache: Cache, *, input_grad: bool = True) -> tuple[NDArray | None, NDArray]:
    """`prelu_backward`, in a compiled loop."""
    x, slopes, size, shape = cache
    check_gradient("PReLU", dy, shape, x)
    rows, places = _rows(dy), _places(x)
    dx = empty(x.shape, x.dtype) if input_grad else None  # (P, C, N)
    sums = np.zeros((len(places), x.shape[1]))  # (k, C)

    def work(k: int) -> None:
        if dx is not None:
            sloped_gradients(rows, x, slopes, places[k].start, places[k].stop, dx)
        slope_gradients(rows, x, places[k].start, places[k].stop, sums[k])

    parallel(work, range(len(places)), 3 * PASS * x.size)
    dslope = sums.sum(axis=0)  # (C,)                                                              (3)
    if size == 1:
        dslope = dslope.sum(keepdims=True)  # (1,)                                                 (3)
    return None if dx is None else _images(dx, shape), dslope.astype(x.dtype)


def _rows(x: NDArray) -> NDArray:
    """(N, …, C) → (P, C, N); a view if the batch is last in memory."""
    return contiguous(batch_last(x)).reshape(-1, x.shape[-1], x.shape[0])


def _images(rows: NDArray, shape: tuple[int, ...]) -> NDArray:
    return batch_first(rows.reshape(*shape[1:], shape[0]))


def _places(x: NDArray) -> list[slice]:
    """The positions of each piece."""
    return chunks(len(x), max(1, PIECE // x[0].size))


IMPLEMENTATION = Implementation(NAME, refuses, forward, backward)
