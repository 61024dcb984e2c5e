"""The copies that turn a convolution with the batch last in memory into products; see `xpcnn.kernels.rows`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from numpy.lib.stride_tricks import as_strided

from ..ops.window import Placement
from ..typing import NDArray

Copy: TypeAlias = tuple[NDArray, Any]  # to an array, from another one or 0


class Block(NamedTuple):
    """Part of the output: positions of some images."""

    rows: slice
    columns: slice
    images: slice


def lowering(
    x: NDArray, place: Placement, block: Block, groups: int, make: Callable[[tuple[int, ...], Any], NDArray]
) -> tuple[list[Copy], NDArray]:
    """The copies that fill L, and P of the block, (G, i, j, K, n): a view of L.

    Parameters
        make : makes L, of that shape and dtype
    """
    (kh, kw), (sh, sw), (dh, dw) = place.window.kernel, place.window.stride, place.window.dilation
    top, _, left, _ = place.pads
    i, j, n = (part.stop - part.start for part in block)
    row, column = block.rows.start * sh - top, block.columns.start * sw - left
    if kh == kw == 1 and not any(place.pads):  # each position is its own row of L
        part = x[row : row + (i - 1) * sh + 1 : sh, column : column + (j - 1) * sw + 1 : sw, :, block.images]
        return [], grouped(part, groups)
    c = x.shape[2] // groups
    if dw == 1 and sw < kw:  # neighbouring positions share columns
        shared = make((groups, i, (j - 1) * sw + kw, kh, c, n), x.dtype)  # L
        s_g, s_i, s_q, _, s_c, s_n = shared.strides
        strides = (s_g, s_i, s_q * sw, s_c, s_n)
        patches = as_strided(shared, (groups, i, j, kw * kh * c, n), strides, writeable=False)
        return copies(shared, x, (row, sh, dh), (column, 1), block.images), patches
    each = make((groups, i, j, kw, kh, c, n), x.dtype)
    found: list[Copy] = []
    for v in range(kw):
        found += copies(each[:, :, :, v], x, (row, sh, dh), (column + v * dw, sw), block.images)
    return found, each.reshape(groups, i, j, -1, n)


def copies(
    target: NDArray, x: NDArray, row: tuple[int, int, int], column: tuple[int, int], images: slice
) -> list[Copy]:
    """The copies of rows of taps into target (G, i, j, KH, C/G, n), with zeros outside the image.

    Parameters
        row : the row that i = 0, u = 0 reads; the steps per i and per u
        column : the column that j = 0 reads; the step per j
    """
    groups, count_i, count_j, kh = target.shape[:4]
    first, step, dilation = row
    j, columns = inside(*column, count_j, x.shape[1])
    found: list[Copy] = []
    if j.start > 0:
        found.append((target[:, :, : j.start], 0))
    if j.stop < count_j:
        found.append((target[:, :, j.stop :], 0))
    if first >= 0 and first + (count_i - 1) * step + (kh - 1) * dilation < x.shape[0]:  # one copy for all u
        source = x[first:, columns, :, images]
        s_h, s_w, s_c, s_n = source.strides
        shape, strides = (count_i, source.shape[1], kh), (s_h * step, s_w, s_h * dilation)
        view = as_strided(source, (*shape, *source.shape[2:]), (*strides, s_c, s_n), writeable=False)
        return [*found, (target[:, :, j], grouped(view, groups))]
    for u in range(kh):
        i, rows = inside(first + u * dilation, step, count_i, x.shape[0])
        if i.start > 0:
            found.append((target[:, : i.start, j, u], 0))
        if i.stop < count_i:
            found.append((target[:, i.stop :, j, u], 0))
        found.append((target[:, i, j, u], grouped(x[rows, columns, :, images], groups)))
    return found


def inside(start: int, step: int, count: int, size: int) -> tuple[slice, slice]:
    """Of `count` positions from `start` on, `step` apart: the slice of those in 0 … size, and their positions."""
    first = min(count, max(0, -(start // step)))
    stop = max(first, min(count, -(-(size - start) // step)))
    if first == stop:
        return slice(first, first), slice(0, 0)
    return slice(first, stop), slice(start + first * step, start + (stop - 1) * step + 1, step)


def grouped(x: NDArray, groups: int) -> NDArray:
    """(…, G·C, n) → (G, …, C, n): a view."""
    *places, c, n = x.shape
    split = x.reshape(*places, groups, c // groups, n)
    return split.transpose(split.ndim - 3, *range(split.ndim - 3), split.ndim - 2, split.ndim - 1)
