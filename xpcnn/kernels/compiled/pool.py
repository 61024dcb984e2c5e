"""Maximum and average pooling in compiled loops.

With x as (M, H, W, L), tap t = (u, v), and in each of the M images, which the equations leave out,

    y[i,j,k]  = max_t x̂(t),   x̂(t) = x[i·S + u·D − P, j·S + v·D − P, k]                (1)
    t[i,j,k]  = the first tap that reads this maximum                                   (2)
    y[i,j,k]  = s[i,j] Σ_t x̂(t),   s = 1/r                                              (3)
    dx[p,q,k] = Σ dy[i,j,k]            over the i, j whose tap t[i,j,k] reads (p, q)     (4)
    dx[p,q,k] = Σ dy[i,j,k] s[i,j]     over the i, j and all taps that read (p, q)       (5)

with the equation numbers of `xpcnn.ops.pool`. If the batch is last in memory (see `batch_last`), M is 1, and the L
numbers of a position are its channels and images; else M = N and L = C. In (4) and (5) each row of dx collects its own
terms, so that rows can be computed in parallel: tap (u, v) reads (p, q) at i = (p + P − u·D) / S, if that is a
position; j likewise.

Source: the equations are those of `xpcnn.ops.pool`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...ops.check import check_gradient
from ...ops.implementations import Implementation
from ...ops.pool import check_pool, tap_counts
from ...ops.window import Placement, Window
from ...typing import Cache, NDArray
from ..batch_last import batch_first, batch_last, chunks, is_batch_last, refuses_array, refuses_batch
from ..elementwise import refuses_run
from ..memory import empty
from ..threads import PASS, parallel
from .loop import NAME, In2, In4, InBytes4, Out4, OutBytes4, contiguous, loop, part, refuses_numbers

PIECE = 1 << 16  # elements in a unit of work, or one row


@part
def position(p: int, stride: int, count: int) -> int:
    """p / stride, or −1 where this is no position 0 … count − 1."""
    if p < 0 or p % stride != 0 or p >= stride * count:
        return -1
    return p // stride


@loop
def largest(
    x: In4, lowest: float, none: int, kh: int, kw: int, sh: int, sw: int, dh: int, dw: int, top: int, left: int,
    first: int, last: int, y: Out4, winner: OutBytes4,
) -> None:  # fmt: skip
    """(1) and (2) of rows `first` to `last` of those of all y; these are `lowest` and `none` where no number is higher.

    With 0 for `lowest`, y is that of a ReLU after it.
    """
    _, height, width, length = x.shape
    no_tap = np.uint8(none)
    for row in range(first, last):
        m, i = row // y.shape[1], row % y.shape[1]
        for j in range(y.shape[2]):
            out, t = y[m, i, j], winner[m, i, j]
            for k in range(length):
                out[k], t[k] = lowest, no_tap
            for u in range(kh):
                p = i * sh + u * dh - top
                for v in range(kw):
                    q = j * sw + v * dw - left
                    if 0 <= p < height and 0 <= q < width:
                        tap, number = x[m, p, q], np.uint8(u * kw + v)
                        for k in range(length):
                            wins = tap[k] > out[k] or tap[k] != tap[k]  # strictly greater, or NaN
                            out[k] = tap[k] if wins else out[k]  # (1)
                            t[k] = number if wins else t[k]  # (2)


@loop
def to_winners(
    dy: In4, winner: InBytes4, kh: int, kw: int, sh: int, sw: int, dh: int, dw: int, top: int, left: int,
    first: int, last: int, dx: Out4,
) -> None:  # fmt: skip
    """(4) of rows `first` to `last` of those of all dx."""
    _, height, width, length = dy.shape
    zero = dy.dtype.type(0)
    for row in range(first, last):
        m, p = row // dx.shape[1], row % dx.shape[1]
        for q in range(dx.shape[2]):
            out = dx[m, p, q]
            for k in range(length):
                out[k] = 0
            for u in range(kh):
                i = position(p + top - u * dh, sh, height)
                for v in range(kw):
                    j = position(q + left - v * dw, sw, width)
                    if i >= 0 and j >= 0:
                        g, t, number = dy[m, i, j], winner[m, i, j], np.uint8(u * kw + v)
                        for k in range(length):
                            out[k] += g[k] if t[k] == number else zero  # (4)


@loop
def mean(
    x: In4, share: In2, kh: int, kw: int, sh: int, sw: int, dh: int, dw: int, top: int, left: int,
    first: int, last: int, y: Out4,
) -> None:  # fmt: skip
    """(3) of rows `first` to `last` of those of all y."""
    _, height, width, length = x.shape
    for row in range(first, last):
        m, i = row // y.shape[1], row % y.shape[1]
        for j in range(y.shape[2]):
            out, s = y[m, i, j], share[i, j]
            for k in range(length):
                out[k] = 0
            for u in range(kh):
                p = i * sh + u * dh - top
                for v in range(kw):
                    q = j * sw + v * dw - left
                    if 0 <= p < height and 0 <= q < width:
                        tap = x[m, p, q]
                        for k in range(length):
                            out[k] += s * tap[k]  # (3)


@loop
def spread(
    dy: In4, share: In2, kh: int, kw: int, sh: int, sw: int, dh: int, dw: int, top: int, left: int,
    first: int, last: int, dx: Out4,
) -> None:  # fmt: skip
    """(5) of rows `first` to `last` of those of all dx."""
    _, height, width, length = dy.shape
    for row in range(first, last):
        m, p = row // dx.shape[1], row % dx.shape[1]
        for q in range(dx.shape[2]):
            out = dx[m, p, q]
            for k in range(length):
                out[k] = 0
            for u in range(kh):
                i = position(p + top - u * dh, sh, height)
                for v in range(kw):
                    j = position(q + left - v * dw, sw, width)
                    if i >= 0 and j >= 0:
                        g, s = dy[m, i, j], share[i, j]
                        for k in range(length):
                            out[k] += s * g[k]  # (5)


def refuses(x: Any, *, window: Window) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    return refuses_avg(x, window=window) or ("the window has more than 256 taps" if window.taps > 256 else None)


def max_forward(x: NDArray, *, window: Window) -> tuple[NDArray, Cache]:
    """`max_pool2d_forward`, in compiled loops."""
    _, place = check_pool(f"MaxPool2d({window})", x, window)
    order = _Order(x)
    images = order.images(x)  # (M, H, W, L)
    y, winner = (empty((len(images), *place.out, images.shape[3]), kind) for kind in (x.dtype, np.uint8))
    _rows(largest, y, place, (images, -math.inf, 0), (y, winner))
    return order.batch(y), (winner, order, place)


def max_inference(x: NDArray, *, window: Window) -> NDArray:
    """`max_pool2d_inference`, in compiled loops."""
    return max_forward(x, window=window)[0]


def max_backward(dy: NDArray, cache: Cache) -> NDArray:
    """`max_pool2d_backward`, in compiled loops."""
    winner, order, place = cache
    check_gradient("MaxPool2d", dy, (order.count, *place.out, order.channels))
    made = empty((len(winner), *place.size, winner.shape[3]), dy.dtype)  # (M, H, W, L)
    _rows(to_winners, made, place, (order.images(dy), winner), (made,))
    dx: NDArray = order.batch(made)
    return dx


def refuses_avg(x: Any, *, window: Window, count_include_pad: bool = True) -> str | None:
    """The reason why this implementation of average pooling refuses the call, or None."""
    reason = refuses_numbers(x) or refuses_array(x)
    return reason or (refuses_batch(x) if is_batch_last(x) else refuses_run(x))


def avg_forward(x: NDArray, *, window: Window, count_include_pad: bool = True) -> tuple[NDArray, Cache]:
    """`avg_pool2d_forward`, in compiled loops."""
    _, place = check_pool(f"AvgPool2d({window})", x, window)
    order = _Order(x)
    images = order.images(x)  # (M, H, W, L)
    r = tap_counts(place, count_include_pad, x, np)  # (OH, OW, 1), or one number
    share = np.ones((*place.out, 1), x.dtype) / r  # (OH, OW, 1)
    share = contiguous(share[:, :, 0].astype(x.dtype))  # (OH, OW)
    y = empty((len(images), *place.out, images.shape[3]), x.dtype)  # (M, OH, OW, L)
    _rows(mean, y, place, (images, share), (y,))
    return order.batch(y), (share, order, place)


def avg_backward(dy: NDArray, cache: Cache) -> NDArray:
    """`avg_pool2d_backward`, in compiled loops."""
    share, order, place = cache
    check_gradient("AvgPool2d", dy, (order.count, *place.out, order.channels))
    gradients = order.images(dy)  # (M, OH, OW, L)
    made = empty((len(gradients), *place.size, gradients.shape[3]), dy.dtype)  # (M, H, W, L)
    _rows(spread, made, place, (gradients, share.astype(dy.dtype)), (made,))
    dx: NDArray = order.batch(made)
    return dx


def _rows(run: Any, made: NDArray, place: Placement, reads: tuple[Any, ...], writes: tuple[NDArray, ...]) -> None:
    """Run the loop for all rows of what it makes."""
    window = place.window
    sizes = (*window.kernel, *window.stride, *window.dilation, place.pads[0], place.pads[2])

    def work(rows: slice) -> None:
        run(*reads, *sizes, rows.start, rows.stop, *writes)

    count = made.shape[0] * made.shape[1]
    parallel(work, chunks(count, max(1, PIECE * count // made.size)), PASS * made.size * window.taps)


class _Order:
    """The memory order of a batch of images (N, H, W, C)."""

    def __init__(self, x: NDArray) -> None:
        self.count, *_, self.channels = x.shape
        self.batch_is_last = is_batch_last(x)

    def images(self, x: NDArray) -> NDArray:
        """(N, H, W, C) → (M, H, W, L)."""
        return contiguous(batch_last(x)).reshape(1, *x.shape[1:3], -1) if self.batch_is_last else contiguous(x)

    def batch(self, y: NDArray) -> NDArray:
        """The inverse of `images`."""
        return batch_first(y.reshape(*y.shape[1:3], self.channels, self.count)) if self.batch_is_last else y


MAX = Implementation(NAME, refuses, max_forward, max_backward)
MAX_INFERENCE = Implementation(NAME, refuses, max_inference, None)
AVG = Implementation(NAME, refuses_avg, avg_forward, avg_backward)
