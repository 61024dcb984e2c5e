"""Depthwise convolution in compiled loops: each channel has a kernel of its own.

There is no product of matrices in it, only a few multiplications of each number that is read. So y, dx and dw are
loops over the positions. With x and y stored as (H, W, C, N) (see `batch_last`), and tap t = (u, v) of T,

    y[i,j,c,n]  = b[c] + Σ_t w[t,c] · x[i·S + u·D − P, j·S + v·D − P, c, n]                     (1)
    dw[t,c]     = Σ_{i,j,n} dy[i,j,c,n] · x[i·S + u·D − P, j·S + v·D − P, c, n]                 (2)
    db[c]       = Σ_{i,j,n} dy[i,j,c,n]                                                         (3)
    dx[p,q,c,n] = Σ_t w[t,c] · dy[(p + P − u·D) / S, (q + P − v·D) / S, c, n]                   (4)

where positions outside the image, and in (4) those that are no whole numbers, add nothing; the equation numbers are
those of `xpcnn.ops.conv`. (1) and (4) are one loop, in which the position that a tap reads is (i·step + offset) / gap.
It takes nine taps at a time, because each number of y that is not kept in a register costs as much as a tap. Taps that
are outside read zeros.

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
from .depthwise_loops import sum_taps, sum_taps_of_runs, weight_gradients, weight_gradients_of_runs
from .loop import NAME, contiguous, refuses_numbers

TAPS = 9  # at a time
OUTSIDE = -(1 << 40)  # the offset of a tap that there is not
LONG = 16  # images: with fewer, the N numbers of a channel are too short a run
PIECE = 1 << 16  # elements of y in a unit of work, or one row
COST = 4  # of a tap for an element, in multiplications or additions of a matrix product


class Taps(NamedTuple):
    """The offsets of all taps, with as many more outside as make a multiple of `TAPS`."""

    rows: NDArray
    columns: NDArray

    @classmethod
    def of(cls, place: Placement, sign: int) -> Taps:
        """Those of (1) for sign 1, of (4) for sign −1."""
        (kh, kw), (dh, dw) = place.window.kernel, place.window.dilation
        top, _, left, _ = place.pads
        rows, columns = np.indices((kh, kw)).reshape(2, -1)
        offsets, more = (sign * (rows * dh - top), sign * (columns * dw - left)), (0, -len(rows) % TAPS)
        return cls(*(np.pad(each, more, constant_values=OUTSIDE) for each in offsets))

    def weights(self, w: NDArray) -> NDArray:
        """(C, KH, KW, 1) → (T, C), with zeros for those outside."""
        c = len(w)
        matrix = np.zeros((len(self.rows), c), w.dtype)
        matrix[: w.size // c] = w.reshape(c, -1).T
        return matrix


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1, **epilogue: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    reason = refuses_numbers(x)
    if reason is None and not (groups > 1 and groups == x.shape[-1] == w.shape[0]):
        reason = "it is not depthwise"
    return reason


def forward(
    x: NDArray, w: NDArray, b: NDArray | None = None, *, window: Window, groups: int = 1
) -> tuple[NDArray, Cache]:
    """`conv2d_forward`, in compiled loops."""
    _, place = check_conv2d(x, w, b, window, groups)
    order = Order(x)
    x = order.arranged(x)
    return order.images(_correlate(x, w, b, place, order)), (x, w, b is not None, place, order)


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
    filters, order = w if scale is None else w * scale[:, None, None, None], Order(x)
    return order.images(_correlate(order.arranged(x), filters, b, place, order, relu))


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, in compiled loops."""
    x, w, has_bias, place, order = cache
    check_gradient("Conv2d", dy, (order.count, *place.out, w.shape[0]), w)
    dy = order.arranged(dy)
    dx = dw = db = None
    if weight_grad:
        total = _weight_gradients(x, dy, place, order).astype(x.dtype)  # (T + 1, C)
        dw = np.ascontiguousarray(total[: place.window.taps].T).reshape(w.shape)
        db = total[-1] if has_bias else None
    if input_grad:
        dx = empty(x.shape, x.dtype)  # (H, W, C, N), or (M, H, W, L)
        _sum_taps(dy, Taps.of(place, -1), w, None, (1, 1), place.window.stride, False, dx, order)
    return None if dx is None else order.images(dx), dw, db


class Order:
    """The memory order of a batch (N, H, W, C), and which loops suit it.

    If the batch is last in memory and large, the inner loop runs over the N numbers of a channel, which share a weight.
    Else it runs over L numbers, each with a weight of its own: C·N with the batch last, else C.
    """

    def __init__(self, x: NDArray) -> None:
        self.count, *_, self.channels = x.shape
        self.last = self.count > 1 and x.strides[0] == x.itemsize
        self.long = self.last and self.count >= LONG

    def arranged(self, x: NDArray) -> NDArray:
        """(N, H, W, C) → (H, W, C, N), or (M, H, W, L)."""
        x = contiguous(batch_last(x) if self.last else x)
        return x.reshape(1, *x.shape[:2], -1) if self.last and not self.long else x

    def images(self, y: NDArray) -> NDArray:
        """The inverse of `arranged`."""
        if self.last and not self.long:
            y = y.reshape(*y.shape[1:3], self.channels, self.count)
        return batch_first(y) if self.last else y

    def spread(self, factors: NDArray) -> NDArray:
        """(…, C) → (…, L), where each of the L numbers has its own."""
        return np.repeat(factors, self.count, axis=-1) if self.last and not self.long else factors


def _correlate(
    x: NDArray, w: NDArray, b: NDArray | None, place: Placement, order: Order, relu: bool = False
) -> NDArray:
    shape = (*place.out, *x.shape[2:]) if order.long else (len(x), *place.out, x.shape[3])
    y = empty(shape, x.dtype)  # (OH, OW, C, N), or (M, OH, OW, L)
    _sum_taps(x, Taps.of(place, 1), w, b, place.window.stride, (1, 1), relu, y, order)
    return y


def _sum_taps(
    x: NDArray,
    taps: Taps,
    w: NDArray,
    b: NDArray | None,
    step: tuple[int, int],
    gap: tuple[int, int],
    relu: bool,
    y: NDArray,
    order: Order,
) -> None:
    run = sum_taps if order.long else sum_taps_of_runs
    zeros = np.zeros(x.shape[2:] if order.long else x.shape[3], x.dtype)  # (C, N), or (L,)
    bias = order.spread(np.zeros(order.channels, x.dtype) if b is None else contiguous(b))  # (C,), or (L,)
    weights = order.spread(taps.weights(w))  # (T, C), or (T, L)

    def work(rows: slice) -> None:
        run(x, weights, bias, *taps, zeros, *step, *gap, relu, y, rows.start, rows.stop)

    parallel(work, _units(y, order.long), COST * y.size * len(weights))


def _weight_gradients(x: NDArray, dy: NDArray, place: Placement, order: Order) -> NDArray:
    """(2) and (3) as (T + 1, C)."""
    if order.last:  # sums of the N numbers of a channel are faster than a sum for each of them, however few these are
        x, dy = x.reshape(*place.size, order.channels, -1), dy.reshape(*place.out, order.channels, -1)
    run = weight_gradients if order.last else weight_gradients_of_runs
    zeros, taps = np.zeros(x.shape[2:] if order.last else x.shape[3], x.dtype), Taps.of(place, 1)
    shape = len(taps.rows) + 1, order.channels

    def add(total: NDArray, rows: slice) -> None:
        sums = total if order.last else np.zeros(shape, x.dtype)
        run(x, dy, *taps, zeros, *place.window.stride, sums, rows.start, rows.stop)
        if not order.last:
            total += sums

    return reduce_units(add, shape, np.float64, _units(dy, order.last), COST * dy.size * len(taps.rows))


def _units(y: NDArray, last: bool) -> list[slice]:
    """Some rows of y (OH, OW, C, N), or of all images of y (M, OH, OW, L)."""
    count = len(y) if last else y.shape[0] * y.shape[1]
    return chunks(count, max(1, PIECE * count // y.size))


IMPLEMENTATION = Implementation(NAME, refuses, forward, backward)
INFERENCE = Implementation(NAME, refuses, inference, None)
