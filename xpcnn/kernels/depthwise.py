"""Depthwise convolution on NumPy: one multiply-and-add for each tap and number, over long runs.

Idea. Each channel meets one filter only, so there is no product of matrices in the sums of `xpcnn.ops.conv`, whose
equation numbers are used here; with K the kernel of a channel (one filter a channel, as in MobileNet):

    y[n,i,j,k]  = Σ_{u,v} x̂[n, i·S + u·D, j·S + v·D, k] · w[u,v,k] + b[k]                            (1)
    dw[u,v,k]   = Σ_{n,i,j} dy[n,i,j,k] · x̂[n, i·S + u·D, j·S + v·D, k]                              (2)
    db[k]       = Σ_{n,i,j} dy[n,i,j,k]                                                              (3)
    dx̂[S·a + r] = Σ_{u = S·m + r} dy[a − m] · w[u]          along both axes, r = 0 … S−1              (4)

`numpy.einsum` computes such a sum over a view with an axis for each of u, v, i, j and k in one call, without
temporaries: its inner loop adds x·w to y along k. Loops pay if k is long. Images with the batch last in memory (see
`xpcnn.kernels.batch_last`) are one image with C·N channels. Otherwise, for stride 1, R neighbouring positions and their
channels are one run, with w repeated R times: the padded images of a block are one row of positions (see
`xpcnn.kernels.padded`). By (4), each remainder of dx is (1) of dy with stride 1 and with a part of the kernel.

Measured, forward and backward, 2 threads, float32, 3×3: 384 channels on (1, 14, 14), 1.1 ms (`rows` 5.8);
32 channels on (64, 28, 28), 11 ms, `rows` 23.

Source: A. Howard and others, MobileNets, 2017, which is built of these convolutions.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..ops.check import check_gradient
from ..ops.conv import check_conv2d
from ..ops.implementations import Implementation
from ..ops.window import Placement, Window
from ..typing import Cache, NDArray
from .batch_last import batch_first, batch_last, chunks, refuses_array, refuses_last
from .memory import empty
from .padded import Block, Padded, Reading, Tap, padded
from .threads import PASS, parallel, reduce_units

WORKSPACE = 1 << 20  # bytes of padded images for each thread (at least one row of output)
RUN = 512  # numbers, at least, of an inner loop, where positions can be joined
CHANNELS = 1024  # at most, in a block
ALL = [Tap(0, 0, 0, [0])]  # `padded` sorts rows by strides; here their stride is always 1


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1, **epilogue: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    if groups == 1 and w.shape[-1:] != (1,):
        return "it is not depthwise, one filter a channel"
    reason = refuses_array(x)
    if reason is not None:
        return reason
    if x.ndim != 4 or w.ndim != 4 or not (groups == x.shape[3] == w.shape[0] and w.shape[3] == 1):
        return "it is not depthwise, one filter a channel"
    if window.stride != (1, 1) and window.dilation != (1, 1):
        return "there are both a stride and a dilation"
    return None


def forward(
    x: NDArray, w: NDArray, b: NDArray | None = None, *, window: Window, groups: int = 1
) -> tuple[NDArray, Cache]:
    """`conv2d_forward`, tap by tap."""
    _, place = check_conv2d(x, w, b, window, groups)
    last = refuses_last(x) is not None  # the batch is, or is to be, last
    images = _ordered(x, last)
    return _outputs(images, w, b, place, x.shape, last), (images, x.shape, w, b is not None, place, last)


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
    """`conv2d_inference`, tap by tap."""
    _, place = check_conv2d(x, w, b, window, groups, scale)
    last = refuses_last(x) is not None
    filters = w if scale is None else w * scale[:, None, None, None]
    return _outputs(_ordered(x, last), filters, b, place, x.shape, last, relu)


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, tap by tap."""
    x, shape, w, has_bias, place, last = cache
    check_gradient("Conv2d", dy, (shape[0], *place.out, w.shape[0]), w)
    dy = _ordered(dy, last)
    dw = db = dx = None
    if weight_grad:
        total = _weight_gradients(x, dy, place)  # (KH·KW + 1, k)
        total = total.reshape(len(total), shape[3], -1).sum(axis=2)  # (KH·KW + 1, C)
        dw = np.ascontiguousarray(total[:-1].T).reshape(w.shape)
        db = total[-1].copy() if has_bias else None
    if input_grad:
        dx = _disordered(_input_gradient(dy, _repeated(w, x.shape[3]), x.shape, place), shape, last)
    return dx, dw, db


def _ordered(x: NDArray, last: bool) -> NDArray:
    """(N, H, W, C) as images (n, H, W, k): k = C, or n = 1 and k = C·N."""
    if not last:
        return np.ascontiguousarray(x)
    ordered = batch_last(x)  # (H, W, C, N)
    return ordered.reshape(1, *ordered.shape[:2], -1)


def _disordered(x: NDArray, shape: tuple[int, ...], last: bool) -> NDArray:
    """The opposite."""
    return batch_first(x.reshape(*x.shape[1:3], shape[3], shape[0])) if last else x


def _repeated(w: NDArray, k: int) -> NDArray:
    """w (C, KH, KW, 1) as (KH, KW, k)."""
    return np.repeat(w[..., 0].transpose(1, 2, 0), k // len(w), axis=2)


def _outputs(
    x: NDArray,
    w: NDArray,
    b: NDArray | None,
    place: Placement,
    shape: tuple[int, ...],
    last: bool,
    relu: bool = False,
) -> NDArray:
    """(1): images → y (N, OH, OW, C)."""
    y = empty((len(x), *place.out, x.shape[3]), x.dtype)
    bias = None if b is None else np.repeat(b, x.shape[3] // len(b))  # (k,)
    window = place.window
    _correlate(
        x, _repeated(w, x.shape[3]), (place.pads[0], place.pads[2]), window.stride, window.dilation, y, bias, relu
    )
    return _disordered(y, (shape[0], *place.out, shape[3]), last)


def _input_gradient(dy: NDArray, w: NDArray, shape: tuple[int, ...], place: Placement) -> NDArray:
    """(4): images dy (n, OH, OW, k) and w (KH, KW, k) → dx of that shape, (n, H, W, k)."""
    dx = empty(shape, dy.dtype)
    (sh, sw), dilation = place.window.stride, place.window.dilation
    before = place.pads[0], place.pads[2]
    for p, q in product(range(sh), range(sw)):
        part = w[p::sh, q::sw][::-1, ::-1]  # the taps with these remainders, rotated
        start = (p - before[0]) % sh, (q - before[1]) % sw  # the first elements of dx with them
        to = dx[:, start[0] :: sh, start[1] :: sw]
        if not part.size:
            to[...] = 0
        elif to.size:
            first = [(start[axis] + before[axis]) // (sh, sw)[axis] for axis in (0, 1)]  # a
            reach = [(part.shape[axis] - 1) * dilation[axis] - first[axis] for axis in (0, 1)]
            _correlate(dy, part, (reach[0], reach[1]), (1, 1), dilation, to)
    return dx


def _correlate(
    x: NDArray,
    w: NDArray,
    before: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    y: NDArray,
    bias: NDArray | None = None,
    relu: bool = False,
) -> None:
    """(1): images (n, H, W, k) and w (KH, KW, k) → y (n, i, j, k)."""
    reading = _reading(x, w.shape[:2], before, stride, dilation, y.shape)
    joined = reading.every
    tiled = np.tile(w, joined)  # (KH, KW, R·k)

    def work(unit: tuple[Block, slice]) -> None:
        block, k = unit
        out = y[block.images, block.rows, :, k]  # (n, i, j, k)
        images = _padded(x[..., k], reading, block, stride)
        if joined > 1:
            runs = _runs(images, w.shape[:2], dilation)  # (KH, KW, t/R, R·k)
            sums = np.empty((images.shape[0] * images.shape[1] * images.shape[2], out.shape[3]), x.dtype)
            np.einsum("uvtk,uvk->tk", runs, tiled, out=sums[: images.needed].reshape(runs.shape[2:]))  # (1)
            sums = sums.reshape(*images.shape, -1)[:, : out.shape[1], : out.shape[2]]
            np.copyto(out, sums) if bias is None else np.add(sums, bias, out=out)  # (1)
        else:
            np.einsum("uvnijk,uvk->nijk", _patches(images, w.shape[:2], stride, dilation, out), w[..., k], out=out)
            if bias is not None:
                out += bias[k]  # (1)
        if relu:
            np.maximum(out, 0, out=out)

    parallel(work, _units(reading, y, stride), float(PASS) * y.size * w.shape[0] * w.shape[1])


def _weight_gradients(x: NDArray, dy: NDArray, place: Placement) -> NDArray:
    """(2), (3): images x and dy (n, OH, OW, k) → dw and, in the last row, db: (KH·KW + 1, k)."""
    window, kernel = place.window, place.window.kernel
    before = place.pads[0], place.pads[2]
    reading = _reading(x, kernel, before, window.stride, window.dilation, dy.shape)

    def add(total: NDArray, unit: tuple[Block, slice]) -> None:
        block, k = unit
        given = dy[block.images, block.rows, :, k]  # (n, i, j, k)
        images = _padded(x[..., k], reading, block, window.stride)
        if reading.every > 1:
            runs = _runs(images, kernel, window.dilation)  # (KH, KW, t/R, R·k)
            spread = images.spread(given).reshape(-1)[: runs[0, 0].size].reshape(runs.shape[2:])
            found = np.einsum("uvtk,tk->uvk", runs, spread)  # (KH, KW, R·k)                      (2)
            total[:-1, k] += found.reshape(window.taps, reading.every, -1).sum(axis=1)
        else:
            patches = _patches(images, kernel, window.stride, window.dilation, given)
            total[:-1, k] += np.einsum("uvnijk,nijk->uvk", patches, given).reshape(window.taps, -1)  # (2)
        total[-1, k] += np.einsum("nijk->k", given)  # (3)

    units = _units(reading, dy, window.stride)
    return reduce_units(add, (window.taps + 1, x.shape[3]), x.dtype, units, float(PASS) * dy.size * window.taps)


def _reading(
    x: NDArray,
    kernel: tuple[int, ...],
    before: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    shape: tuple[int, ...],
) -> Reading:
    """How positions, of which every S-th is one of y, read images."""
    positions = (shape[1] - 1) * stride[0] + 1, (shape[2] - 1) * stride[1] + 1
    reach = (kernel[0] - 1) * dilation[0], (kernel[1] - 1) * dilation[1]
    joined = -(-RUN // x.shape[3]) if stride == (1, 1) and x.shape[3] < RUN else 1
    return Reading((x.shape[1], x.shape[2]), before, (1, 1), positions, reach, min(joined, positions[1]))


def _units(reading: Reading, y: NDArray, stride: tuple[int, int]) -> list[tuple[Block, slice]]:
    """Blocks of y (n, i, j, k), and some of its channels."""
    n, i, _, channels = y.shape
    runs = chunks(channels, CHANNELS if reading.every == 1 else channels)
    row = reading.width * (runs[0].stop - runs[0].start) * y.itemsize * stride[0]
    rows = max(1, (WORKSPACE // row - reading.reach[0]))
    if rows < i:
        blocks = [Block(slice(m, m + 1), part) for m in range(n) for part in chunks(i, rows)]
    else:
        blocks = [Block(part, slice(0, i)) for part in chunks(n, max(1, min(rows // i, -(-n // 4))))]
    return [*product(blocks, runs)]


def _padded(x: NDArray, reading: Reading, block: Block, stride: tuple[int, int]) -> Padded:
    rows = slice(block.rows.start * stride[0], (block.rows.stop - 1) * stride[0] + 1)
    return padded(x, reading, Block(block.images, rows), ALL)


def _runs(images: Padded, kernel: tuple[int, ...], dilation: tuple[int, int]) -> NDArray:
    """What the taps read at each position, R positions a run: (KH, KW, t/R, R·k), a view."""
    row, column, number = images.memory.strides[1:]
    every, k = images.reading.every, images.memory.shape[3]
    shape = *kernel, images.needed // every, every * k
    strides = row * dilation[0], column * dilation[1], every * column, number
    return as_strided(images.memory, shape, strides, writeable=False)


def _patches(
    images: Padded, kernel: tuple[int, ...], stride: tuple[int, int], dilation: tuple[int, int], y: NDArray
) -> NDArray:
    """What the taps read at the positions of y (n, i, j, k): (KH, KW, n, i, j, k), a view."""
    row, column, number = images.memory.strides[1:]
    strides = (
        row * dilation[0],
        column * dilation[1],
        images.shape[1] * row,
        row * stride[0],
        column * stride[1],
        number,
    )
    return as_strided(images.memory, (*kernel, *y.shape), strides, writeable=False)


IMPLEMENTATION = Implementation("depthwise", refuses, forward, backward)
INFERENCE = Implementation("depthwise", refuses, inference, None)
