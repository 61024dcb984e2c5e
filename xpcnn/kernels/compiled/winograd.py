"""3×3 convolution with stride 1 of 8 images or more in compiled loops (Winograd's algorithm along both axes).

With `xpcnn.kernels.winograd`'s matrices, a tile of 4×4 outputs y takes 36 multiplications for each channel c and
filter f instead of 144, from the 6×6 numbers d that it reads:

    y_f = Aᵀ [Σ_c (G g_fc Gᵀ) ⊙ (Bᵀ d_c B)] A + b_f                 (1)
    dg_fc = Gᵀ [Σ (A dy_f Aᵀ) ⊙ (Bᵀ d_c B)] G                       (2)
    db_f = Σ dy_f                                                   (3)
    dd = (1) of dy and the kernel rotated by 180°                   (4)

with the equation numbers of `xpcnn.ops.conv`. Sums over channels, in (1), and over tiles and images, in (2), are
products of matrices: 36 for each block of some tiles, (F, C) @ (C, tiles·n) and (F, tiles·n) @ (tiles·n, C). A loop
transforms a block's inputs, calls BLAS, and transforms the results, adds b and applies the ReLU, while all of it is in
the processor's cache. In (2) the numbers at one of the 36 points are the sums of tiles of dy: their sum is db.

The two transforms are sums of a few numbers, and cost less than what they save from 8 channels on. Rounding errors are
those of `xpcnn.kernels.winograd` with both axes. An infinity or NaN spreads over its tile.

Sources
    S. Winograd, Arithmetic complexity of computations, 1980                                         → (1)
    A. Lavin and S. Gray, Fast algorithms for convolutional neural networks, 2015, equation 9: both axes → (1)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...errors import ShapeError
from ...ops.check import check_gradient
from ...ops.conv import check_conv2d
from ...ops.implementations import Implementation
from ...ops.window import Placement, Window
from ...typing import Cache, NDArray
from .. import batch_last as orders
from .. import rows, winograd
from ..batch_last import batch_first, batch_last, chunks
from ..lowering import Block
from ..memory import empty
from ..threads import PARTS, parallel
from ..winograd import POINTS, TILE
from . import conv_tiles
from .loop import NAME, contiguous, refuses_numbers
from .winograd_loops import add_gradients, correlate, kernel_gradients, transform_kernels

FEWEST_IMAGES = 8
RUN = 128  # images that are transformed together
TOGETHER = 64  # images of tiles next to each other, of which there are several if images are few
SHARE = 1e7  # multiplications of a unit of work, at least
CHANNELS = 64  # of a part of dw, at least
MOST_WORK = 0.5  # multiplications, of those without the algorithm


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1, **epilogue: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    reason = refuses_numbers(x)
    if reason is None and x.ndim == 4 and len(x) < FEWEST_IMAGES:
        reason = f"there are fewer than {FEWEST_IMAGES} images"
    reason = reason or winograd.refuses_kernel(x, w, window, groups)
    if reason is not None:
        return reason
    if window.kernel != (3, 3):
        return "the kernel is not 3×3"
    if _stays(x) and conv_tiles.fits(w):
        return f"there are fewer than {orders.COMPILED_BATCH} images with the channels last in memory"
    try:
        oh, ow = window.place(*x.shape[1:3]).out
    except ShapeError:
        return "the images are smaller than the kernel"
    if -(-oh // TILE) * -(-ow // TILE) * POINTS**2 > MOST_WORK * 9 * oh * ow:
        return f"{oh}×{ow} positions of output fill the tiles badly"
    return None


def forward(
    x: NDArray, w: NDArray, b: NDArray | None = None, *, window: Window, groups: int = 1
) -> tuple[NDArray, Cache]:
    """`conv2d_forward`, tile by tile."""
    _, place = check_conv2d(x, w, b, window, groups)
    stays = _stays(x)
    images = contiguous(batch_last(x))  # (H, W, C, N)
    y = _ordered(_correlate(images, w, b, place), stays)
    return y, (x if stays else batch_first(images), w, b is not None, place)


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
    """`conv2d_inference`, tile by tile."""
    _, place = check_conv2d(x, w, b, window, groups, scale)
    filters = w if scale is None else w * scale[:, None, None, None]
    return _ordered(_correlate(contiguous(batch_last(x)), filters, b, place, relu), _stays(x))


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, tile by tile."""
    x, w, has_bias, place = cache
    check_gradient("Conv2d", dy, (len(x), *place.out, w.shape[0]), w)
    stays, x, dy = _stays(x), contiguous(batch_last(x)), contiguous(batch_last(dy))  # (H, W, C, N), (OH, OW, F, N)
    dx = dw = db = None
    if weight_grad:
        dw, db = _weight_gradients(x, dy, w.shape, place)
    if input_grad:
        flipped = place.flipped
        if flipped is None:
            dx = _ordered(rows.input_gradient(dy, w, x.shape, place), stays)  # (4)
        else:
            dx = _ordered(_correlate(dy, w, None, flipped, turned=True), stays)  # (4)
    return dx, dw, db if has_bias else None


def _stays(x: NDArray) -> bool:
    """Whether these images stay in the usual order of memory, in which a small network has them."""
    return len(x) < orders.COMPILED_BATCH and not orders.is_batch_last(x)


def _ordered(y: NDArray, stays: bool) -> NDArray:
    """(H, W, C, N) → (N, H, W, C), copied to the usual order of memory if the images stay in it."""
    return contiguous(batch_first(y)) if stays else batch_first(y)


class Scratch(NamedTuple):
    """A thread's memory for the transforms of a block."""

    z: NDArray  # along one axis, of one channel
    v: NDArray  # of all channels; one more, so that the 36 points have different places in the processor's cache
    m: NDArray  # of all filters
    spare: NDArray  # where rows beyond the output go
    tiles: int  # next to each other

    @classmethod
    def of(cls, block: Block, channels: int, filters: int, dtype: Any) -> Scratch:
        n = block.images.stop - block.images.start
        tiles = tiles_together(n)
        points = POINTS**2
        return cls(
            empty((POINTS, TILE, (tiles + 1) * n), dtype),
            empty((points, channels + 1, tiles * n), dtype),
            empty((points, filters + 1, tiles * n), dtype),
            empty((TILE - 1, n), dtype),
            tiles,
        )


def _correlate(
    x: NDArray, w: NDArray, b: NDArray | None, place: Placement, relu: bool = False, turned: bool = False
) -> NDArray:
    """(1): (H, W, C, N) → (OH, OW, F, N); `turned`, (4): (OH, OW, F, N) → (H, W, C, N)."""
    n, (top, _, left, _) = x.shape[-1], place.pads
    f, c = (w.shape[3], w.shape[0]) if turned else (w.shape[0], w.shape[3])
    y, u = empty((*place.out, f, n), x.dtype), _transformed_kernels(w, turned)
    bias, zeros = np.zeros(f, x.dtype) if b is None else contiguous(b), np.zeros(n, x.dtype)

    def work(block: Block) -> None:
        z, v, m, spare, tiles = Scratch.of(block, c, f, x.dtype)
        correlate(x, u, turned, bias, relu, zeros, top, left, tiles, *_bounds(block), z, v, m, spare, y)

    parallel(work, _blocks(place, n, f * c), _cost(y, w))
    return y


def _weight_gradients(x: NDArray, dy: NDArray, shape: tuple[int, ...], place: Placement) -> tuple[NDArray, NDArray]:
    """(2) and (3). Each of at most `PARTS` units has some channels of dw, and every k-th of the blocks."""
    f, c, (n, (top, _, left, _)) = shape[0], shape[3], (x.shape[-1], place.pads)
    blocks = _blocks(place, n, f * c)
    channels = chunks(c, max(CHANNELS, -(-c // PARTS)))
    parts = min(len(blocks), PARTS // len(channels))
    totals = [np.zeros((parts, POINTS**2, f, at.stop - at.start), x.dtype) for at in channels]
    db, zeros, dw = np.zeros((len(channels), parts, f)), np.zeros(n, x.dtype), empty(shape, x.dtype)

    def work(unit: tuple[int, int]) -> None:
        group, part = unit
        total = totals[group][part]
        for block in blocks[part::parts]:
            z, v, m, _, tiles = Scratch.of(block, total.shape[-1], f, x.dtype)
            add_gradients(
                x, dy, zeros, top, left, tiles, channels[group].start, *_bounds(block), z, v, m, total, db[unit]
            )

    parallel(work, [(group, part) for part in range(parts) for group in range(len(channels))], _cost(dy, dw))

    def finish(unit: tuple[slice, int]) -> None:
        filters, group = unit
        total, at = totals[group], channels[group]
        t, z = np.empty((POINTS, POINTS, total.shape[-1]), x.dtype), np.empty((POINTS, 3, total.shape[-1]), x.dtype)
        kernel_gradients(total, at.start, filters.start, filters.stop, t, z, dw)

    units = [(filters, group) for filters in chunks(f, CHANNELS) for group in range(len(channels))]
    parallel(finish, units, 2 * POINTS**2 * parts * f * c)
    return dw, db[0].sum(axis=0).astype(x.dtype)


def _transformed_kernels(w: NDArray, turned: bool) -> NDArray:
    """G g Gᵀ of (1), (36, F, C)."""
    f, _, _, c = w.shape
    w, u = contiguous(w), empty((POINTS**2, f, c), w.dtype)

    def work(filters: slice) -> None:
        transform_kernels(w, turned, filters.start, filters.stop, np.empty((POINTS, 3, c), w.dtype), u)

    parallel(work, chunks(f, CHANNELS), 2 * u.size)
    return u


def _blocks(place: Placement, n: int, pairs: int) -> list[Block]:
    """Some tiles next to each other, and some of n images; `pairs` of channels and filters."""
    oh, ow = place.out
    found = []
    for images in chunks(n, RUN):
        tiles = tiles_together(images.stop - images.start)
        together = pairs * POINTS**2 * tiles * (images.stop - images.start)
        step = TILE * tiles * max(1, round(SHARE / together))
        found += [
            Block(slice(i, min(i + TILE, oh)), slice(j, min(j + step, ow)), images)
            for i in range(0, oh, TILE)
            for j in range(0, ow, step)
        ]
    return found


def tiles_together(images: int) -> int:
    """Tiles next to each other that are transformed together."""
    return max(1, TOGETHER // images)


def _bounds(block: Block) -> tuple[int, ...]:
    return block.rows.start, block.columns.start, block.columns.stop, block.images.start, block.images.stop


def _cost(y: NDArray, w: NDArray) -> float:
    return 0.6 * y.size * float(w[0].size)


IMPLEMENTATION = Implementation(NAME, refuses, forward, backward)
INFERENCE = Implementation(NAME, refuses, inference, None)
