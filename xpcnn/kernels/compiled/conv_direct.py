"""What calls `direct_loops`: units of work, scratch, the arrangement of weights, and (4) of all strides.

dx is (1) of dy. With a stride S, each of the S·S classes of positions of dx is read by other taps:

    dx[a + S·i] = Σ_u dy[i + (a + P − u·D) / S] · w[u],    u with u·D ≡ a + P (mod S)                 (4)

which is a convolution with stride 1. Equation numbers are those of `xpcnn.ops.conv`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from ...ops.window import Placement
from ...typing import NDArray
from ..batch_last import chunks
from ..memory import empty
from ..threads import PARTS, PASS, parallel, reduce_units
from .direct_loops import arrange_filters, correlate_direct, direct_gradients, fold_direct
from .loop import contiguous
from .microkernel import Tile

UNIT = 1e7  # the cost of a unit of work, about
UNITS = 64  # at most
PIECE = 1 << 17  # numbers of images that are copied at once, or one image
POSITIONS = 256  # of dy, or one row, that stay in the processor's first cache while dw reads them again and again
LONG = 4096  # positions of an image of a 1×1 kernel that are one row
RUN = 512  # numbers, about, of sums for db
LARGE = 1 << 18  # numbers of dw, from which units of work have filters of their own
FEW = 4  # a vector for one channel: with as few, dx is added up position by position
WAKE = 3e7  # the cost from which a second thread pays


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

    @property
    def reach(self) -> int:
        """How many rows a kernel spans."""
        return (self.kh - 1) * self.apart_h + 1

    def pitch(self, width: int) -> int:
        """How many columns the kernels of a row of that many positions span."""
        return (width - 1) * self.step_w + (self.kw - 1) * self.apart_w + 1

    def within(self, shape: tuple[int, ...], height: int, width: int) -> bool:
        """Whether all that the taps read is inside the images (N, H, W, C)."""
        begins = self.top <= 0 and self.left <= 0
        bottom, right = (height - 1) * self.step_h + self.reach - self.top, self.pitch(width) - self.left
        return begins and bottom <= shape[1] and right <= shape[2]


@lru_cache(maxsize=64)
def _under_kernel(reads: Reads, pitch: int, channels: int, c: int) -> NDArray:
    """The distances of what a position reads (KH·KW·C,), in rows of `pitch` positions of that many channels."""
    u, v = np.arange(reads.kh) * (reads.apart_h * pitch), np.arange(reads.kw) * reads.apart_w
    return ((u[:, None, None] + v[:, None]) * channels + np.arange(c)).ravel().astype(np.int64)


@lru_cache(maxsize=64)
def _of_positions(
    reads: Reads, image_pitch: int, pitch: int, channels: int, images: int, rows: int, width: int
) -> NDArray:
    """The distances of what a tap reads for (images·rows·width,) positions."""
    m, i = np.arange(images) * image_pitch, np.arange(rows) * (reads.step_h * pitch)
    return ((m[:, None, None] + i[:, None] + np.arange(width) * reads.step_w) * channels).ravel().astype(np.int64)


def arranged(w: NDArray, tile: Tile) -> NDArray:
    """(G, F, K) as panels (G, K·F'): see `direct_loops`."""
    groups, f, k = w.shape
    panels = empty((groups, k * tile.padded(f)), w.dtype)
    number = groups * -(-f // (2 * tile.lanes))
    parallel(
        lambda part: arrange_filters(w, tile.lanes, part.start, part.stop, panels),
        chunks(number, -(-number // PARTS)),
        2 * PASS * panels.size,
    )
    return panels


def turned(w: NDArray, tile: Tile) -> NDArray:
    """(G, U, V, C, F) as panels (G, K·F'), K = U·V·C: see `direct_loops`."""
    groups, *kernel, f = w.shape
    k, wide, padded = math.prod(kernel), 2 * tile.lanes, tile.padded(f)
    panels, whole = empty((groups, k * padded), w.dtype), f // wide * wide
    inside = w[..., :whole].reshape(groups, *kernel, whole // wide, wide)
    panels[:, : k * whole].reshape(groups, whole // wide, *kernel, wide)[...] = np.moveaxis(inside, 4, 1)
    if f > whole:
        last = panels[:, k * whole :].reshape(groups, *kernel, padded - whole)
        last[..., : f - whole] = w[..., whole:]
        last[..., f - whole :] = 0
    return panels


def _padded_bias(b: NDArray | None, groups: int, f: int, padded: int, dtype: Any) -> NDArray:
    bias = np.zeros((groups, padded), dtype)
    if b is not None:
        bias[:, :f] = b.reshape(groups, f)
    return bias


class _Call(NamedTuple):
    """A convolution with the numbers that `correlate_direct` takes for all units."""

    panels: NDArray
    reads: Reads
    size: tuple[int, int]
    at: tuple[int, int]
    distances: NDArray
    pitch: int  # 0 where x is read where it is


def _call(x: NDArray, panels: NDArray, groups: int, reads: Reads, size: tuple[int, int], at: tuple[int, int]) -> _Call:
    channels = x.shape[3]
    pitch = 0 if reads.within(x.shape, *size) else reads.pitch(size[1])
    distances = _under_kernel(reads._replace(top=0, left=0), pitch or x.shape[2], channels, channels // groups)
    return _Call(panels, reads, size, at, distances, pitch)


def _run(
    call: _Call, unit: slice, x: NDArray, bias: NDArray, floor: float, gap: tuple[int, int], tile: Tile, y: NDArray
) -> None:
    reads, (height, width) = call.reads, call.size
    rows = min(unit.stop - unit.start, height)
    size = ((rows - 1) * reads.step_h + reads.reach) * call.pitch * x.shape[3]  # of a copy
    together = max(1, min((unit.stop - unit.start) // height, PIECE // max(size, 1)))
    copies, spare = empty((together * size,), x.dtype), empty((tile.most,), x.dtype)
    correlate_direct(
        x, call.panels, bias, floor, call.distances, reads.step_h, reads.step_w, reads.top, reads.left, height, width,
        *gap, *call.at, unit.start, unit.stop, together, reads.reach, call.pitch, *tile, copies, spare, y,
    )  # fmt: skip


def correlate(x: NDArray, w: NDArray, b: NDArray | None, place: Placement, groups: int, relu: bool) -> NDArray:
    """(1): (N, H, W, G·C), (G·F, KH, KW, C) → (N, OH, OW, G·F)."""
    f, tile, reads = len(w) // groups, Tile.of(x.dtype), Reads.of(place)
    y = empty((len(x), *place.out, len(w)), x.dtype)
    x, out = _as_long_rows(x, place), _as_long_rows(y, place)
    panels = arranged(contiguous(w).reshape(groups, f, -1), tile)
    call = _call(x, panels, groups, reads, out.shape[1:3], (0, 0))
    bias = _padded_bias(b, groups, f, tile.padded(f), x.dtype)
    floor = 0.0 if relu else -math.inf
    cost = _cost(y.size, w[0].size)
    units = _units(out.shape, cost)
    parallel(lambda unit: _run(call, unit, x, bias, floor, (1, 1), tile, out), units, cost, least=WAKE)
    return y


def _as_long_rows(x: NDArray, place: Placement) -> NDArray:
    """Images whose positions are one row, for a kernel that reads each once."""
    n, height, width, channels = x.shape
    one_tap = place.window.kernel == place.window.stride == (1, 1) and not any(place.pads)
    return x.reshape(n, 1, height * width, channels) if one_tap and height * width <= LONG else x


def weight_gradients(
    x: NDArray, dy: NDArray, shape: tuple[int, ...], has_bias: bool, place: Placement, groups: int
) -> tuple[NDArray, NDArray | None]:
    """(2) as (G·F, KH, KW, C), and (3) or None."""
    filters, kh, kw, c = shape
    f, reads, tile = filters // groups, Reads.of(place), Tile.of(x.dtype)
    x, dy = _as_long_rows(x, place), _as_long_rows(dy, place)
    _, height, width, _ = dy.shape
    channels, padded = x.shape[3], tile.padded(f)
    pitch = 0 if reads.within(x.shape, height, width) else reads.pitch(width)
    rows = max(1, min(height, POSITIONS // width))
    together = max(1, POSITIONS // (height * width))  # images
    copied = (rows - 1) * reads.step_h + reads.reach
    in_row, in_image = (pitch, copied * pitch) if pitch else (x.shape[2], x.shape[1] * x.shape[2])
    distances = _of_positions(reads._replace(top=0, left=0), in_image, in_row, channels, together, rows, width)
    size, wide = groups * kh * kw * c * padded, max(1, RUN // filters) * filters if has_bias else 0

    cost = _cost(dy.size, kh * kw * c)

    def add(total: NDArray, unit: slice, part: slice) -> None:
        copies = empty((together * copied * pitch * channels,), x.dtype)
        filled = empty((0 if padded == f else len(distances) * groups * padded,), x.dtype)
        db, dw = np.zeros(wide, x.dtype), total[:size].reshape(groups, -1, padded)  # (G, KH·KW·C, F')
        direct_gradients(
            x, dy, distances, *reads, unit.start, unit.stop, part.start, part.stop, together, rows, reads.reach, pitch,
            *tile, copies, filled, dw, db if part.start == 0 else no_db,
        )  # fmt: skip
        if has_bias and part.start == 0:
            total[size:] += db.reshape(-1, filters).sum(axis=0)

    no_db = np.zeros(0, x.dtype)
    if size < LARGE:
        whole, units = slice(0, padded), _units(dy.shape, cost)
        total = reduce_units(lambda total, unit: add(total, unit, whole), (size + filters,), x.dtype, units, cost)
    else:  # a unit has filters of its own
        total, everything = np.zeros(size + filters, x.dtype), slice(0, len(dy) * height)
        panels, wide_panel = -(-padded // (2 * tile.lanes)), 2 * tile.lanes
        parts = [
            slice(each.start * wide_panel, min(padded, each.stop * wide_panel))
            for each in chunks(panels, -(-panels // PARTS))
        ]
        parallel(lambda part: add(total, everything, part), parts, cost, least=WAKE)
    dw = total[:size].reshape(groups, -1, padded)[..., :f].swapaxes(1, 2)
    return np.ascontiguousarray(dw).reshape(shape), total[size:] if has_bias else None


def input_gradient(dy: NDArray, w: NDArray, shape: tuple[int, ...], place: Placement, groups: int) -> NDArray:
    """(4): dy (N, OH, OW, G·F) → dx of that shape, (N, H, W, G·C)."""
    c, step, tile, reads = w.shape[3], place.window.stride, Tile.of(dy.dtype), Reads.of(place)
    dx = empty(shape, dy.dtype)
    if groups == 1 and c <= tile.lanes // FEW:
        _fold(dy, w, reads, tile, dx)
        return dx
    given, out = _as_long_rows(dy, place), _as_long_rows(dx, place)
    no_bias = np.zeros((groups, tile.padded(c)), dy.dtype)
    units, cost = [], _cost(dy.size, w[0].size)
    for at in np.ndindex(min(step[0], out.shape[1]), min(step[1], out.shape[2])):
        call = _class(given, w, out.shape, place, groups, at, tile)
        if call is None:
            out[:, at[0] :: step[0], at[1] :: step[1]] = 0
        else:
            units += [(call, unit) for unit in _units((len(out), *call.size), cost / (step[0] * step[1]))]

    def work(each: tuple[_Call, slice]) -> None:
        _run(*each, given, no_bias, -math.inf, step, tile, out)  # (4)

    parallel(work, units, cost, least=WAKE)
    return dx


def _fold(dy: NDArray, w: NDArray, reads: Reads, tile: Tile, dx: NDArray) -> None:
    """(4) of few channels, one group: (N, OH, OW, F) → (N, H, W, C)."""
    f, k = len(w), w[0].size
    padded = tile.padded(k)
    panels = turned(w.reshape(1, 1, 1, f, k), tile)  # (1, F·K')
    zeros, distances = np.zeros((1, padded), dy.dtype), np.arange(f)
    cost = _cost(dy.size, k)

    def work(unit: slice) -> None:
        sums = empty((dy.shape[2] * padded,), dy.dtype)
        fold_direct(dy, panels, zeros, distances, *reads, unit.start, unit.stop, *tile, sums, dx)

    parallel(work, _units((len(dy), 1), cost), cost, least=WAKE)


def _class(
    dy: NDArray, w: NDArray, shape: tuple[int, ...], place: Placement, groups: int, at: tuple[int, ...], tile: Tile
) -> _Call | None:
    """One class of positions of (4); None if no tap reads them."""
    f, kh, kw, c = w.shape
    window, (top, _, left, _) = place.window, place.pads
    us, apart_h, start_h = _taps(at[0] + top, kh, window.stride[0], window.dilation[0])
    vs, apart_w, start_w = _taps(at[1] + left, kw, window.stride[1], window.dilation[1])
    if not us or not vs:
        return None
    taps = w.reshape(groups, f // groups, kh, kw, c)[:, :, us][:, :, :, vs].transpose(0, 2, 3, 1, 4)  # (G, U, V, F, C)
    size = -(-(shape[1] - at[0]) // window.stride[0]), -(-(shape[2] - at[1]) // window.stride[1])
    reads = Reads(len(us), len(vs), 1, 1, apart_h, apart_w, -start_h, -start_w)
    return _call(dy, turned(taps, tile), groups, reads, size, (at[0], at[1]))


def _taps(at: int, count: int, step: int, apart: int) -> tuple[list[int], int, int]:
    """Which taps read the elements at, at + step, … of the padded image, the last one first; how far apart the
    positions are that read an element with neighbours in this list; and which position reads `at` with the first."""
    taps = [u for u in reversed(range(count)) if (at - u * apart) % step == 0]
    start = (at - taps[0] * apart) // step if taps else 0
    return taps, apart // gcd(apart, step), start


def _units(shape: tuple[int, ...], cost: float) -> list[slice]:
    """Units of the rows of all images, of about the same cost."""
    n, height = shape[:2]
    number = 1 if cost < 2 * UNIT else min(UNITS, 4 * math.ceil(cost / (4 * UNIT)))
    return chunks(n * height, max(1, -(-n * height // number)))


def _cost(size: int, k: int) -> float:
    """Of sums of k products for each number of y, and of a pass over it."""
    return size * (2.0 * k + PASS)
