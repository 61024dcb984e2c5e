"""Maximum and average pooling in compiled loops.

With x stored as (H, W, CN), the channels and images of a position side by side (see `batch_last`), and tap t = (u, v),

    y[i,j,k]  = max_t x̂(t),   x̂(t) = x[i·S + u·D − P, j·S + v·D − P, k]                (1)
    t[i,j,k]  = the first tap that reads this maximum                                   (2)
    y[i,j,k]  = s[i,j] Σ_t x̂(t),   s = 1/r                                              (3)
    dx[p,q,k] = Σ dy[i,j,k]            over the i, j whose tap t[i,j,k] reads (p, q)     (4)
    dx[p,q,k] = Σ dy[i,j,k] s[i,j]     over the i, j and all taps that read (p, q)       (5)

with the equation numbers of `xpcnn.ops.pool`. In (4) and (5) each row of dx collects its own terms, so that rows can be
computed in parallel: tap (u, v) reads (p, q) at i = (p + P − u·D) / S, if this is a position; j likewise.

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
from ..batch_last import batch_first, batch_last, chunks, refuses_batch
from ..memory import empty
from ..threads import PASS, parallel
from .loop import NAME, In2, In3, InBytes3, Out3, OutBytes3, contiguous, loop, part, refuses_numbers

PIECE = 1 << 16  # elements in a unit of work, or one row


@part
def position(p: int, stride: int, count: int) -> int:
    """p / stride, or −1 where this is no position 0 … count − 1."""
    if p < 0 or p % stride != 0 or p >= stride * count:
        return -1
    return p // stride


@loop
def largest(
    x: In3, lowest: float, none: int, kh: int, kw: int, sh: int, sw: int, dh: int, dw: int, top: int, left: int,
    first: int, last: int, y: Out3, winner: OutBytes3,
) -> None:  # fmt: skip
    """(1) and (2) of rows `first` to `last` of y; these are `lowest` and `none` where all numbers are lower.

    With 0 for `lowest`, y is that of a ReLU after it.
    """
    height, width, length = x.shape
    no_tap = np.uint8(none)
    for i in range(first, last):
        for j in range(y.shape[1]):
            out, t = y[i, j], winner[i, j]
            for k in range(length):
                out[k], t[k] = lowest, no_tap
            for u in range(kh):
                p = i * sh + u * dh - top
                for v in range(kw):
                    q = j * sw + v * dw - left
                    if 0 <= p < height and 0 <= q < width:
                        tap, number = x[p, q], np.uint8(u * kw + v)
                        for k in range(length):
                            wins = tap[k] > out[k] or tap[k] != tap[k]  # strictly greater, or NaN
                            out[k] = tap[k] if wins else out[k]  # (1)
                            t[k] = number if wins else t[k]  # (2)


@loop
def to_winners(
    dy: In3, winner: InBytes3, kh: int, kw: int, sh: int, sw: int, dh: int, dw: int, top: int, left: int,
    first: int, last: int, dx: Out3,
) -> None:  # fmt: skip
    """(4) of rows `first` to `last` of dx."""
    height, width, length = dy.shape
    zero = dy.dtype.type(0)
    for p in range(first, last):
        for q in range(dx.shape[1]):
            out = dx[p, q]
            for k in range(length):
                out[k] = 0
            for u in range(kh):
                i = position(p + top - u * dh, sh, height)
                for v in range(kw):
                    j = position(q + left - v * dw, sw, width)
                    if i >= 0 and j >= 0:
                        g, t, number = dy[i, j], winner[i, j], np.uint8(u * kw + v)
                        for k in range(length):
                            out[k] += g[k] if t[k] == number else zero  # (4)


@loop
def mean(
    x: In3, share: In2, kh: int, kw: int, sh: int, sw: int, dh: int, dw: int, top: int, left: int,
    first: int, last: int, y: Out3,
) -> None:  # fmt: skip
    """(3) of rows `first` to `last` of y."""
    height, width, length = x.shape
    for i in range(first, last):
        for j in range(y.shape[1]):
            out, s = y[i, j], share[i, j]
            for k in range(length):
                out[k] = 0
            for u in range(kh):
                p = i * sh + u * dh - top
                for v in range(kw):
                    q = j * sw + v * dw - left
                    if 0 <= p < height and 0 <= q < width:
                        tap = x[p, q]
                        for k in range(length):
                            out[k] += s * tap[k]  # (3)


@loop
def spread(
    dy: In3, share: In2, kh: int, kw: int, sh: int, sw: int, dh: int, dw: int, top: int, left: int,
    first: int, last: int, dx: Out3,
) -> None:  # fmt: skip
    """(5) of rows `first` to `last` of dx."""
    height, width, length = dy.shape
    for p in range(first, last):
        for q in range(dx.shape[1]):
            out = dx[p, q]
            for k in range(length):
                out[k] = 0
            for u in range(kh):
                i = position(p + top - u * dh, sh, height)
                for v in range(kw):
                    j = position(q + left - v * dw, sw, width)
                    if i >= 0 and j >= 0:
                        g, s = dy[i, j], share[i, j]
                        for k in range(length):
                            out[k] += s * g[k]  # (5)


def refuses(x: Any, *, window: Window) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    reason = refuses_numbers(x) or refuses_batch(x)
    return reason or ("the window has more than 256 taps" if window.taps > 256 else None)


def max_forward(x: NDArray, *, window: Window) -> tuple[NDArray, Cache]:
    """`max_pool2d_forward`, in compiled loops."""
    _, place = check_pool(f"MaxPool2d({window})", x, window)
    y, winner = empty((*place.out, *_run(x)), x.dtype), empty((*place.out, *_run(x)), np.uint8)  # (OH, OW, CN) each
    _rows(largest, y, place, (_merged(x), -math.inf, 0), (y, winner))
    return _images(y, x), (winner, x.shape, place)


def max_inference(x: NDArray, *, window: Window) -> NDArray:
    """`max_pool2d_inference`, in compiled loops."""
    return max_forward(x, window=window)[0]


def max_backward(dy: NDArray, cache: Cache) -> NDArray:
    """`max_pool2d_backward`, in compiled loops."""
    winner, shape, place = cache
    check_gradient("MaxPool2d", dy, (shape[0], *place.out, shape[3]))
    dx = empty((*place.size, *winner.shape[2:]), dy.dtype)  # (H, W, CN)
    _rows(to_winners, dx, place, (_merged(dy), winner), (dx,))
    return _images(dx, dy)


def refuses_avg(x: Any, *, window: Window, count_include_pad: bool = True) -> str | None:
    """The reason why this implementation of average pooling refuses the call, or None."""
    return refuses_numbers(x) or refuses_batch(x)


def avg_forward(x: NDArray, *, window: Window, count_include_pad: bool = True) -> tuple[NDArray, Cache]:
    """`avg_pool2d_forward`, in compiled loops."""
    _, place = check_pool(f"AvgPool2d({window})", x, window)
    r = tap_counts(place, count_include_pad, x, np)  # (OH, OW, 1), or one number
    share = np.ones((*place.out, 1), x.dtype) / r  # (OH, OW, 1)
    share = contiguous(share[:, :, 0].astype(x.dtype))  # (OH, OW)
    y = empty((*place.out, *_run(x)), x.dtype)  # (OH, OW, CN)
    _rows(mean, y, place, (_merged(x), share), (y,))
    return _images(y, x), (share, x.shape, place)


def avg_backward(dy: NDArray, cache: Cache) -> NDArray:
    """`avg_pool2d_backward`, in compiled loops."""
    share, shape, place = cache
    check_gradient("AvgPool2d", dy, (shape[0], *place.out, shape[3]))
    dx = empty((*place.size, *_run(dy)), dy.dtype)  # (H, W, CN)
    _rows(spread, dx, place, (_merged(dy), share.astype(dy.dtype)), (dx,))
    return _images(dx, dy)


def _rows(run: Any, made: NDArray, place: Placement, reads: tuple[Any, ...], writes: tuple[NDArray, ...]) -> None:
    """Run the loop for all rows of what it makes."""
    window = place.window
    sizes = (*window.kernel, *window.stride, *window.dilation, place.pads[0], place.pads[2])

    def work(rows: slice) -> None:
        run(*reads, *sizes, rows.start, rows.stop, *writes)

    parallel(work, chunks(len(made), max(1, PIECE // made[0].size)), PASS * made.size * window.taps)


def _run(x: NDArray) -> tuple[int]:
    return (x.shape[3] * x.shape[0],)


def _merged(x: NDArray) -> NDArray:
    """(N, H, W, C) → (H, W, CN)."""
    return contiguous(batch_last(x)).reshape(*x.shape[1:3], -1)


def _images(y: NDArray, like: NDArray) -> NDArray:
    """(OH, OW, CN) → (N, OH, OW, C)."""
    return batch_first(y.reshape(*y.shape[:2], like.shape[3], like.shape[0]))


MAX = Implementation(NAME, refuses, max_forward, max_backward)
MAX_INFERENCE = Implementation(NAME, refuses, max_inference, None)
AVG = Implementation(NAME, refuses_avg, avg_forward, avg_backward)
