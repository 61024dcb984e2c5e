"""What calls `row_loops`: the sizes of units of work and scratch, the arrangement of weights, and (4) of all strides.

dx is (1) of dy. With a stride S, each of the S·S classes of positions of dx is read by other taps:

    dx[a + S·i] = Σ_u dy[i + (a + P − u·D) / S] · w[u],    u with u·D ≡ a + P (mod S)                 (4)

which is a convolution with stride 1. Equation numbers are those of `xpcnn.ops.conv`.
"""

from __future__ import annotations

from math import gcd
from typing import Any, NamedTuple

import numpy as np

from ...ops.window import Placement
from ...typing import NDArray
from ..batch_last import chunks
from ..memory import empty
from ..threads import PASS, parallel, reduce_units
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
        (kh, kw), (step_h, step_w), (apart_h, apart_w) = place.window.kernel, place.window.stride, place.window.dilation
        return cls(kh, kw, step_h, step_w, apart_h, apart_w, place.pads[0], place.pads[2])

    def deep(self, images: int, height: int, width: int) -> bool:
        """Whether all rows of the kernel are copied beside each other."""
        return self.kh > 1 and images > 1 and height * width < FEW

    def copies(self, x: NDArray, height: int, width: int, rows: int, deep: bool, c: int) -> NDArray:
        """L for that many rows of positions, of (height, width) in all images; of size 0 where none is needed."""
        one_tap = self.kh * self.kw == self.step_h * self.step_w == 1 and self.top == self.left == 0
        if one_tap and x.shape[1:3] == (height, width):
            return empty((0, 0), x.dtype)
        if deep:
            return empty((rows * width, self.kh * self.kw * c), x.dtype)
        return empty(((rows + (self.kh - 1) * self.apart_h // self.step_h) * width, self.kw * c), x.dtype)


def repeated(b: NDArray | None, f: int, dtype: Any, relu: bool) -> NDArray:
    """The bias as loops take it, several times; of size 0 if there is nothing to add or to cut off."""
    times = max(4, RUN // f)
    if b is None:
        return np.zeros(f * times if relu else 0, dtype)
    return np.tile(b, times)


def correlate(x: NDArray, w: NDArray, b: NDArray | None, place: Placement, groups: int, relu: bool) -> NDArray:
    """(1): (N, H, W, G·C), (G·F, KH, KW, C) → (N, OH, OW, G·F)."""
    f, (height, width), reads = len(w), place.out, Reads.of(place)
    y = empty((len(x), height, width, f), x.dtype)
    matrix = np.ascontiguousarray(w.reshape(groups, f // groups, -1).swapaxes(1, 2))  # (G, KH·KW·C, F)
    bias, none = repeated(b, f, x.dtype, relu), np.zeros((0, 0), x.dtype)
    deep = reads.deep(*y.shape[:3])

    def work(unit: slice) -> None:
        copies = reads.copies(x, height, width, unit.stop - unit.start, deep, w.shape[3])
        place_of_y, part = (height, width, 1, 1, 0, 0), (unit.start, unit.stop)
        correlate_rows(x, matrix, bias, relu, *reads, *place_of_y, *part, deep, copies, none, y)  # (1)

    parallel(work, _units(reads, deep, y.shape, w.shape[3]), _cost(y.size, w[0].size))
    return y


def weight_gradients(
    x: NDArray, dy: NDArray, shape: tuple[int, ...], has_bias: bool, place: Placement, groups: int
) -> tuple[NDArray, NDArray | None]:
    """(2) as (G·F, KH, KW, C), and (3) or None."""
    f, kh, kw, c = shape
    reads, size = Reads.of(place), f * kh * kw * c
    _, height, width, _ = dy.shape
    deep, wide = reads.deep(*dy.shape[:3]), len(repeated(None, f, x.dtype, has_bias))

    def add(total: NDArray, unit: slice) -> None:
        copies, db = reads.copies(x, height, width, unit.stop - unit.start, deep, c), np.zeros(wide, x.dtype)
        dw = total[:size].reshape(groups, -1, f // groups)  # (G, KH·KW·C, F)
        row_gradients(x, dy, *reads, unit.start, unit.stop, deep, copies, dw, db)  # (2), (3)
        if has_bias:
            total[size:] += db.reshape(-1, f).sum(axis=0)

    units = _units(reads, deep, dy.shape, c)
    total = reduce_units(add, (size + f,), x.dtype, units, _cost(dy.size, kh * kw * c))
    dw = np.ascontiguousarray(total[:size].reshape(groups, -1, f // groups).swapaxes(1, 2)).reshape(shape)
    return dw, total[size:] if has_bias else None


class _Class(NamedTuple):
    """The positions (at_h, at_w) + (S_h, S_w)·(i, j) of dx, and the convolution of dy that computes them."""

    matrix: NDArray  # (G, U·V·F, C)
    reads: Reads
    size: tuple[int, int]
    at: tuple[int, int]
    deep: bool


def input_gradient(dy: NDArray, w: NDArray, shape: tuple[int, ...], place: Placement, groups: int) -> NDArray:
    """(4): dy (N, OH, OW, G·F) → dx of that shape, (N, H, W, G·C)."""
    f, c, step = len(w) // groups, w.shape[3], place.window.stride
    dx = empty(shape, dy.dtype)
    none, units = np.zeros(0, dy.dtype), []
    for at in np.ndindex(min(step[0], shape[1]), min(step[1], shape[2])):
        one = _class(dy, w, shape, place, groups, at)
        if one is None:
            dx[:, at[0] :: step[0], at[1] :: step[1]] = 0
        else:
            sizes = (len(dx), *one.size, groups * c)
            units += [(one, unit) for unit in _units(one.reads, one.deep, sizes, f)]

    def work(each: tuple[_Class, slice]) -> None:
        (matrix, reads, size, at, deep), unit = each
        count = unit.stop - unit.start
        copies = reads.copies(dy, *size, count, deep, f)
        sums = empty((0 if step == (1, 1) else count * size[1], groups * c), dy.dtype)
        place_of_dx, part = (*size, *step, *at), (unit.start, unit.stop)
        correlate_rows(dy, matrix, none, False, *reads, *place_of_dx, *part, deep, copies, sums, dx)  # (4)

    parallel(work, units, _cost(dy.size, w[0].size))
    return dx


def _class(
    dy: NDArray, w: NDArray, shape: tuple[int, ...], place: Placement, groups: int, at: tuple[int, ...]
) -> _Class | None:
    """One class of positions of (4); None if no tap reads them."""
    f, kh, kw, c = w.shape
    window, (top, _, left, _) = place.window, place.pads
    us, apart_h, start_h = _taps(at[0] + top, kh, window.stride[0], window.dilation[0])
    vs, apart_w, start_w = _taps(at[1] + left, kw, window.stride[1], window.dilation[1])
    if not us or not vs:
        return None
    taps = w.reshape(groups, f // groups, kh, kw, c)[:, :, us][:, :, :, vs]  # (G, F, U, V, C)
    matrix = np.ascontiguousarray(taps.transpose(0, 2, 3, 1, 4)).reshape(groups, -1, c)
    size = -(-(shape[1] - at[0]) // window.stride[0]), -(-(shape[2] - at[1]) // window.stride[1])
    reads = Reads(len(us), len(vs), 1, 1, apart_h, apart_w, -start_h, -start_w)
    return _Class(matrix, reads, size, (at[0], at[1]), reads.deep(len(dy), *size))


def _taps(at: int, count: int, step: int, apart: int) -> tuple[list[int], int, int]:
    """The taps that read elements at, at + step, … of the padded image, the last first; how far apart the positions
    are of which neighbouring ones read an element; and the position of which the first in the list reads `at`."""
    taps = [u for u in reversed(range(count)) if (at - u * apart) % step == 0]
    start = (at - taps[0] * apart) // step if taps else 0
    return taps, apart // gcd(apart, step), start


def _units(reads: Reads, deep: bool, shape: tuple[int, ...], c: int) -> list[slice]:
    """Units of rows of all images of y, whole images if they are small."""
    n, height, width, f = shape
    rows = max(1, PIECE // (width * (reads.kw * c * (reads.kh if deep else 1) + f)))
    if rows >= height:
        return [slice(part.start * height, part.stop * height) for part in chunks(n, rows // height)]
    return [slice(i * height + part.start, i * height + part.stop) for i in range(n) for part in chunks(height, rows)]


def _cost(size: int, k: int) -> float:
    """Of sums of k products for each number of y, and of a pass over it."""
    return size * (2.0 * k + PASS)
