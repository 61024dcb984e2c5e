"""What calls `winograd_tiles`: when it pays, and the sizes of units of work and scratch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops.window import Placement
from ...typing import NDArray
from ..batch_last import chunks
from ..memory import empty
from ..threads import PASS, one_blas_thread, parallel, reduce_units
from .winograd_kernels import kernel_gradient, transformed_kernel
from .winograd_tiles import correlate_tiles, tile_gradients

WORKSPACE = 2 << 20  # bytes of transformed tiles in a unit of work, or `TILES` of them
TILES = 16
CHANNELS = 32  # on both sides: with fewer, the transforms cost more than they save
WEIGHTS = 4 << 20  # bytes of transformed weights, at most: each unit reads all of them
SUMMED = 32  # tiles, at least, for dw: each adds to all 36 products of its channels and filters
RUN = 512  # numbers, about, of a bias that is repeated
FILLED = 0.67  # of the tiles' positions, at least


def applies(place: Placement, groups: int, channels: int, filters: int) -> bool:
    """Whether it is a convolution for Winograd's algorithm, with tiles that are well filled and enough channels."""
    window, (height, width) = place.window, place.out
    if groups != 1 or window.kernel != (3, 3) or window.stride != (1, 1) or window.dilation != (1, 1):
        return False
    computed = 16 * -(-height // 4) * -(-width // 4)
    return min(channels, filters) >= CHANNELS and height * width >= FILLED * computed


def pays(w: NDArray, place: Placement, groups: int) -> bool:
    """Whether Winograd's algorithm applies, and pays for y, and for dx where `place.flipped` is the place."""
    return fits(w) and applies(place, groups, w.shape[3], len(w))


def fits(w: NDArray) -> bool:
    """Whether the transformed weights fit into the cache."""
    return 36 * len(w) * int(w.shape[3]) * w.itemsize <= WEIGHTS


def pays_for_dw(x: NDArray, w: NDArray, place: Placement, groups: int) -> bool:
    """Whether it pays for dw of these images."""
    return pays(w, place, groups) and len(x) * -(-place.out[0] // 4) * -(-place.out[1] // 4) >= SUMMED


def _repeated(b: NDArray | None, f: int, dtype: Any, relu: bool) -> NDArray:
    """The bias as loops take it, several times; of size 0 if there is nothing to add or to cut off."""
    times = max(4, RUN // f)
    if b is None:
        return np.zeros(f * times if relu else 0, dtype)
    return np.tile(b, times)


def correlate(x: NDArray, w: NDArray, b: NDArray | None, place: Placement, relu: bool) -> NDArray:
    """(1): (N, H, W, C), (F, 3, 3, C) → (N, OH, OW, F)."""
    f, (top, _, left, _) = len(w), place.pads
    y = empty((len(x), *place.out, f), x.dtype)
    u, bias = transformed_kernel(w), _repeated(b, f, x.dtype, relu)

    def work(unit: slice) -> None:
        scratch = _scratch(unit, x, f)
        correlate_tiles(x, u, bias, relu, top, left, unit.start, unit.stop, *scratch, y)  # (1)

    parallel(work, _units(y, x.shape[3]), _cost(y, x.shape[3]))
    return y


def weight_gradients(x: NDArray, dy: NDArray, has_bias: bool, place: Placement) -> tuple[NDArray, NDArray | None]:
    """(2) as (F, 3, 3, C), and (3) or None."""
    c, f, (top, _, left, _) = x.shape[3], dy.shape[3], place.pads

    def add(total: NDArray, unit: slice) -> None:
        tile_gradients(x, dy, top, left, unit.start, unit.stop, *_scratch(unit, x, f), total)  # (2)

    du = reduce_units(add, (36, c, f), x.dtype, _units(dy, c), _cost(dy, c))
    with one_blas_thread:
        db = np.ones(dy.size // f, dy.dtype) @ dy.reshape(-1, f) if has_bias else None  # (3)
    return kernel_gradient(du), db


def _scratch(unit: slice, x: NDArray, f: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    count, c = unit.stop - unit.start, x.shape[3]
    edge = (6, 6 * max(c, f))
    return empty((36, count, c), x.dtype), empty((36, count, f), x.dtype), empty(edge, x.dtype), empty(edge, x.dtype)


def _units(y: NDArray, c: int) -> list[slice]:
    """Units of the tiles of all images."""
    n, height, width, f = y.shape
    return chunks(n * -(-height // 4) * -(-width // 4), max(TILES, WORKSPACE // (36 * (c + f) * y.itemsize)))


def _cost(y: NDArray, c: int) -> float:
    return y.size * (2.0 * 36 / 16 * c + 4 * PASS)
