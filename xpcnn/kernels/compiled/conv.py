"""Convolution in compiled loops, with the channels last in memory: for few images, strides, dilations and groups.

Loops copy what the kernel reads into matrices, BLAS multiplies them within the loop, and the loop goes on with the
result while it is in the processor's cache. There are two ways, whose modules have the equations of y (1), dw (2),
db (3) and dx (4), with the numbers of `xpcnn.ops.conv`:

- `row_loops`, for every geometry: the columns of one row of taps are copied beside each other, KW·C numbers, and the
  rows of taps are KH products.
- `winograd_tiles`, for 3×3 kernels with stride 1 and 32 channels or more, whose transformed weights fit into the cache
  and whose tiles are well filled (`conv_tiles.pays`).

dx is (1) of dy; with a stride in classes of positions, see `conv_rows`. Groups of `MERGED` / 2 channels or fewer are
merged, with zeros between them, because products of few numbers are slow; an infinity or NaN then spreads over the
merged groups.

Which calls are refused: the batch comes last in memory (other operations want it so, and a copy costs a pass); or there
are 32 images or more of few channels, as in a first layer, because the next layer wants the batch last; or so many for
which `winograd` is faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops.check import check_gradient
from ...ops.conv import check_conv2d
from ...ops.implementations import Implementation
from ...ops.window import Placement, Window
from ...typing import Cache, NDArray
from .. import batch_last, winograd
from . import conv_rows, conv_tiles
from .loop import NAME, contiguous, refuses_numbers

MERGED = 16  # channels, at most, of groups that are merged


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1, **epilogue: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    reason = refuses_numbers(x)
    if reason is not None:
        return reason
    if x.ndim != 4 or w.ndim != 4:
        return "the arrays are not those of a convolution"
    if reason := batch_last.refuses_last(x, compiled=True):
        return reason
    if len(x) >= batch_last.COMPILED_BATCH and winograd.refuses(x, w, b, window=window, groups=groups) is None:
        return "`winograd` is faster"
    return None


def forward(
    x: NDArray, w: NDArray, b: NDArray | None = None, *, window: Window, groups: int = 1
) -> tuple[NDArray, Cache]:
    """`conv2d_forward`, in compiled loops."""
    _, place = check_conv2d(x, w, b, window, groups)
    x = contiguous(x)
    return _correlate(x, w, b, place, groups, False), (x, w, b is not None, place, groups)


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
    return _correlate(contiguous(x), filters, b, place, groups, relu)


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, in compiled loops."""
    x, w, has_bias, place, groups = cache
    check_gradient("Conv2d", dy, (len(x), *place.out, len(w)), w)
    dy, times = contiguous(dy), _merges(w, groups)
    wider, fewer = _merged(w, groups, times), groups // times
    dx = dw = db = None
    if weight_grad:
        if conv_tiles.pays_for_dw(x, w, place, groups):
            dw, db = conv_tiles.weight_gradients(x, dy, has_bias, place)
        else:
            dw, db = conv_rows.weight_gradients(x, dy, wider.shape, has_bias, place, fewer)
        dw = _taken_apart(dw, groups, times)
    if input_grad:
        turned, flipped = w[:, ::-1, ::-1, :].transpose(3, 1, 2, 0), place.flipped
        if flipped is not None and conv_tiles.pays(turned, flipped, groups):
            dx = conv_tiles.correlate(dy, turned, None, flipped, False)  # (4)
        else:
            dx = conv_rows.input_gradient(dy, wider, x.shape, place, fewer)  # (4)
    return dx, dw, db


def _correlate(x: NDArray, w: NDArray, b: NDArray | None, place: Placement, groups: int, relu: bool) -> NDArray:
    """(1), of C-contiguous images."""
    if conv_tiles.pays(w, place, groups):
        return conv_tiles.correlate(x, w, b, place, relu)
    times = _merges(w, groups)
    return conv_rows.correlate(x, _merged(w, groups, times), b, place, groups // times, relu)


def _merges(w: NDArray, groups: int) -> int:
    """How many groups become one."""
    most = MERGED // max(w.shape[3], len(w) // groups)
    return max(each for each in range(1, max(1, min(most, groups)) + 1) if groups % each == 0)


def _merged(w: NDArray, groups: int, times: int) -> NDArray:
    """(G·F, KH, KW, C) → (G·F, KH, KW, times·C), with zeros for the channels of other groups."""
    if times == 1:
        return w
    f, kh, kw, c = w.shape
    split = w.reshape(groups // times, times, f // groups, kh, kw, c)
    wide = np.zeros((*split.shape[:-1], times, c), w.dtype)
    for each in range(times):
        wide[:, each, ..., each, :] = split[:, each]
    return wide.reshape(f, kh, kw, times * c)


def _taken_apart(dw: NDArray, groups: int, times: int) -> NDArray:
    """The gradient of w from that of `_merged`."""
    if times == 1:
        return dw
    f, kh, kw, c = dw.shape
    wide = dw.reshape(groups // times, times, f // groups, kh, kw, times, c // times)
    parts = [wide[:, each, ..., each, :] for each in range(times)]
    return np.stack(parts, axis=1).reshape(f, kh, kw, c // times)


IMPLEMENTATION = Implementation(NAME, refuses, forward, backward)
INFERENCE = Implementation(NAME, refuses, inference, None)
