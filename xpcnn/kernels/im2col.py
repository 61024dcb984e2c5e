"""Convolution on NumPy as one matrix product for a block of images ("im2col").

Idea. All that the kernel reads at one output position is copied into one row, so that the sums of
`xpcnn.ops.conv`, whose numbers these equations bear, become large products, which BLAS does well:

    cols[t, (u,v,c)] = x̂[n, i·S + u·D, j·S + v·D, c],  t = (n,i,j)
    y     = cols wᵀ + b                                                    (1)
    dw    = dyᵀ cols                                                       (2)
    db    = Σ_t dy[t]                                                      (3)
    dcols = dy w,  each added into dx̂ where it was read                    (4)

The rows are KH·KW times the input. They are therefore made for a block of images at a time, of at most
`WORKSPACE` bytes (one image's, if that is more), in a buffer that is reused, and made again in backward.
With one channel the runs that can be copied at once would be KW numbers; then cols is stored transposed, with
the taps outermost, and the runs are image rows. For stride 1, dx is made in the same way from dy and the kernel
rotated by 180°: copying rows out is faster than adding them in.

Source: K. Chellapilla, S. Puri and P. Simard, High performance convolutional neural networks for document
processing, 2006.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..ops.check import check_floats, check_gradient
from ..ops.conv import check_conv2d
from ..ops.dispatch import Implementation
from ..ops.window import Placement, Window
from ..typing import Array, Cache

Host: TypeAlias = np.ndarray[Any, Any]

WORKSPACE = 1 << 20  # bytes of cols: a core's second-level cache


def refuses(x: Array, w: Array, b: Array | None = None, *, window: Window, groups: int = 1) -> str | None:
    """Why this implementation does not take the call, or None."""
    if not isinstance(x, np.ndarray):
        return "the arrays are not NumPy's"
    if groups != 1:
        return "the convolution is grouped"
    return None


def forward(x: Host, w: Host, b: Host | None = None, *, window: Window, groups: int = 1) -> tuple[Host, Cache]:
    """`conv2d_forward`, in blocks."""
    _, place = check_conv2d(x, w, b, window, groups)
    y = _correlate(x, w, place)  # (N, OH, OW, F)
    if b is not None:
        y += b  # (1)
    return y, (x, w, b is not None, place)


def backward(dy: Host, cache: Cache, *, input_grad: bool = True) -> tuple[Host | None, Host, Host | None]:
    """`conv2d_backward`, in blocks."""
    x, w, has_bias, place = cache
    check_floats("Conv2d backward", dy, w)
    cout = w.shape[0]
    check_gradient("Conv2d", dy, (x.shape[0], *place.out, cout))
    dw = np.zeros((cout, w[0].size), w.dtype)  # (F, K)
    for block, cols in _blocks(x, place):
        dw += dy[block].reshape(-1, cout).T @ cols  # (F, T) @ (T, K)          (2)
    db = np.ones(dy.size // cout, dy.dtype) @ dy.reshape(-1, cout) if has_bias else None  # (F,)       (3)
    return _correlate_dx(dy, w, x.shape, place) if input_grad else None, dw.reshape(w.shape), db


def _correlate(x: Host, w: Host, place: Placement) -> Host:
    """(1) without its bias."""
    cout = w.shape[0]
    w_rows = w.reshape(cout, -1)  # (F, K)
    y = np.empty((x.shape[0], *place.out, cout), x.dtype)
    for block, cols in _blocks(x, place):
        np.matmul(cols, w_rows.T, out=y[block].reshape(-1, cout))  # (T, K) @ (K, F) → (T, F)    (1)
    return y


def _correlate_dx(dy: Host, w: Host, shape: tuple[int, ...], place: Placement) -> Host:
    """(4): dy (N, OH, OW, F) → dx of that shape, (N, H, W, C)."""
    flipped = _flipped(place)
    if flipped is not None:
        return _correlate(dy, w[:, ::-1, ::-1, :].transpose(3, 1, 2, 0), flipped)  # (4), with (C, KH, KW, F)
    cout = w.shape[0]
    dx = np.empty(shape, dy.dtype)
    n, c = shape[0], shape[3]
    images = _images_a_block(n, place, c * dy.itemsize)
    for start in range(0, n, images):
        rows = dy[start : start + images]
        dcols = (rows.reshape(-1, cout) @ w.reshape(cout, -1)).reshape(*rows.shape[:3], -1, c)  # (n, OH, OW, taps, C)
        taps = (dcols[:, :, :, tap, :] for tap in range(place.window.taps))
        dx[start : start + images] = place.fold(taps, (len(rows), *shape[1:]), np)  # (4)
    return dx


def _flipped(place: Placement) -> Placement | None:
    """For stride 1: the window whose correlation with the rotated kernel takes dy to dx, (4) read from x's side."""
    window = place.window
    (kh, kw), (dh, dw), (top, bottom, left, right) = window.kernel, window.dilation, place.pads
    reach_h, reach_w = dh * (kh - 1), dw * (kw - 1)
    pads = (reach_h - top, reach_h - bottom, reach_w - left, reach_w - right)
    if window.stride != (1, 1) or min(pads) < 0:
        return None
    return Window(window.kernel, padding=pads, dilation=window.dilation).place(*place.out)


def _images_a_block(n: int, place: Placement, pixel_bytes: int) -> int:
    oh, ow = place.out
    return min(n, max(1, WORKSPACE // (oh * ow * place.window.taps * pixel_bytes)))


def _blocks(x: Host, place: Placement) -> Iterator[tuple[slice, Host]]:
    """Slices of the batch, and for each its rows (T, K); they are valid until the next is asked for."""
    n, c = x.shape[0], x.shape[3]
    (kh, kw), (sh, sw), (dh, dw), (oh, ow) = place.window.kernel, place.window.stride, place.window.dilation, place.out
    images = _images_a_block(n, place, c * x.itemsize)
    buffer = np.empty(images * oh * ow * kh * kw * c, x.dtype)
    for start in range(0, n, images):
        block = slice(start, min(start + images, n))
        padded: Any = place.pad(x[block], np)
        s_n, s_h, s_w, s_c = padded.strides
        count = len(padded)
        patches = as_strided(
            padded, (count, oh, ow, kh, kw, c), (s_n, s_h * sh, s_w * sw, s_h * dh, s_w * dw, s_c), writeable=False
        )
        if c == 1:
            taps = buffer[: patches.size].reshape(kh, kw, count, oh, ow)
            np.copyto(taps, patches[..., 0].transpose(3, 4, 0, 1, 2))
            yield block, taps.reshape(kh * kw, -1).T
        else:
            rows = buffer[: patches.size].reshape(patches.shape)
            np.copyto(rows, patches)
            yield block, rows.reshape(-1, kh * kw * c)


IMPLEMENTATION = Implementation("im2col", refuses, forward, backward)
