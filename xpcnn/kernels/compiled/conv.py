"""Convolution in compiled loops, with the channels last in memory: for few images, strides, dilations and groups.

There are two ways, whose modules have the equations of y (1), dw (2), db (3) and dx (4), with the numbers of
`xpcnn.ops.conv`:

- `direct_loops`, for every geometry: sums of products in the processor's registers, of numbers where they lie.
- `winograd_tiles`, for 3×3 kernels with stride 1 and 32 channels or more, whose transformed weights fit into the cache
  and whose tiles are well filled (`conv_tiles.pays`); BLAS multiplies the tiles.

dx is (1) of dy; with a stride in classes of positions, see `conv_direct`.

Which calls are refused: the batch comes last in memory (other operations want it so, and a copy costs a pass); or there
are 32 images or more of few channels, as in a first layer, because the next layer wants the batch last; or so many for
which `winograd` is faster.
"""

from __future__ import annotations

from typing import Any

from ...ops.check import check_gradient
from ...ops.conv import check_conv2d
from ...ops.implementations import Implementation
from ...ops.window import Placement, Window
from ...typing import Cache, NDArray
from .. import batch_last, winograd
from . import conv_direct, conv_tiles
from .loop import NAME, contiguous, refuses_numbers


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
    dy, dx, dw, db = contiguous(dy), None, None, None
    if weight_grad:
        if conv_tiles.pays_for_dw(x, w, place, groups):
            dw, db = conv_tiles.weight_gradients(x, dy, has_bias, place)
        else:
            dw, db = conv_direct.weight_gradients(x, dy, w.shape, has_bias, place, groups)
    if input_grad:
        turned, flipped = w[:, ::-1, ::-1, :].transpose(3, 1, 2, 0), place.flipped
        if flipped is not None and conv_tiles.pays(turned, flipped, groups):
            dx = conv_tiles.correlate(dy, turned, None, flipped, False)  # (4)
        else:
            dx = conv_direct.input_gradient(dy, w, x.shape, place, groups)  # (4)
    return dx, dw, db


def _correlate(x: NDArray, w: NDArray, b: NDArray | None, place: Placement, groups: int, relu: bool) -> NDArray:
    """(1), of C-contiguous images."""
    if conv_tiles.pays(w, place, groups):
        return conv_tiles.correlate(x, w, b, place, relu)
    return conv_direct.correlate(x, w, b, place, groups, relu)


IMPLEMENTATION = Implementation(NAME, refuses, forward, backward)
INFERENCE = Implementation(NAME, refuses, inference, None)
