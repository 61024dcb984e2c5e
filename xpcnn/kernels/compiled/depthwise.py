"""Depthwise convolution in compiled loops: each channel has kernels of its own.

There is no product of matrices in it, only a few multiplications of each number that is read. So y, dx and dw are
loops over the positions. With a filter for each channel c, and tap (u, v) of K,

    y[n,i,j,c]  = b[c] + Σ_{u,v} w[u,v,c] · x[n, i·S + u·D − P, j·S + v·D − P, c]               (1)
    dw[u,v,c]   = Σ_{n,i,j} dy[n,i,j,c] · x[n, i·S + u·D − P, j·S + v·D − P, c]                 (2)
    db[c]       = Σ_{n,i,j} dy[n,i,j,c]                                                         (3)
    dx[n,p,q,c] = Σ_{u,v} w[K−1−u, K−1−v, c] · dy[n, (p + u·D − P′) / S, (q + v·D − P′) / S, c]  (4)

with P′ = (K−1)·D − P, where positions outside the image, and in (4) those that are no whole numbers, add nothing; the
equation numbers are those of `xpcnn.ops.conv`. (1) and (4) are one loop, in which the position that a tap reads is
(i·S + u·D − P) / G, with G = 1 or S = 1.

Images are (M, H, W, L): (N, H, W, C), or one image of C·N channels if the batch is last in memory (see `batch_last`).
Several filters for a channel are those of as many equal channels.

A tap that is outside the image is left out, where the reference multiplies it by 0: so a NaN or an infinity in w or dy
reaches only the positions that it is multiplied with.

Source: A. G. Howard et al., MobileNets, 2017, equation 3 → (1)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...ops.check import check_gradient
from ...ops.conv import check_conv2d
from ...ops.implementations import Implementation
from ...ops.window import Placement, Window
from ...typing import Cache, NDArray
from ..batch_last import batch_first, batch_last, chunks
from ..memory import empty
from ..threads import parallel, reduce_units
from . import depthwise_last
from .depthwise_loops import correlate, gradients
from .depthwise_reads import COST, Reads
from .loop import NAME, contiguous, refuses_numbers

RUN = 512  # numbers of a run, about, where positions can be joined; at most, where they cannot
LONG = 16  # images that are last in memory: as many numbers share a weight, which is then read once for all
PIECE = 1 << 17  # numbers of y in a unit of work, about


class Parts(NamedTuple):
    """How y (M, OH, OW, L) is divided: each part has some numbers of the positions of some rows of an image."""

    rows: int
    numbers: int
    positions: int  # in a run

    @classmethod
    def of(cls, reads: Reads, shape: tuple[int, ...]) -> Parts:
        _, height, width, length = shape
        numbers = min(length, 16 * -(-length // (16 * -(-length // RUN))))
        group = 4 * reads.common // reads.step_h  # rows of y with four in each class
        rows = min(height, group * max(1, PIECE // (width * numbers * group)))
        joined = numbers == length and reads.gap_w == reads.step_w == 1
        return cls(rows, numbers, min(width, max(1, RUN // numbers)) if joined else 1)

    def units(self, shape: tuple[int, ...]) -> list[slice]:
        images, height, width, length = shape
        count = -(-length // self.numbers) * images * -(-height // self.rows)
        return chunks(count, max(1, PIECE // (self.rows * width * self.numbers)))

    def scratch(self, taps: int, dtype: Any) -> NDArray:
        """Rows that begin at other lines of the cache: with powers of two, few lines would take them all."""
        return empty((taps + 1, -(-self.positions * self.numbers // 256) * 256 + 80), dtype)


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1, **epilogue: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    reason = refuses_numbers(x)
    if reason is None and not (groups > 1 and groups == x.shape[-1] and len(w) % groups == 0):
        reason = "it is not depthwise"
    return reason


def forward(
    x: NDArray, w: NDArray, b: NDArray | None = None, *, window: Window, groups: int = 1
) -> tuple[NDArray, Cache]:
    """`conv2d_forward`, in compiled loops."""
    _, place = check_conv2d(x, w, b, window, groups)
    order = Order(x, len(w))
    x = order.images(x)
    return order.batch(_outputs(x, w, b, place, order)), (x, w, b is not None, place, order)


def inference(
    x: NDArray,
    w: NDArray,
    b: NDArray | None = None,
    *,
    window: Window,
    groups: int = 1,
    scale: NDArray | None = None,
    relu: bool = False,
) -> NDArray:
    """`conv2d_inference`, in compiled loops."""
    _, place = check_conv2d(x, w, b, window, groups, scale)
    filters, order = w if scale is None else w * scale[:, None, None, None], Order(x, len(w))
    return order.batch(_outputs(order.images(x), filters, b, place, order, relu))


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, in compiled loops."""
    x, w, has_bias, place, order = cache
    check_gradient("Conv2d", dy, (order.count, *place.out, w.shape[0]), w)
    dy = order.images(dy)
    dx = dw = db = None
    if weight_grad:
        total = _weight_gradients(x, dy, place, order).astype(x.dtype)  # (KH·KW + 1, F)
        dw = np.ascontiguousarray(total[:-1].T).reshape(w.shape)
        db = total[-1] if has_bias else None
    if input_grad:
        dx = empty(x.shape, x.dtype)  # (M, H, W, L)
        reads, rotated = Reads.adjoint(place.window, place.pads[0], place.pads[2]), matrix(w)[::-1]
        sum_taps(dy, rotated, None, reads, dx, repeat=order.repeat)  # (4)
        dx = order.channels_of(order.batch(dx))
    return dx, dw, db


class Order:
    """The memory order of a batch (N, H, W, C), whose channels have F / C filters each."""

    def __init__(self, x: NDArray, filters: int) -> None:
        self.count, *_, self.channels = x.shape
        self.filters = filters
        self.last = self.count > 1 and x.strides[0] == x.itemsize
        self.repeat = self.count if self.last else 1  # numbers that follow each other and share a weight

    def images(self, x: NDArray) -> NDArray:
        """(N, H, W, C or F) → (M, H, W, L), with channels repeated for their filters."""
        if x.shape[3] != self.filters:
            x = np.repeat(x, self.filters // self.channels, axis=3)
        if not self.last:
            return contiguous(x)
        x = contiguous(batch_last(x))  # (H, W, F, N)
        return x.reshape(1, *x.shape[:2], -1)

    def batch(self, y: NDArray) -> NDArray:
        """(M, H, W, L) → (N, H, W, F)."""
        return batch_first(y.reshape(*y.shape[1:3], self.filters, self.count)) if self.last else y

    def channels_of(self, dx: NDArray) -> NDArray:
        """The gradients of equal channels, added: (N, H, W, F) → (N, H, W, C)."""
        if self.filters == self.channels:
            return dx
        added: NDArray = dx.reshape(*dx.shape[:3], self.channels, -1).sum(axis=4)
        return added


def matrix(w: NDArray) -> NDArray:
    """Filters (F, KH, KW, 1) as (KH·KW, F)."""
    return w.reshape(len(w), -1).T


def sum_taps(
    x: NDArray,
    w: NDArray,
    b: NDArray | None,
    reads: Reads,
    y: NDArray,
    *,
    repeat: int,
    relu: bool = False,
) -> None:
    """(1) or (4): (M, H, W, L), (KH·KW, F) and (F,) or None → y (M, OH, OW, L)."""
    if not y.size:
        return
    if repeat >= LONG:
        depthwise_last.sum_taps(x, w, b, reads, y, repeat, relu)
        return
    parts = Parts.of(reads, y.shape)
    w, bias = np.ascontiguousarray(w), np.zeros(w.shape[1], w.dtype) if b is None else contiguous(b)

    def work(unit: slice) -> None:
        part, tiles = (*parts, unit.start, unit.stop), parts.scratch(len(w), x.dtype)
        correlate(x, w, bias, repeat, *reads, relu, *part, tiles, y)

    parallel(work, parts.units(y.shape), float(COST) * y.size * len(w))


def _outputs(x: NDArray, w: NDArray, b: NDArray | None, place: Placement, order: Order, relu: bool = False) -> NDArray:
    y = empty((len(x), *place.out, x.shape[3]), x.dtype)  # (M, OH, OW, L)
    reads = Reads.of(place.window, place.pads[0], place.pads[2])
    sum_taps(x, matrix(w), b, reads, y, repeat=order.repeat, relu=relu)  # (1)
    return y


def _weight_gradients(x: NDArray, dy: NDArray, place: Placement, order: Order) -> NDArray:
    """(2) and (3) as (KH·KW + 1, F)."""
    reads, taps = Reads.of(place.window, place.pads[0], place.pads[2]), place.window.taps
    shape = taps + 1, order.filters
    if not dy.size:
        return np.zeros(shape)
    if order.repeat >= LONG:
        return depthwise_last.weight_gradients(x, dy, reads, order.repeat)
    parts = Parts.of(reads, dy.shape)

    def add(total: NDArray, unit: slice) -> None:
        part, sums = (*parts, unit.start, unit.stop), parts.scratch(taps, x.dtype)
        gradients(x, dy, order.repeat, *reads, *part, sums, total)  # (2), (3)

    return reduce_units(add, shape, np.float64, parts.units(dy.shape), float(COST) * dy.size * taps)


IMPLEMENTATION = Implementation(NAME, refuses, forward, backward)
INFERENCE = Implementation(NAME, refuses, inference, None)
