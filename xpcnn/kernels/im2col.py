"""Convolution on NumPy as one matrix product per block of output positions ("im2col").

Idea. All numbers that the kernel reads at one output position are copied into one row. The sums of
`xpcnn.ops.conv`, whose equation numbers are used here, then become large products, which BLAS does well:

    cols[t, (u,v,c)] = x̂[n, i·S + u·D, j·S + v·D, c],  t = (n,i,j)
    y     = cols wᵀ + b                                                    (1)
    dw    = dyᵀ cols                                                       (2)
    db    = Σ_t dy[t]                                                      (3)
    dcols = dy w,  each added to the element of dx̂ that it belongs to      (4)

The rows are KH·KW times as large as the input. So they are made one block at a time, of at most `WORKSPACE` bytes (or
one row of output or `POSITIONS` positions, if that is more), and made again in backward. A block is a few whole images,
or some rows of output of one image. Threads share the blocks, or the filters if there is only one block; in (2) always
the filters, so that the order of the sum is fixed. With one channel, only KW numbers could be copied at once; then cols
is stored transposed, with the taps outermost, and the runs are image rows. For stride 1, dx is computed in the same way
from dy and the kernel rotated by 180°: copying rows out is faster than adding them in.

This is for few images. With more images, `rows` and `winograd` copy less.
Measured, inference with ReLU, 2 threads, float32: 64 → 64 channels on one image of 32 × 32, 0.97 ms (reference 1.49,
`rows` 1.83).

Source: K. Chellapilla, S. Puri and P. Simard, High performance convolutional neural networks for document
processing, 2006.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..ops.check import check_gradient
from ..ops.conv import check_conv2d
from ..ops.implementations import Implementation
from ..ops.window import Placement, Window
from ..typing import Cache, NDArray
from .batch_last import chunks
from .memory import empty
from .threads import one_blas_thread, parallel

WORKSPACE = 1 << 20  # bytes of cols for each thread: a core's second-level cache
BLOCKS = 4  # most pieces made only to share work among threads; each has at least
SHARE = 3.5e7  # this many multiplications and additions (half the cost for which a thread is woken),
POSITIONS = 128  # this many output positions,
FILTERS = 32  # and this many filters


class Block(NamedTuple):
    """Some whole images, or some rows of output of one image."""

    images: slice
    rows: slice


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1, **epilogue: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    if not isinstance(x, np.ndarray):
        return "the arrays are not NumPy's"
    if groups != 1:
        return "the convolution is grouped"
    return None


def forward(
    x: NDArray, w: NDArray, b: NDArray | None = None, *, window: Window, groups: int = 1
) -> tuple[NDArray, Cache]:
    """`conv2d_forward`, in blocks."""
    _, place = check_conv2d(x, w, b, window, groups)
    return _correlate(x, w, b, place), (x, w, b is not None, place)


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
    """`conv2d_inference`, in blocks."""
    _, place = check_conv2d(x, w, b, window, groups, scale)
    return _correlate(x, w, b, place, scale, relu)


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, in blocks."""
    x, w, _, place = cache
    check_gradient("Conv2d", dy, (x.shape[0], *place.out, w.shape[0]), w)
    dw, db = _weight_gradients(dy, cache) if weight_grad else (None, None)
    return _correlate_dx(dy, w, x.shape, place) if input_grad else None, dw, db


def _weight_gradients(dy: NDArray, cache: Cache) -> tuple[NDArray, NDArray | None]:
    """dw, and db or None."""
    x, w, has_bias, place = cache
    cout = w.shape[0]
    padded: Any = place.pad(x, np)  # (N, PH, PW, C)
    blocks = _blocks(x.shape, w, place)
    dw = np.zeros((cout, w[0].size), w.dtype)  # (F, K)

    def work(filters: slice) -> None:
        for block in blocks:
            share = dy[(*block, slice(None), filters)]  # (n, i, OW, f)
            dw[filters] += share.reshape(-1, share.shape[-1]).T @ _cols(padded, place, block)  # (f, T) @ (T, K)  (2)

    parallel(work, _shares(cout, BLOCKS), 2.0 * dy.size * w[0].size)
    with one_blas_thread:
        db = np.ones(dy.size // cout, dy.dtype) @ dy.reshape(-1, cout) if has_bias else None  # (F,)  (3)
    return dw.reshape(w.shape), db


def _correlate(
    x: NDArray, w: NDArray, b: NDArray | None, place: Placement, scale: NDArray | None = None, relu: bool = False
) -> NDArray:
    """(1): (N, H, W, C) → (N, OH, OW, F)."""
    cout = w.shape[0]
    y = empty((x.shape[0], *place.out, cout), x.dtype)
    if scale is not None and w.size < y.size:  # scale the smaller array
        w, scale = w * scale[:, None, None, None], None
    matrix = w.reshape(cout, -1).T  # (K, F)
    padded: Any = place.pad(x, np)  # (N, PH, PW, C)
    zeros = np.zeros(cout, x.dtype)

    def multiply(block: Block, filters: slice, cols: NDArray) -> None:
        out = y[block].reshape(-1, cout)[:, filters]  # (T, f), a view, as a block's rows are contiguous
        np.matmul(cols, matrix[:, filters], out=out)  # (T, K) @ (K, f)                            (1)
        if scale is not None:
            out *= scale[filters]
        if b is not None:
            out += b[filters]  # (1)
        if relu:
            np.maximum(out, zeros[filters], out=out)

    blocks, cost = _blocks(x.shape, w, place), 2.0 * y.size * w[0].size
    if len(blocks) == 1:
        cols, shares = _cols(padded, place, blocks[0]), _shares(cout, min(BLOCKS, int(cost / SHARE)))
        parallel(lambda filters: multiply(blocks[0], filters, cols), shares, cost)
    else:
        parallel(lambda block: multiply(block, slice(cout), _cols(padded, place, block)), blocks, cost)
    return y


def _correlate_dx(dy: NDArray, w: NDArray, shape: tuple[int, ...], place: Placement) -> NDArray:
    """(4): dy (N, OH, OW, F) → dx of that shape, (N, H, W, C)."""
    flipped = place.flipped
    if flipped is not None:
        turned = np.ascontiguousarray(w[:, ::-1, ::-1, :].transpose(3, 1, 2, 0))  # (C, KH, KW, F)
        return _correlate(dy, turned, None, flipped)  # (4)
    cout = w.shape[0]
    dx = empty(shape, dy.dtype)
    n, c = shape[0], shape[3]
    images = max(1, WORKSPACE // (place.out[0] * place.out[1] * place.window.taps * c * dy.itemsize))

    def work(block: slice) -> None:
        rows = dy[block]
        dcols = (rows.reshape(-1, cout) @ w.reshape(cout, -1)).reshape(*rows.shape[:3], -1, c)  # (n, OH, OW, taps, C)
        taps = (dcols[:, :, :, tap, :] for tap in range(place.window.taps))
        dx[block] = place.fold(taps, (len(rows), *shape[1:]), np)  # (4)

    parallel(work, chunks(n, images), 2.0 * dy.size * w[0].size)
    return dx


def _blocks(shape: tuple[int, ...], w: NDArray, place: Placement) -> list[Block]:
    """Blocks of whole images if they are small, else of rows of one image."""
    n, (oh, ow) = shape[0], place.out
    pieces = max(1, min(BLOCKS, int(2.0 * n * oh * ow * w.size / SHARE)))
    rows = min(-(-n * oh // pieces), WORKSPACE // (ow * w[0].size * w.itemsize))
    rows = max(1, rows, min(POSITIONS // ow, n * oh))
    if rows < oh:
        return [Block(slice(i, i + 1), part) for i in range(n) for part in chunks(oh, rows)]
    return [Block(images, slice(0, oh)) for images in chunks(n, rows // oh)]


def _shares(filters: int, count: int) -> list[slice]:
    """Divide all filters into `count` slices, or fewer, of at least `FILTERS` each."""
    return chunks(filters, max(-(-filters // max(count, 1)), FILTERS))


def _cols(padded: NDArray, place: Placement, block: Block) -> NDArray:
    """The rows (T, K) of a block."""
    (kh, kw), (sh, sw), (dh, dw) = place.window.kernel, place.window.stride, place.window.dilation
    c = padded.shape[3]
    s_n, s_h, s_w, s_c = padded.strides
    first = padded[block.images, block.rows.start * sh :]
    shape = (len(first), block.rows.stop - block.rows.start, place.out[1], kh, kw, c)
    strides = (s_n, s_h * sh, s_w * sw, s_h * dh, s_w * dw, s_c)
    patches = as_strided(first, shape, strides, writeable=False)  # (n, i, j, KH, KW, C)
    if c == 1:
        taps = np.ascontiguousarray(patches[..., 0].transpose(3, 4, 0, 1, 2))  # (KH, KW, n, i, j)
        return taps.reshape(kh * kw, -1).T
    return np.ascontiguousarray(patches).reshape(-1, kh * kw * c)


IMPLEMENTATION = Implementation("im2col", refuses, forward, backward)
INFERENCE = Implementation("im2col", refuses, inference, None)
