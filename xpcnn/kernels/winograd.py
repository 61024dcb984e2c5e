"""Convolution on NumPy with three rows of taps and stride 1, in half the multiplications (Winograd's algorithm).

Idea. Along the height, four outputs y₀…y₃ of three taps g₀ g₁ g₂ over six inputs d₀…d₅ take twelve multiplications.
As polynomials in a few points they take six:

    y = Aᵀ [(G g) ⊙ (Bᵀ d)]                             (1)

Bᵀ, G and Aᵀ hold small numbers. With the batch last in memory (see `batch_last`), d₀…d₅ are whole rows of images, so
that Bᵀ d is a few sums of long runs; ⊙ multiplies and adds over channels, and over the KW columns that the kernel
reads, which are one run: six products (F, KW·C) @ (KW·C, N) at each position of four rows. Nothing is lowered.

The gradients are (1) read as a linear map of d or of g, with the number that `xpcnn.ops.conv` gives them:

    dg = Gᵀ [(A dy) ⊙ (Bᵀ d)]                           (2)
    db = Σ dy                                           (3)
    dd = (1) of dy and the kernel turned by 180°        (4)

Rounding errors are about three times those of a plain sum, in float32 about 3·10⁻⁶ of the largest output. An infinity
or NaN spreads to the other rows of its tile.

Sources
    S. Winograd, Arithmetic complexity of computations, 1980: F(4, 3)                                → (1)
    A. Lavin and S. Gray, Fast algorithms for convolutional neural networks, 2015: Bᵀ, G, Aᵀ; in two dimensions, where
    the sums of the transforms outweigh on a CPU what they save
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..ops.check import check_floats, check_gradient
from ..ops.conv import check_conv2d
from ..ops.dispatch import Implementation
from ..ops.window import Placement, Window
from ..typing import Cache
from . import rows
from .batch_last import Host, batch_first, batch_last, refuses_batch, spans
from .memory import empty
from .threads import one_blas_thread, parallel, reduce_units

TILE, POINTS = 4, 6
WORKSPACE = 2 << 20  # bytes of Bᵀd for each thread, or four columns: wider blocks repeat less at their edges
FEWEST_COLUMNS = 4
FEWEST_CHANNELS = 8
LEAST_SAVING = 0.25  # of the multiplications, which the sums of the transforms have to be paid with

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


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1) -> str | None:
    """Why this implementation does not take the call, or None."""
    reason = refuses_batch(x, one=False)
    if reason is not None:
        return reason
    if groups != 1:
        return "the convolution is grouped"
    if x.ndim != 4 or w.ndim != 4:
        return "the arrays are not those of a convolution"
    if window.kernel[0] != 3 or window.stride != (1, 1) or window.dilation != (1, 1):
        return "the kernel has not three rows next to each other, or the stride is not 1"
    if min(w.shape[0], w.shape[3]) < FEWEST_CHANNELS:
        return f"there are fewer than {FEWEST_CHANNELS} channels"
    height = x.shape[1] + sum(window.place(3, window.kernel[1]).pads[:2]) - 2  # "same" pads all heights alike
    if -(-height // TILE) * POINTS > (1 - LEAST_SAVING) * 3 * height:
        return f"{height} rows of output fill the tiles badly"
    return None


def forward(x: Host, w: Host, b: Host | None = None, *, window: Window, groups: int = 1) -> tuple[Host, Cache]:
    """`conv2d_forward`, four rows at a time."""
    _, place = check_conv2d(x, w, b, window, groups)
    x = batch_last(x)  # (H, W, C, N)
    return batch_first(_correlate(x, w, b, place)), (x, w, b is not None, place)


def backward(dy: Host, cache: Cache, *, input_grad: bool = True) -> tuple[Host | None, Host, Host | None]:
    """`conv2d_backward`, four rows at a time."""
    x, w, has_bias, place = cache
    check_floats("Conv2d backward", dy, w)
    check_gradient("Conv2d", dy, (x.shape[-1], *place.out, w.shape[0]))
    dy = batch_last(dy)  # (OH, OW, F, N)
    f, _, kw, c = w.shape

    def add(total: Host, block: rows.Block) -> None:
        tile = [dy[i, block.columns, :, block.images] for i in range(block.rows.start, block.rows.stop)]
        total += rows.products(_patches(x, place, block), _spread(tile))  # (6, (v,c), F)           (2)

    total = reduce_units(add, (POINTS, kw * c, f), x.dtype, _blocks(x, place), _cost(dy, w))
    with one_blas_thread:
        dw = np.tensordot(G.astype(w.dtype), total.reshape(POINTS, kw, c, f), (0, 0))  # (KH, KW, C, F)  (2)
    db = rows.bias_gradient(dy) if has_bias else None  # (3)
    dx = None
    if input_grad:
        turned = w[:, ::-1, ::-1, :].transpose(3, 1, 2, 0)  # (C, KH, KW, F)
        flipped = place.flipped()
        dx = rows.input_gradient(dy, w, x.shape, place) if flipped is None else _correlate(dy, turned, None, flipped)
    return None if dx is None else batch_first(dx), np.ascontiguousarray(dw.transpose(3, 0, 1, 2)), db  # (4)


def _correlate(x: Host, w: Host, b: Host | None, place: Placement) -> Host:
    """(1): (H, W, C, N) → (OH, OW, F, N)."""
    f, _, kw, c = w.shape
    n = x.shape[-1]
    y = empty((*place.out, f, n), x.dtype)
    with one_blas_thread:
        points = np.tensordot(G.astype(w.dtype), w, (1, 1)).reshape(POINTS, 1, 1, f, kw * c)  # (1)
    bias = None if b is None else np.repeat(b[:, None], min(n, rows.IMAGES), axis=1)  # (F, n)

    def work(block: rows.Block) -> None:
        patches = _patches(x, place, block)  # (6, 1, j, (v,c), n)
        products = empty((*patches.shape[:3], f, patches.shape[-1]), x.dtype)  # (6, 1, j, F, n)
        np.matmul(points, patches, out=products)  # (F, (v,c)) @ ((v,c), n)                         (1)
        out = [y[i, block.columns, :, block.images] for i in range(block.rows.start, block.rows.stop)]
        _gather(products[:, 0], out)
        if bias is not None:
            for row in out:
                row += bias[:, : row.shape[-1]]

    parallel(work, _blocks(x, place), _cost(y, w))
    return y


def _patches(x: Host, place: Placement, block: rows.Block) -> Host:
    """Bᵀd of (1) for a tile of rows, seen position by position: (6, 1, j, (v,c), n)."""
    height, width, c, _ = x.shape
    kw = place.window.kernel[1]
    top, _, left, _ = place.pads
    count, n = block.columns.stop - block.columns.start, block.images.stop - block.images.start
    first = block.columns.start - left
    before, after = max(0, -first), max(0, first + count + kw - 1 - width)  # columns of padding
    transformed = empty((POINTS, count + kw - 1, c, n), x.dtype)
    transformed[:, :before] = 0
    transformed[:, len(transformed[0]) - after :] = 0
    inner = transformed[:, before : len(transformed[0]) - after]
    if inner.size:
        columns = slice(first + before, first + before + inner.shape[1])
        zero = np.zeros(inner.shape[1:], x.dtype)
        start = block.rows.start - top
        d = [x[h, columns, :, block.images] if 0 <= h < height else zero for h in range(start, start + POINTS)]
        _scatter(d, inner)
    s_p, s_q, s_c, s_n = transformed.strides
    return as_strided(transformed, (POINTS, 1, count, kw * c, n), (s_p, 0, s_q, s_c, s_n), writeable=False)


def _scatter(d: list[Host], v: Host) -> None:
    """v = Bᵀd: six rows → six points, (1)."""
    even, odd = np.multiply(d[2], -4), np.multiply(d[1], -4)
    even += d[4]
    odd += d[3]
    np.add(even, odd, out=v[1])  # −4d₁ − 4d₂ + d₃ + d₄
    np.subtract(even, odd, out=v[2])  # 4d₁ − 4d₂ − d₃ + d₄
    np.subtract(d[4], d[2], out=even)
    np.subtract(d[3], d[1], out=odd)
    odd *= 2
    np.add(even, odd, out=v[3])  # −2d₁ − d₂ + 2d₃ + d₄
    np.subtract(even, odd, out=v[4])  # 2d₁ − d₂ − 2d₃ + d₄
    np.subtract(d[0], d[2], out=v[0])
    v[0] *= 4
    v[0] += even  # 4d₀ − 5d₂ + d₄
    np.subtract(d[5], d[3], out=v[5])
    odd *= 2
    v[5] -= odd  # 4d₁ − 5d₃ + d₅


def _gather(m: Host, y: list[Host]) -> None:
    """y = Aᵀm: six points → four rows, or as many as there are, (1). Overwrites m."""
    even, odd = m[1] + m[2], np.subtract(m[1], m[2], out=m[1])
    even2, odd2 = m[3] + m[4], np.subtract(m[3], m[4], out=m[3])
    np.add(m[0], even, out=y[0])
    y[0] += even2  # m₀ + m₁ + m₂ + m₃ + m₄
    if len(y) > 1:
        odd2 *= 2
        np.add(odd, odd2, out=y[1])  # m₁ − m₂ + 2m₃ − 2m₄
    if len(y) > 2:
        even2 *= 4
        np.add(even, even2, out=y[2])  # m₁ + m₂ + 4m₃ + 4m₄
    if len(y) > 3:
        odd2 *= 4
        np.add(odd, odd2, out=y[3])
        y[3] += m[5]  # m₁ − m₂ + 8m₃ − 8m₄ + m₅


def _spread(dy: list[Host]) -> Host:
    """A dy of (2): four rows (j, F, n), missing ones zero, → six points (6, 1, j, F, n)."""
    m = empty((POINTS, *dy[0].shape), dy[0].dtype)
    d = dy + [np.zeros_like(dy[0])] * (TILE - len(dy))
    m[0] = d[0]
    even, odd = d[0] + d[2], d[1] + d[3]
    np.add(even, odd, out=m[1])
    np.subtract(even, odd, out=m[2])
    np.multiply(d[2], 4, out=even)
    even += d[0]
    np.multiply(d[3], 4, out=odd)
    odd += d[1]
    odd *= 2
    np.add(even, odd, out=m[3])  # dy₀ + 2dy₁ + 4dy₂ + 8dy₃
    np.subtract(even, odd, out=m[4])
    m[5] = d[3]
    return m[:, None]


def _blocks(x: Host, place: Placement) -> list[rows.Block]:
    _, _, c, n = x.shape
    oh, ow = place.out
    columns = WORKSPACE // (POINTS * c * min(n, rows.IMAGES) * x.itemsize) - place.window.kernel[1] + 1
    cut = min(ow, max(columns, FEWEST_COLUMNS))
    return [
        rows.Block(slice(i, min(i + TILE, oh)), columns, images)
        for images in spans(n, rows.IMAGES)
        for i in range(0, oh, TILE)
        for columns in spans(ow, cut)
    ]


def _cost(y: Host, w: Host) -> float:
    return y.size * float(w[0].size)


IMPLEMENTATION = Implementation("winograd", refuses, forward, backward)
