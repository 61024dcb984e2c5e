"""Convolution on NumPy with three rows of taps, stride 1, in half the multiplications or fewer (Winograd's algorithm).

Idea. Four outputs y₀…y₃ of three taps g₀ g₁ g₂ over six inputs d₀…d₅ take twelve multiplications. As polynomials,
multiplied in five points and at infinity, they take six:

    y = Aᵀ [(G g) ⊙ (Bᵀ d)]                             (1)

with small numbers in Bᵀ, G and Aᵀ. With the batch last in memory (see `batch_last`), d₀…d₅ are whole rows of images,
and Bᵀ d is one product with a 6×6 matrix. So (1) is always used along the height. There ⊙ multiplies and adds over
channels and over the KW columns that the kernel reads, which are one run: six products (F, KW·C) @ (KW·C, N) for four
rows at each column. With `WIDE` channels or more, y and dx use (1) along the width, too: 36 products (F, C) @ (C, N)
for each 4×4 positions. With fewer channels, or for dw, the second pair of transforms costs more than it saves.

The gradients follow from (1) as a linear map of d or of g. They have the equation numbers of `xpcnn.ops.conv`:

    dg = Gᵀ [(A dy) ⊙ (Bᵀ d)]                           (2)
    db = Σ dy                                           (3)
    dd = (1) of dy and the kernel rotated by 180°       (4)

Rounding errors are larger: in float32 about 3·10⁻⁶ of the largest output, 10⁻⁵ with both axes. An infinity or NaN
spreads over the rows or positions of its tile.

Measured, forward and backward, 2 threads, float32: 16 → 16 channels on (128, 32, 32), 6.4 ms (`rows` 8.6, reference
33.8); 64 → 64 on (64, 32, 32), 29 ms (47, 117).

Sources
    S. Winograd, Arithmetic complexity of computations, 1980                                         → (1)
    A. Lavin and S. Gray, Fast algorithms for convolutional neural networks, 2015: Bᵀ, G, Aᵀ of F(4×4, 3×3)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..ops.check import check_gradient
from ..ops.conv import check_conv2d
from ..ops.implementations import Implementation
from ..ops.window import Placement, Window
from ..typing import Cache, NDArray
from . import rows
from .batch_last import batch_first, batch_last, chunks, refuses_batch
from .lowering import Block, inside
from .memory import empty
from .threads import one_blas_thread, parallel, reduce_units

TILE, POINTS = 4, 6  # rows of output; points, and rows of input
WORKSPACE = 2 << 20  # bytes of Bᵀd for each thread (at least one tile)
WIDE = 48  # channels
FEWEST_CHANNELS = 8
LEAST_SAVING = 0.25  # of the multiplications along the height, to pay for the transforms

B_T = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
A_T = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1, **epilogue: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    reason = refuses_batch(x, one=False) or refuses_kernel(x, w, window, groups)
    if reason is not None:
        return reason
    height = x.shape[1] + sum(window.place(3, window.kernel[1]).pads[:2]) - 2  # "same" pads all heights equally
    if -(-height // TILE) * POINTS > (1 - LEAST_SAVING) * 3 * height:
        return f"{height} rows of output fill the tiles badly"
    return None


def refuses_kernel(x: Any, w: Any, window: Window, groups: int) -> str | None:
    """The reason why the algorithm does not apply to such a kernel, or None."""
    if groups != 1:
        return "the convolution is grouped"
    if x.ndim != 4 or w.ndim != 4:
        return "the arrays are not those of a convolution"
    if window.kernel[0] != 3 or window.stride != (1, 1) or window.dilation != (1, 1):
        return "the kernel has not three rows next to each other, or the stride is not 1"
    if min(w.shape[0], w.shape[3]) < FEWEST_CHANNELS:
        return f"there are fewer than {FEWEST_CHANNELS} channels"
    return None


def forward(
    x: NDArray, w: NDArray, b: NDArray | None = None, *, window: Window, groups: int = 1
) -> tuple[NDArray, Cache]:
    """`conv2d_forward`, four rows at a time."""
    _, place = check_conv2d(x, w, b, window, groups)
    x = batch_last(x)  # (H, W, C, N)
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
    """`conv2d_inference`, four rows at a time."""
    _, place = check_conv2d(x, w, b, window, groups, scale)
    filters = w if scale is None else w * scale[:, None, None, None]
    return batch_first(_correlate(batch_last(x), filters, b, place, relu))


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, four rows at a time."""
    x, w, _, place = cache
    check_gradient("Conv2d", dy, (x.shape[-1], *place.out, w.shape[0]), w)
    dy = batch_last(dy)  # (OH, OW, F, N)
    dw, db = _weight_gradients(dy, cache) if weight_grad else (None, None)
    dx = None
    if input_grad:
        flipped = place.flipped
        if flipped is None:
            dx = batch_first(rows.input_gradient(dy, w, x.shape, place))  # (4)
        else:
            turned = w[:, ::-1, ::-1, :].transpose(3, 1, 2, 0)  # (C, KH, KW, F)
            dx = batch_first(_correlate(dy, turned, None, flipped))  # (4)
    return dx, dw, db


def _weight_gradients(dy: NDArray, cache: Cache) -> tuple[NDArray, NDArray | None]:
    """dw, and db or None."""
    x, w, has_bias, place = cache
    f, _, kw, c = w.shape
    a = np.ascontiguousarray(A_T.T.astype(dy.dtype))

    def add(total: NDArray, block: Block) -> None:
        given = dy[block.rows, block.columns, :, block.images]  # (i, j, F, n)
        m = _along(a[:, : len(given)], given, empty((POINTS, *given.shape[1:]), dy.dtype), 0)  # (6, j, F, n)  (2)
        v = _transformed_input(x, place, block, False)  # (6, 1, j, (v,c), n)
        total[:, :-1] += rows.products(v, m[:, None])  # (6, (v,c), F)                            (2)
        if has_bias:
            total[0, -1] += rows.bias_gradient(given)  # (F,)                                     (3)

    total = reduce_units(add, (POINTS, kw * c + 1, f), x.dtype, _blocks(x, place, False), _cost(dy, w))
    with one_blas_thread:
        dw = np.tensordot(G.astype(w.dtype), total[:, :-1], (0, 0))  # (KH, (v,c), F)             (2)
    dw = np.ascontiguousarray(dw.reshape(3, kw, c, f).transpose(3, 0, 1, 2))
    return dw, total[0, -1].copy() if has_bias else None


def _correlate(x: NDArray, w: NDArray, b: NDArray | None, place: Placement, relu: bool = False) -> NDArray:
    """(1): (H, W, C, N) → (OH, OW, F, N)."""
    n, f = x.shape[-1], w.shape[0]
    y = empty((*place.out, f, n), x.dtype)
    wide = _wide(w)
    u = _transformed_kernel(w, wide)  # (6, 1, [6,] F, (v,c))
    a_t = A_T.astype(x.dtype)
    finish = rows.epilogue_of(b, f, n, x.dtype, relu)

    def work(block: Block) -> None:
        v = _transformed_input(x, place, block, wide)
        if wide:
            v = v[:, :, 0].swapaxes(1, 2)  # (6, t, 6, C, n)
        m = empty((*v.shape[:-2], f, v.shape[-1]), x.dtype)
        np.matmul(u, v, out=m)  # (F, (v,c)) @ ((v,c), n)                                         (1)
        out = y[block.rows, block.columns, :, block.images]  # (i, j, F, n)
        if wide:
            m = _along(a_t, m, empty((POINTS, m.shape[1], TILE, *m.shape[3:]), x.dtype), 2)  # (1)
        m = m.reshape(POINTS, -1, *m.shape[-2:])[:, : out.shape[1]]  # (6, j, F, n)
        _along(a_t[: len(out)], m, out, 0)  # (1)
        finish(out)

    parallel(work, _blocks(x, place, wide), _cost(y, w))
    return y


def _transformed_kernel(w: NDArray, wide: bool) -> NDArray:
    """G g of (1): (6, 1, 1, F, (v,c)), or (6, 1, 6, F, C)."""
    f, _, kw, c = w.shape
    g = G.astype(w.dtype)
    with one_blas_thread:
        u = np.tensordot(g, w, (1, 1))  # (6, F, KW, C)
        if wide:
            u = np.tensordot(g, u, (1, 2)).swapaxes(0, 1)  # (6, 6, F, C)
    return np.ascontiguousarray(u).reshape((POINTS, 1, POINTS, f, c) if wide else (POINTS, 1, 1, f, kw * c))


def _transformed_input(x: NDArray, place: Placement, block: Block, wide: bool) -> NDArray:
    """Bᵀd of (1), position by position: (6, 1, j, (v,c), n), or tile by tile: (6, 6, 1, t, C, n)."""
    height, width, c, _ = x.shape
    kw = place.window.kernel[1]
    top, _, left, _ = place.pads
    count, n = block.columns.stop - block.columns.start, block.images.stop - block.images.start
    tiles = -(-count // TILE)
    v = empty((POINTS, (tiles * TILE if wide else count) + kw - 1, c, n), x.dtype)  # (6, q, C, n)
    start, first = block.rows.start - top, block.columns.start - left
    inside_h, h = inside(start, 1, POINTS, height)
    inside_w, q = inside(first, 1, v.shape[1], width)
    v[:, : inside_w.start] = 0
    v[:, inside_w.stop :] = 0
    b_t = B_T.astype(x.dtype)
    _along(b_t[:, inside_h], x[h, q, :, block.images], v[:, inside_w], 0)  # (1)
    s_p, s_q, s_c, s_n = v.strides
    if not wide:
        return as_strided(v, (POINTS, 1, count, kw * c, n), (s_p, 0, s_q, s_c, s_n), writeable=False)
    overlapping = as_strided(v, (POINTS, tiles, POINTS, c, n), (s_p, TILE * s_q, s_q, s_c, s_n), writeable=False)
    v = _along(b_t, overlapping, empty(overlapping.shape, x.dtype), 2)  # (6, t, 6, C, n)           (1)
    return v.transpose(0, 2, 1, 3, 4)[:, :, None]


def _along(matrix: NDArray, x: NDArray, out: NDArray, axis: int) -> NDArray:
    """out = matrix @ x along an axis of x (…, q, c, n), whose last axis, or last two, are one run."""
    if x.strides[-2] == x.shape[-1] * x.itemsize and out.strides[-2] == out.shape[-1] * out.itemsize:
        x, target = (a.reshape(*a.shape[:-2], a.shape[-2] * a.shape[-1]) for a in (x, out))  # products of longer runs
    else:
        target = out
    np.matmul(matrix, np.moveaxis(x, axis, -2), out=np.moveaxis(target, axis, -2))
    return out


def _wide(w: NDArray) -> bool:
    """True if (1) pays along the width."""
    f, _, kw, c = w.shape
    return bool(kw == 3 and min(f, c) >= WIDE)


def _blocks(x: NDArray, place: Placement, wide: bool) -> list[Block]:
    _, _, c, n = x.shape
    oh, ow = place.out
    column = POINTS * c * min(n, rows.IMAGES) * x.itemsize * (POINTS / TILE if wide else 1)
    tiles = max(1, int(WORKSPACE / (TILE * column)))
    return [
        Block(slice(i, min(i + TILE, oh)), slice(j, min(j + tiles * TILE, ow)), images)
        for images in chunks(n, rows.IMAGES)
        for i in range(0, oh, TILE)
        for j in range(0, ow, tiles * TILE)
    ]


def _cost(y: NDArray, w: NDArray) -> float:
    return y.size * float(w[0].size)


IMPLEMENTATION = Implementation("winograd", refuses, forward, backward)
INFERENCE = Implementation("winograd", refuses, inference, None)
