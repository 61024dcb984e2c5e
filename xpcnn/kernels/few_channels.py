"""Gradients of a convolution of few channels on NumPy, for a dy in the usual order of memory.

dy has many more channels than x, so it is read once, where it lies. What the kernel reads at positions t = (n,i,j), a
row for each of its K = KH·KW·C numbers, is small, and so is what each position adds to dx̂. With the equation numbers
of `xpcnn.ops.conv`:

    cols[(u,v,c),t] = x̂[n, i·S + u·D, j·S + v·D, c]
    dw    = (cols dy)ᵀ                                                     (2)
    db    = Σ_t dy[t], with another row of ones in cols                    (3)
    dcols = (dy w)ᵀ, each added to the element of dx̂ that it belongs to    (4)

Channels come first in a block, so that the runs are image rows. Products for (4) are those of an image, as OpenBLAS
computes up to 10⁶ multiply-adds without rearranging them: half the time for nine columns.

Measured, forward (`rows`) and backward, 2 threads, float32, 3×3, 3 → 32 channels on (64, 28, 28): 12 ms, with `rows`
alone 16; 1 → 32 channels: 10 and 15.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..ops.window import Placement
from ..typing import NDArray
from .batch_last import batch_first, chunks, is_batch_last
from .memory import empty
from .threads import PASS, reduce_units

CHANNELS = 4  # at most
WORKSPACE = 1 << 20  # bytes of cols for each thread; images that need more are refused
BLOCKS = 8  # at least, if there are as many images


def accepts(dy: NDArray, w: NDArray, place: Placement) -> bool:
    """Whether it applies, and pays."""
    c = w.shape[3]
    image = (place.window.taps * c + 1) * place.out[0] * place.out[1] * dy.itemsize
    return c <= CHANNELS and not is_batch_last(dy) and image <= WORKSPACE


def gradients(
    dy: NDArray, x: NDArray, w: NDArray, place: Placement, input_grad: bool, weight_grad: bool
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """dy (N, OH, OW, F), x (H, W, C, N) → dx (N, H, W, C) with the batch last in memory, dw and db, or None."""
    f, kh, kw, c = w.shape
    dy, k, (oh, ow), images = np.ascontiguousarray(dy), kh * kw * c, place.out, x.transpose(2, 3, 0, 1)  # (C, N, H, W)
    dx, matrix = empty(x.shape, dy.dtype), np.ascontiguousarray(w.reshape(f, k))  # (F, K)

    def add(total: NDArray, part: slice) -> None:
        n = part.stop - part.start
        given, cols = dy[part].reshape(-1, f), empty((k + 1, n * oh * ow), dy.dtype)
        taps = cols[:k].reshape(kh, kw, c, n, oh, ow)
        if weight_grad:
            taps[...] = _read(images[:, part], place)
            cols[k] = 1
            total += cols @ given  # (K + 1, t) @ (t, F)                                          (2), (3)
        if input_grad:
            found = dy[part].reshape(n, oh * ow, f) @ matrix  # (t, F) @ (F, K), image by image   (4)
            taps[...] = found.reshape(n, oh, ow, kh, kw, c).transpose(3, 4, 5, 0, 1, 2)
            dx[..., part] = _folded(taps, place).transpose(2, 3, 0, 1)

    most = min(-(-len(dy) // BLOCKS), WORKSPACE // ((k + 1) * oh * ow * dy.itemsize))
    cost = dy.size * (2.0 * k * (input_grad + weight_grad) + PASS)
    total = reduce_units(add, (k + 1, f), w.dtype, chunks(len(dy), max(1, most)), cost)
    dw, db = (np.ascontiguousarray(total[:k].T).reshape(w.shape), total[k].copy()) if weight_grad else (None, None)
    return batch_first(dx) if input_grad else None, dw, db


def _read(images: NDArray, place: Placement) -> NDArray:
    """What the taps read of images (C, n, H, W): (KH, KW, C, n, OH, OW), a view of padded ones."""
    (sh, sw), (dh, dw), (top, bottom, left, right) = place.window.stride, place.window.dilation, place.pads
    padded = np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right)))
    s_c, s_n, s_h, s_w = padded.strides
    shape = (*place.window.kernel, *images.shape[:2], *place.out)
    return as_strided(padded, shape, (s_h * dh, s_w * dw, s_c, s_n, s_h * sh, s_w * sw), writeable=False)


def _folded(taps: NDArray, place: Placement) -> NDArray:
    """Its adjoint: taps (KH, KW, C, n, OH, OW), each added to the elements that it read, (C, n, H, W)."""
    (h, w), (top, bottom, left, right) = place.size, place.pads
    padded = np.zeros((*taps.shape[2:4], top + h + bottom, left + w + right), taps.dtype)
    for (rows, columns), tap in zip(place.slices(), taps.reshape(-1, *taps.shape[2:]), strict=True):
        padded[:, :, rows, columns] += tap  # (4)
    return padded[:, :, top : top + h, left : left + w]
