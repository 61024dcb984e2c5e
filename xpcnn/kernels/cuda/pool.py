"""Pooling on CuPy: one kernel forward, and one backward.

A thread forward computes an output: it goes over the taps, as `xpcnn.ops.pool` does, with the same equation numbers,

    maximum    y = max x̂(u,v),   t = the first tap that reads it                                  (1), (2)
    average    y = Σ x̂(u,v) / r                                                                  (3)

A thread backward computes an element of dx. It looks for the outputs whose windows read it, and adds up

    maximum    dy where t is the tap that reads it                                                (4)
    average    dy / r                                                                             (5)

The padding is not made: taps beyond the image are −∞ in (1), and are left out in (3).
"""

from __future__ import annotations

import math
from typing import Any

from ...ops.check import check_batch, check_floats, check_gradient
from ...ops.pool import check_pool
from ...ops.window import Placement, Window
from ...typing import Cache
from .kernel import Array, Kernel, refuses_kind
from .proof import proven
from .sums import empty
from .windows import GEOMETRY, OUTPUT, geometry, over_readers

_MAXIMUM = """
    T most = lowest;
    index winner = 0;
    for (index u = 0; u < kh; ++u)
        for (index v = 0; v < kw; ++v) {
            index p = oi * sh + u * dh - ph, q = oj * sw + v * dw - pw;
            T each = p >= 0 && p < h && q >= 0 && q < w ? x[((n * h + p) * w + q) * ch + c] : lowest;
            if (each > most || each != each) { most = each; winner = u * kw + v; }
        }
    y[i] = most;
"""
_AT = "index at = ((n * oh + oi) * ow + oj) * ch + c;"
_COUNT = """
    index r = kh * kw;
    if (counted) {
        index rows = 0, columns = 0;
        for (index j = 0; j < kh; ++j) { index p = oi * sh + j * dh - ph; rows += p >= top && p < bottom; }
        for (index j = 0; j < kw; ++j) { index q = oj * sw + j * dw - pw; columns += q >= left && q < right; }
        r = rows * columns;
    }
"""
_COUNTED = "index counted, index top, index bottom, index left, index right"

MAXIMUM = Kernel("max_pool", f"raw T x, {GEOMETRY}, T lowest", "raw T y", OUTPUT + _MAXIMUM)
WINNERS = Kernel(
    "max_pool_winners", f"raw T x, {GEOMETRY}, T lowest", "raw T y, raw W t", OUTPUT + _MAXIMUM + "t[i] = winner;"
)
MAXIMUM_DX = Kernel(
    "max_pool_dx", f"raw T dy, raw W t, {GEOMETRY}", "raw T dx",
    over_readers(f"{_AT} if (t[at] == u * kw + v) sum += dy[at];"),
)  # fmt: skip
AVERAGE = Kernel(
    "avg_pool",
    f"raw T x, {GEOMETRY}, {_COUNTED}",
    "raw T y",
    OUTPUT
    + _COUNT
    + """
    T sum = 0;
    for (index u = 0; u < kh; ++u)
        for (index v = 0; v < kw; ++v) {
            index p = oi * sh + u * dh - ph, q = oj * sw + v * dw - pw;
            if (p >= 0 && p < h && q >= 0 && q < w) sum += x[((n * h + p) * w + q) * ch + c];
        }
    y[i] = sum / r;
    """,
)
AVERAGE_DX = Kernel(
    "avg_pool_dx",
    f"raw T dy, {GEOMETRY}, {_COUNTED}",
    "raw T dx",
    over_readers(f"{_AT} {_COUNT} sum += dy[at] / r;"),
)
CHANNEL_MEAN = Kernel(
    "channel_mean",
    "raw T x, index positions, index ch",
    "raw T y",
    """
    T sum = 0;
    for (index at = 0; at < positions; ++at) sum += x[(i / ch * positions + at) * ch + i % ch];
    y[i] = sum / positions;
    """,
)
CHANNEL_MEAN_DX = Kernel(
    "channel_mean_dx",
    "raw T dy, index positions, index ch",
    "raw T dx",
    "dx[i] = dy[i / ch / positions * ch + i % ch] / positions;",
)


def refuses(x: Any, **options: Any) -> str | None:
    """The reason why these implementations refuse the call, or None."""
    return refuses_kind(x)


def max_forward(x: Array, *, window: Window) -> tuple[Array, Cache]:
    """`max_pool2d_forward`."""
    _, place = check_pool(f"MaxPool2d({window})", x, window)
    y = empty((x.shape[0], *place.out, x.shape[3]), x)  # (N, OH, OW, C)
    winner = empty(y.shape, x, "uint8" if window.taps <= 256 else "int32")  # (N, OH, OW, C)
    WINNERS(x, *geometry(x, place), -math.inf, y, winner, size=y.size)  # (1), (2)
    return y, (winner, tuple(x.shape), place)


def max_inference(x: Array, *, window: Window) -> Array:
    """`max_pool2d_inference`."""
    _, place = check_pool(f"MaxPool2d({window})", x, window)
    y = empty((x.shape[0], *place.out, x.shape[3]), x)  # (N, OH, OW, C)
    return MAXIMUM(x, *geometry(x, place), -math.inf, y, size=y.size)  # (1)


def max_backward(dy: Array, cache: Cache) -> Array:
    """`max_pool2d_backward`."""
    winner, shape, place = cache
    check_gradient("MaxPool2d", dy, winner.shape)
    dx = empty(shape, dy)
    return MAXIMUM_DX(dy, winner, *geometry(dx, place), dx, size=dx.size)  # (4)


def avg_forward(x: Array, *, window: Window, count_include_pad: bool = True) -> tuple[Array, Cache]:
    """`avg_pool2d_forward`."""
    _, place = check_pool(f"AvgPool2d({window})", x, window)
    y = empty((x.shape[0], *place.out, x.shape[3]), x)  # (N, OH, OW, C)
    counted = _counted(place, count_include_pad)
    AVERAGE(x, *geometry(x, place), *counted, y, size=y.size)  # (3)
    return y, (counted, tuple(x.shape), place)


def avg_backward(dy: Array, cache: Cache) -> Array:
    """`avg_pool2d_backward`."""
    counted, shape, place = cache
    check_gradient("AvgPool2d", dy, (shape[0], *place.out, shape[3]))
    dx = empty(shape, dy)
    return AVERAGE_DX(dy, *geometry(dx, place), *counted, dx, size=dx.size)  # (5)


def global_forward(x: Array) -> tuple[Array, Cache]:
    """`global_avg_pool2d_forward`, which is (3) with a window of the image's size."""
    check_batch("GlobalAvgPool2d", x, "H", "W", "C")
    check_floats("GlobalAvgPool2d", x)
    n, h, w, c = x.shape
    y = empty((n, c), x)
    return CHANNEL_MEAN(x, h * w, c, y, size=y.size), (n, h, w, c)


def global_backward(dy: Array, cache: Cache) -> Array:
    """`global_avg_pool2d_backward`."""
    n, h, w, c = cache
    check_gradient("GlobalAvgPool2d", dy, (n, c))
    dx = empty((n, h, w, c), dy)
    return CHANNEL_MEAN_DX(dy, h * w, c, dx, size=dx.size)


def _counted(place: Placement, include_pad: bool) -> tuple[int, ...]:
    """Whether r differs from place to place; and the first and the end of the rows and columns that count in it."""
    window, (h, w) = place.window, place.size
    asked = place.pads if isinstance(window.padding, str) else window.padding  # without what `ceil` has added
    if not any(place.pads) or (include_pad and asked == place.pads):
        return 0, 0, 0, 0, 0
    top, bottom, left, right = asked if include_pad else (0, 0, 0, 0)
    return 1, -top, h + bottom, -left, w + right


MAX = proven("max_pool2d", refuses, max_forward, max_backward)
MAX_INFERENCE = proven("max_pool2d_inference", refuses, max_inference)
AVG = proven("avg_pool2d", refuses, avg_forward, avg_backward)
GLOBAL_AVG = proven("global_avg_pool2d", refuses, global_forward, global_backward)
