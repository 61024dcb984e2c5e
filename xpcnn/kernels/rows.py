"""Convolution on NumPy with the batch last in memory, some rows of output at a time.

Idea. With x stored as (H, W, C, N) (see `batch_last`), the KW columns that the kernel reads in one image row are one
run of memory. Its KH rows are not, so they are copied next to each other, once per row of output ("lowered"):

    L[q,(u,c),n]    = x̂[n, i·S + u·D, q, c],           q a padded column
    P[j,(v,u,c),n]  = L[j·S + v,(u,c),n]                a view of L: each position's rows follow those of the one before
    y[i,j]          = W P[j] + b                        (1)
    dw              = Σ_{i,j} dy[i,j] P[j]ᵀ             (2)
    db              = Σ_{i,j,n} dy[i,j,n]               (3)
    dx̂[i·S + u·D]   = Σ_v (W_uᵀ dy[i])[v], shifted by v (4)

with W the kernel as a matrix (F, (v,u,c)), and the equation numbers of `xpcnn.ops.conv`. All products of a block of
rows are one call. Lowering copies each number KH times, not KH·KW times, and makes `WORKSPACE` bytes at a time: wide
rows are divided by columns, large batches by images. If the kernel is dilated, or the stride leaves gaps between its
columns, these are no single run; they are then copied, too. For stride 1, dx is (1) of dy with the kernel rotated by
180°. Else each row of dx collects its own terms, as in (4), so that rows can be computed in parallel.

Measured, forward and backward, 2 threads, float32: LeNet-5's second convolution, 64 images, 1.7 ms (reference 6.1,
im2col 3.4); 16 → 16 channels on (128, 32, 32), 8.6 ms (33.8, 23.0).

Source: M. Cho and D. Brand, MEC: memory-efficient convolution for deep neural network, 2017, which lowers images
one by one; here the batch replaces the width.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from ..ops.check import check_gradient
from ..ops.conv import check_conv2d
from ..ops.implementations import Implementation
from ..ops.window import Placement, Window
from ..typing import Cache, NDArray
from . import few_channels
from .batch_last import batch_first, batch_last, chunks, refuses_array, refuses_batch
from .lowering import Block, grouped, inside, lowering
from .memory import empty
from .threads import parallel, reduce_units

WORKSPACE = 1 << 20  # bytes of L for each thread (at least KW positions): a core's second-level cache
IMAGES = 256  # at most, in one product
BLOCKS = 8  # at least, if there are as many rows and each block
SHARE = 1e7  # has this many multiplications and additions


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1, **epilogue: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    # `im2col` is better for few images, but accepts no groups
    return refuses_batch(x, one=False) if groups == 1 else refuses_array(x)


def forward(
    x: NDArray, w: NDArray, b: NDArray | None = None, *, window: Window, groups: int = 1
) -> tuple[NDArray, Cache]:
    """`conv2d_forward`, row by row."""
    _, place = check_conv2d(x, w, b, window, groups)
    x = batch_last(x)  # (H, W, C, N)
    return batch_first(_correlate(x, w, b, place, groups)), (x, w, b is not None, place, groups)


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
    """`conv2d_inference`, row by row."""
    _, place = check_conv2d(x, w, b, window, groups, scale)
    filters = w if scale is None else w * scale[:, None, None, None]
    return batch_first(_correlate(batch_last(x), filters, b, place, groups, relu))


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, row by row."""
    x, w, has_bias, place, groups = cache
    check_gradient("Conv2d", dy, (x.shape[-1], *place.out, w.shape[0]), w)
    if groups == 1 and few_channels.accepts(dy, w, place):
        dx, dw, db = few_channels.gradients(dy, x, w, place, input_grad, weight_grad)
        return dx, dw, db if has_bias else None
    dy = batch_last(dy)  # (OH, OW, F, N)
    dw, db = _weight_gradients(dy, cache) if weight_grad else (None, None)
    return batch_first(input_gradient(dy, w, x.shape, place, groups)) if input_grad else None, dw, db


def _weight_gradients(dy: NDArray, cache: Cache) -> tuple[NDArray, NDArray | None]:
    """dw, and db or None."""
    x, w, has_bias, place, groups = cache
    k = w[0].size

    def add(total: NDArray, block: Block) -> None:
        patches = lowered(x, place, block, groups)  # (G, i, j, K, n)
        dy_block = grouped(dy[block.rows, block.columns, :, block.images], groups)  # (G, i, j, F/G, n)
        total[:, :k] += products(patches, dy_block)  # (G, K, F/G)                                (2)
        if has_bias:
            total[:, k] += bias_gradient(dy_block)  # (G, F/G)                                    (3)

    cost = 2.0 * dy.size * k
    total = reduce_units(add, (groups, k + 1, w.shape[0] // groups), x.dtype, blocks(x, place, cost), cost)
    return _from_matrix(total[:, :k], w.shape), total[:, k].reshape(-1) if has_bias else None


def input_gradient(dy: NDArray, w: NDArray, shape: tuple[int, ...], place: Placement, groups: int = 1) -> NDArray:
    """(4): dy (OH, OW, F, N) → dx of that shape, (H, W, C, N)."""
    flipped = place.flipped
    if flipped is None:
        return _collect(dy, w, shape, place, groups)
    f, kh, kw, c = w.shape
    turned = w[:, ::-1, ::-1, :].reshape(groups, f // groups, kh, kw, c).transpose(0, 4, 2, 3, 1)
    return _correlate(dy, turned.reshape(groups * c, kh, kw, f // groups), None, flipped, groups)  # (4)


def _correlate(x: NDArray, w: NDArray, b: NDArray | None, place: Placement, groups: int, relu: bool = False) -> NDArray:
    """(1): (H, W, C, N) → (OH, OW, F, N)."""
    f, n = w.shape[0], x.shape[-1]
    y = empty((*place.out, f, n), x.dtype)
    matrix = _matrix(w, groups)[:, None, None]  # (G, 1, 1, F/G, K)
    finish = epilogue_of(b, f, n, x.dtype, relu)

    def work(block: Block) -> None:
        out = y[block.rows, block.columns, :, block.images]  # (i, j, F, n)
        np.matmul(matrix, lowered(x, place, block, groups), out=grouped(out, groups))  # (F/G, K) @ (K, n)  (1)
        finish(out)

    cost = 2.0 * y.size * w[0].size
    parallel(work, blocks(x, place, cost), cost)
    return y


def epilogue_of(b: NDArray | None, f: int, n: int, dtype: Any, relu: bool) -> Callable[[NDArray], None]:
    """A function that completes a block (…, F, n) of W P: it adds the bias of (1), and applies the ReLU."""
    n = min(n, IMAGES)  # as large as a block's last axes, for longer inner loops
    bias = None if b is None else np.repeat(b[:, None], n, axis=1)  # (F, n)
    zeros = np.zeros((f, n), dtype) if relu else None

    def finish(out: NDArray) -> None:
        if bias is not None:
            out += bias[:, : out.shape[-1]]  # (1)
        if zeros is not None:
            np.maximum(out, zeros[:, : out.shape[-1]], out=out)

    return finish


def _collect(dy: NDArray, w: NDArray, shape: tuple[int, ...], place: Placement, groups: int) -> NDArray:
    """(4): compute each row of dx from the rows of dy that read it."""
    height, width, c, n = shape
    (kh, kw), (sh, sw), (dh, dw) = place.window.kernel, place.window.stride, place.window.dilation
    top, _, left, _ = place.pads
    oh, ow = place.out
    dx = empty(shape, dy.dtype)
    by_row = w.reshape(groups, -1, kh, kw * (c // groups)).transpose(2, 0, 3, 1)  # (KH, G, (v,c), F/G)
    by_row = np.ascontiguousarray(by_row)[:, :, None]
    cut = max(1, WORKSPACE // (kw * c * min(n, IMAGES) * dy.itemsize))

    def work(unit: tuple[int, slice]) -> None:
        h, images = unit
        row = dx[h, :, :, images]  # (W, C, n)
        row[...] = 0
        for u in range(kh):
            i, off = divmod(h + top - u * dh, sh)
            if off or not 0 <= i < oh:
                continue
            for j0 in range(0, ow, cut):
                part = grouped(dy[i, j0 : j0 + cut, :, images], groups)  # (G, j, F/G, n)
                taps = np.matmul(by_row[u], part)  # (G, j, (v,c), n)                             (4)
                taps = taps.reshape(*part.shape[:2], kw, c // groups, -1)
                for v in range(kw):
                    within, columns = inside(j0 * sw + v * dw - left, sw, part.shape[1], width)
                    target = grouped(row[columns], groups)
                    target += taps[:, within, v]  # (4)

    parallel(work, [(h, images) for images in chunks(n, IMAGES) for h in range(height)], 2.0 * dy.size * w[0].size)
    return dx


def lowered(x: NDArray, place: Placement, block: Block, groups: int) -> NDArray:
    """P of the block, (G, i, j, K, n): a view of L."""
    copies, patches = lowering(x, place, block, groups, empty)
    for target, source in copies:
        np.copyto(target, source)
    return patches


def products(patches: NDArray, dy: NDArray) -> NDArray:
    """Σ_ij patches[…,i,j] dy[…,i,j]ᵀ for patches (…, i, j, K, n) and dy (…, i, j, F, n): (…, K, F)."""
    (k, n), f = patches.shape[-2:], dy.shape[-2]
    if f * k <= (f + k) * n:  # small: many products, then their sum
        total: NDArray = np.matmul(patches, dy.swapaxes(-1, -2)).sum(axis=(-4, -3))
        return total
    long_patches, long_dy = (np.moveaxis(a, -2, -4).reshape(*a.shape[:-4], a.shape[-2], -1) for a in (patches, dy))
    return long_patches @ long_dy.swapaxes(-1, -2)  # large: one product of copies


def bias_gradient(dy: NDArray) -> NDArray:
    """(3): dy (…, i, j, F, n) → (…, F), for a block, while it is in the processor's cache."""
    db: NDArray = dy.sum(axis=(-4, -3)).sum(axis=-1)  # (3)
    return db


def blocks(x: NDArray, place: Placement, cost: float) -> list[Block]:
    """Cut the output into blocks with at most `WORKSPACE` bytes of L, or KW positions; into several if that pays."""
    _, _, c, n = x.shape
    (kh, kw), (_, sw) = place.window.kernel, place.window.stride
    oh, ow = place.out
    column = kh * c * min(n, IMAGES) * x.itemsize
    halo, step = (kw - sw, sw) if sw < kw and place.window.dilation[1] == 1 else (0, kw)  # columns of L
    cut = max(-(-halo // step), 1, (WORKSPACE // column - halo) // step)  # at least as much inside as edge
    pieces = max(1, min(BLOCKS, int(cost / SHARE)))
    rows = min(-(-oh // pieces), WORKSPACE // (column * (halo + ow * step))) if cut >= ow else 1
    parts = chunks(n, IMAGES), chunks(oh, max(1, rows)), chunks(ow, cut)
    return [Block(i, j, images) for images, i, j in product(*parts)]


def _matrix(w: NDArray, groups: int) -> NDArray:
    """The kernel as W (G, F/G, K), K = (v,u,c)."""
    f = w.shape[0]
    return np.ascontiguousarray(w.transpose(0, 2, 1, 3)).reshape(groups, f // groups, -1)


def _from_matrix(matrix: NDArray, shape: tuple[int, ...]) -> NDArray:
    """dw (F, KH, KW, C/G) from Wᵀ's gradient (G, K, F/G)."""
    f, kh, kw, c = shape
    return np.ascontiguousarray(matrix.transpose(0, 2, 1).reshape(f, kw, kh, c).transpose(0, 2, 1, 3))


IMPLEMENTATION = Implementation("rows", refuses, forward, backward)
INFERENCE = Implementation("rows", refuses, inference, None)
