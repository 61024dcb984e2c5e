"""Convolution in compiled loops, with the channels last in memory.
"""

from __future__ import annotations

from math import gcd
from typing import Any, NamedTuple

import numpy as np

from ...ops.check import check_gradient
from ...ops.conv import check_conv2d
from ...ops.dispatch import Implementation
from ...ops.window import Placement, Window
from ...typing import Cache, NDArray
from ..batch_last import chunks
from ..memory import empty
from ..threads import PASS, parallel, reduce_units
from .loop import NAME, contiguous, refuses_numbers
from .row_loops import correlate_rows, row_gradients

PIECE = 1 << 17  # numbers of L and y in a unit of work, or one row
FEW = 128  # positions of an image: with fewer, many images are one product
RUN = 512  # numbers, about, of a bias that is repeated


class Reads(NamedTuple):
    """Which rows and columns of an image the taps read: position i reads i·step + u·apart − start."""

    kh: int
    kw: int
    step_h: int
    step_w: int
    apart_h: int
    apart_w: int
    top: int
    left: int

    @classmethod
    def of(cls, place: Placement) -> Reads:
        window = place.window
        return cls(*window.kernel, *window.stride, *window.dilation, place.pads[0], place.pads[2])

    def deep(self, images: int, height: int, width: int) -> bool:
        """Whether all rows of the kernel are copied beside each other."""
        return self.kh > 1 and images > 1 and height * width < FEW

    def copies(self, x: NDArray, height: int, width: int, rows: int, deep: bool, c: int) -> tuple[int, int]:
        """The shape of L for that many rows of positions, of (height, width) in all images."""
        if self == (1, 1, 1, 1, 1, 1, 0, 0) and x.shape[1:3] == (height, width):
            return 0, 0
        if deep:
            return rows * width, self.kh * self.kw * c
        return (rows + (self.kh - 1) * self.apart_h // self.step_h) * width, self.kw * c


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1, **epilogue: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    return refuses_numbers(x)


def forward(
    x: NDArray, w: NDArray, b: NDArray | None = None, *, window: Window, groups: int = 1
) -> tuple[NDArray, Cache]:
    """`conv2d_forward`, in compiled loops."""
    _, place = check_conv2d(x, w, b, window, groups)
    x = contiguous(x)
    y = empty((len(x), *place.out, len(w)), x.dtype)
    _correlate(x, matrix(w, groups), b, Reads.of(place), False, y)
    return y, (x, w, b is not None, place, groups)


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
    y = empty((len(x), *place.out, len(w)), x.dtype)
    _correlate(contiguous(x), matrix(filters, groups), b, Reads.of(place), relu, y)
    return y


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, in compiled loops."""
    x, w, has_bias, place, groups = cache
    check_gradient("Conv2d", dy, (len(x), *place.out, len(w)), w)
    dy = contiguous(dy)
    dw, db = _weight_gradients(x, dy, w.shape, has_bias, place, groups) if weight_grad else (None, None)
    return _input_gradient(dy, w, x.shape, place, groups) if input_grad else None, dw, db


def matrix(w: NDArray, groups: int) -> NDArray:
    """The kernel (G·F, KH, KW, C) as (G, KH·KW·C, F)."""
    return np.ascontiguousarray(w.reshape(groups, len(w) // groups, -1).swapaxes(1, 2))


def _correlate(x: NDArray, w: NDArray, b: NDArray | None, reads: Reads, relu: bool, y: NDArray) -> None:
    n, height, width, f = y.shape
    deep = reads.deep(n, height, width)
    units = _units(reads, deep, w, y.shape)
    none = np.zeros((0, 0), x.dtype)
    if b is None:
        bias = np.zeros(f * _times(f) if relu else 0, x.dtype)
    else:
        bias = np.tile(b, _times(f))
    no_residual = np.zeros((0, 0, 0, 0), x.dtype)

    def work(rows: slice) -> None:
        copies = empty(reads.copies(x, height, width, rows.stop - rows.start, deep, x.shape[3] // len(w)), x.dtype)
        correlate_rows(
            x, w, bias, no_residual, relu, *reads, height, width, 1, 1, 0, 0, rows.start, rows.stop, deep, copies, none, y
        )

    parallel(work, units, _cost(y.size // f, f, w.shape[1], reads.kh))


def _times(f: int) -> int:
    """How often to repeat a row of f numbers."""
    return max(1, RUN // f)


def _cost(positions: int, filters: int, k: int, kh: int) -> float:
    """Of products with (K, F/G), and of writing y and L once."""
    return positions * (2.0 * filters * k + PASS * (filters + k // kh))


def _units(reads: Reads, deep: bool, w: NDArray, shape: tuple[int, ...]) -> list[slice]:
    n, height, width, f = shape
    run = w.shape[1] // (1 if deep else reads.kh)
    rows = max(1, PIECE // (width * (run + f)))
    if rows >= height:
        return [slice(part.start * height, part.stop * height) for part in chunks(n, rows // height)]
    return [slice(i * height + part.start, i * height + part.stop) for i in range(n) for part in chunks(height, rows)]


def _weight_gradients(
    x: NDArray, dy: NDArray, shape: tuple[int, ...], has_bias: bool, place: Placement, groups: int
) -> tuple[NDArray, NDArray | None]:
    f, kh, kw, c = shape
    reads, k = Reads.of(place), kh * kw * c
    n, height, width, _ = dy.shape
    deep = reads.deep(n, height, width)
    none, times = np.zeros(0, x.dtype), _times(f)

    def add(total: NDArray, rows: slice) -> None:
        copies = empty(reads.copies(x, height, width, rows.stop - rows.start, deep, c), x.dtype)
        dw, db = total[: k * f].reshape(groups, k, f // groups), np.zeros(times * f, x.dtype)
        row_gradients(x, dy, *reads, rows.start, rows.stop, deep, copies, dw, db if has_bias else none)
        total[k * f :] += db.reshape(times, f).sum(axis=0)

    units = _units(reads, deep, np.broadcast_to(x.dtype.type(0), (groups, k, f // groups)), dy.shape)
    total = reduce_units(add, ((k + 1) * f,), x.dtype, units, _cost(dy.size // f, f, k, kh))
    dw = np.ascontiguousarray(total[: k * f].reshape(groups, k, f // groups).swapaxes(1, 2)).reshape(shape)
    return dw, total[k * f :] if has_bias else None


def _input_gradient(dy: NDArray, w: NDArray, shape: tuple[int, ...], place: Placement, groups: int) -> NDArray:
    """(4): for each class of rows and columns of dx that is S apart, (1) of dy with the taps that meet it."""
    f, kh, kw, c = w.shape
    n, high, wide, _ = shape
    (step_h, step_w), (top, _, left, _) = place.window.stride, place.pads
    dx = empty(shape, dy.dtype)
    grouped = w.reshape(groups, f // groups, kh, kw, c)
    bias, no_residual = np.zeros(0, dy.dtype), np.zeros((0, 0, 0, 0), dy.dtype)
    work_units = []
    for at_h in range(min(step_h, high)):
        us, apart_h, start_h = _taps(at_h + top, kh, step_h, place.window.dilation[0])
        for at_w in range(min(step_w, wide)):
            vs, apart_w, start_w = _taps(at_w + left, kw, step_w, place.window.dilation[1])
            if not us or not vs:
                dx[:, at_h::step_h, at_w::step_w] = 0
                continue
            height, width = -(-(high - at_h) // step_h), -(-(wide - at_w) // step_w)
            taps = grouped[:, :, us][:, :, :, vs]  # (G, F, U, V, C)
            part = np.ascontiguousarray(taps.transpose(0, 2, 3, 1, 4)).reshape(groups, -1, c)
            reads = Reads(len(us), len(vs), 1, 1, apart_h, apart_w, -start_h, -start_w)
            deep = reads.deep(n, height, width)
            target = (height, width, step_h, step_w, at_h, at_w)
            units = _units(reads, deep, part, (n, height, width, groups * c))
            work_units += [(part, reads, deep, target, rows) for rows in units]

    def work(unit: Any) -> None:
        part, reads, deep, target, rows = unit
        count, (height, width) = rows.stop - rows.start, target[:2]
        copies = empty(reads.copies(dy, height, width, count, deep, f // groups), dy.dtype)
        sums = empty((count * width if step_h * step_w > 1 else 0, groups * c), dy.dtype)
        correlate_rows(
            dy, part, bias, no_residual, False, *reads, *target, rows.start, rows.stop, deep, copies, sums, dx
        )  # (4)

    parallel(work, work_units, _cost(dy.size // f, groups * c, w[0].size // c * f // groups, kh))
    return dx


def _taps(at: int, count: int, step: int, apart: int) -> tuple[list[int], int, int]:
    """The taps that read elements at, at + step, … of the padded image, the last first.

    Returns
        taps : u with u·D mod S = at mod S
        apart : how far apart are the positions of theirs that read one element
        start : the position whose last tap reads element `at`
    """
    taps = [u for u in reversed(range(count)) if (at - u * apart) % step == 0]
    start = (at - taps[0] * apart) // step if taps else 0
    return taps, apart // gcd(apart, step), start


IMPLEMENTATION = Implementation(NAME, refuses, forward, backward)
INFERENCE = Implementation(NAME, refuses, inference, None)
