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
from ...ops.dispatch import Implementation
from ...ops.window import Placement, Window
from ...typing import Cache, NDArray
from ..batch_last import batch_first, batch_last, chunks
from ..memory import empty
from ..threads import parallel, reduce_units
from .loop import NAME, In1, In2, In4, InInts1, Out4, Sums2, contiguous, loop, part, refuses_numbers

TAPS = 9  # at a time
OUTSIDE = -(1 << 40)  # the offset of a tap that there is not
PIECE = 1 << 16  # elements of y in a unit of work, or one row
COST = 4  # of a tap for an element, in multiplications or additions of a matrix product


@part
def tap(x: Any, p: int, q: int, gap_h: int, gap_w: int, zeros: Any) -> Any:
    """x[p / gap_h, q / gap_w], (C, N), or zeros where there is no such position."""
    if p < 0 or q < 0:
        return zeros
    if gap_h != 1 or gap_w != 1:
        if p % gap_h != 0 or q % gap_w != 0:
            return zeros
        p //= gap_h
        q //= gap_w
    return x[p, q] if p < x.shape[0] and q < x.shape[1] else zeros


@loop
def sum_taps(
    x: In4, w: In2, b: In1, rows: InInts1, columns: InInts1, zeros: In2,
    step_h: int, step_w: int, gap_h: int, gap_w: int, relu: bool, y: Out4, first: int, last: int,
) -> None:  # fmt: skip
    """(1) or (4): rows `first` to `last` of y; tap t has the offsets rows[t] and columns[t]."""
    _, width, channels, images = y.shape
    for i in range(first, last):
        for j in range(width):
            out = y[i, j]
            for t in range(0, len(rows), 9):
                p, q, r, s = i * step_h, j * step_w, rows[t : t + 9], columns[t : t + 9]
                x0 = tap(x, p + r[0], q + s[0], gap_h, gap_w, zeros)
                x1 = tap(x, p + r[1], q + s[1], gap_h, gap_w, zeros)
                x2 = tap(x, p + r[2], q + s[2], gap_h, gap_w, zeros)
                x3 = tap(x, p + r[3], q + s[3], gap_h, gap_w, zeros)
                x4 = tap(x, p + r[4], q + s[4], gap_h, gap_w, zeros)
                x5 = tap(x, p + r[5], q + s[5], gap_h, gap_w, zeros)
                x6 = tap(x, p + r[6], q + s[6], gap_h, gap_w, zeros)
                x7 = tap(x, p + r[7], q + s[7], gap_h, gap_w, zeros)
                x8 = tap(x, p + r[8], q + s[8], gap_h, gap_w, zeros)
                for c in range(channels):
                    w0, w1, w2, w3, w4 = w[t, c], w[t + 1, c], w[t + 2, c], w[t + 3, c], w[t + 4, c]
                    w5, w6, w7, w8 = w[t + 5, c], w[t + 6, c], w[t + 7, c], w[t + 8, c]
                    if t == 0:
                        for n in range(images):
                            out[c, n] = (
                                b[c] + w0 * x0[c, n] + w1 * x1[c, n] + w2 * x2[c, n] + w3 * x3[c, n] + w4 * x4[c, n]
                                + w5 * x5[c, n] + w6 * x6[c, n] + w7 * x7[c, n] + w8 * x8[c, n]
                            )  # (1), (4)  # fmt: skip
                    else:
                        for n in range(images):
                            out[c, n] += (
                                w0 * x0[c, n] + w1 * x1[c, n] + w2 * x2[c, n] + w3 * x3[c, n] + w4 * x4[c, n]
                                + w5 * x5[c, n] + w6 * x6[c, n] + w7 * x7[c, n] + w8 * x8[c, n]
                            )  # (1), (4)  # fmt: skip
            if relu:
                for c in range(channels):
                    for n in range(images):
                        out[c, n] = 0 if out[c, n] <= 0 else out[c, n]


@loop
def weight_gradients(
    x: In4, dy: In4, rows: InInts1, columns: InInts1, zeros: In2, step_h: int, step_w: int, total: Sums2,
    first: int, last: int,
) -> None:  # fmt: skip
    """(2) and (3) of rows `first` to `last` of dy; the last row of total is db."""
    _, width, channels, images = dy.shape
    db = len(total) - 1
    for i in range(first, last):
        for j in range(width):
            g = dy[i, j]
            for t in range(0, len(rows), 9):
                p, q, r, s = i * step_h, j * step_w, rows[t : t + 9], columns[t : t + 9]
                x0 = tap(x, p + r[0], q + s[0], 1, 1, zeros)
                x1 = tap(x, p + r[1], q + s[1], 1, 1, zeros)
                x2 = tap(x, p + r[2], q + s[2], 1, 1, zeros)
                x3 = tap(x, p + r[3], q + s[3], 1, 1, zeros)
                x4 = tap(x, p + r[4], q + s[4], 1, 1, zeros)
                x5 = tap(x, p + r[5], q + s[5], 1, 1, zeros)
                x6 = tap(x, p + r[6], q + s[6], 1, 1, zeros)
                x7 = tap(x, p + r[7], q + s[7], 1, 1, zeros)
                x8 = tap(x, p + r[8], q + s[8], 1, 1, zeros)
                for c in range(channels):
                    zero = zeros[0, 0]  # of the numbers' type
                    b = s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = zero
                    for n in range(images):
                        d = g[c, n]
                        b += d  # (3)
                        s0 += d * x0[c, n]  # (2)
                        s1 += d * x1[c, n]
                        s2 += d * x2[c, n]
                        s3 += d * x3[c, n]
                        s4 += d * x4[c, n]
                        s5 += d * x5[c, n]
                        s6 += d * x6[c, n]
                        s7 += d * x7[c, n]
                        s8 += d * x8[c, n]
                    if t == 0:
                        total[db, c] += b
                    total[t, c] += s0
                    total[t + 1, c] += s1
                    total[t + 2, c] += s2
                    total[t + 3, c] += s3
                    total[t + 4, c] += s4
                    total[t + 5, c] += s5
                    total[t + 6, c] += s6
                    total[t + 7, c] += s7
                    total[t + 8, c] += s8


class Taps(NamedTuple):
    """The offsets of all taps, with as many more outside as make a multiple of `TAPS`; weights likewise."""

    rows: NDArray
    columns: NDArray

    @classmethod
    def of(cls, place: Placement, sign: int) -> Taps:
        """Those of (1) for sign 1, of (4) for sign −1."""
        (kh, kw), (dh, dw) = place.window.kernel, place.window.dilation
        top, _, left, _ = place.pads
        rows, columns = np.indices((kh, kw)).reshape(2, -1)
        more = (0, -len(rows) % TAPS)
        return cls(*(np.pad(sign * each, more, constant_values=OUTSIDE) for each in (rows * dh - top, columns * dw - left)))

    def weights(self, w: NDArray) -> NDArray:
        """(C, KH, KW, 1) → (T, C)."""
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
    x = contiguous(batch_last(x))  # (H, W, C, N)
    return batch_first(_correlate(x, w, b, place)), (x, w, b is not None, place)


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
    filters = w if scale is None else w * scale[:, None, None, None]
    return batch_first(_correlate(contiguous(batch_last(x)), filters, b, place, relu))


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, in compiled loops."""
    x, w, has_bias, place = cache
    check_gradient("Conv2d", dy, (x.shape[-1], *place.out, w.shape[0]), w)
    dy = contiguous(batch_last(dy))  # (OH, OW, C, N)
    dx = dw = db = None
    if weight_grad:
        total = _weight_gradients(x, dy, place).astype(w.dtype)  # (T + 1, C)
        dw = np.ascontiguousarray(total[: w[0].size].T).reshape(w.shape)
        db = total[-1] if has_bias else None
    if input_grad:
        dx = empty(x.shape, x.dtype)  # (H, W, C, N)
        _sum_taps(dy, Taps.of(place, -1), w, None, (1, 1), place.window.stride, False, dx)
    return None if dx is None else batch_first(dx), dw, db


def _correlate(x: NDArray, w: NDArray, b: NDArray | None, place: Placement, relu: bool = False) -> NDArray:
    y = empty((*place.out, *x.shape[2:]), x.dtype)  # (OH, OW, C, N)
    _sum_taps(x, Taps.of(place, 1), w, b, place.window.stride, (1, 1), relu, y)
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
) -> None:
    zeros = np.zeros(x.shape[2:], x.dtype)  # (C, N)
    bias = zeros[:, 0].copy() if b is None else contiguous(b)
    weights = taps.weights(w)

    def work(rows: slice) -> None:
        sum_taps(x, weights, bias, *taps, zeros, *step, *gap, relu, y, rows.start, rows.stop)

    parallel(work, _units(y), COST * y.size * len(weights))


def _weight_gradients(x: NDArray, dy: NDArray, place: Placement) -> NDArray:
    zeros, taps = np.zeros(x.shape[2:], x.dtype), Taps.of(place, 1)  # (C, N)

    def add(total: NDArray, rows: slice) -> None:
        weight_gradients(x, dy, *taps, zeros, *place.window.stride, total, rows.start, rows.stop)

    shape = (len(taps.rows) + 1, x.shape[2])
    return reduce_units(add, shape, np.float64, _units(dy), COST * dy.size * len(taps.rows))


def _units(y: NDArray) -> list[slice]:
    return chunks(len(y), max(1, PIECE // y[0].size))


IMPLEMENTATION = Implementation(NAME, refuses, forward, backward)
INFERENCE = Implementation(NAME, refuses, inference, None)
