"""Convolution on NumPy, channels last, as products of the zero-padded images themselves ("taps").

Idea. Let the images be copied once, with their padding, into one long row of positions q, C numbers each. Then all
that one tap (u, v) of the kernel reads lies in a matrix of which row t is position t·S + o(u,v): a view. A convolution
is a sum of products of such views, each added to the same array (`xpcnn.kernels.blas`), with nothing lowered:

    y[t]     = Σ_{u,v} x̂[t·S + o(u,v)] w[:,u,v,:]ᵀ + b         o(u,v) = u·D·(length of a row) + v·D            (1)
    dw[u,v]  = Σ_t dy[t]ᵀ x̂[t·S + o(u,v)]                                                                     (2)
    db       = Σ_t dy[t]                                                                                      (3)
    dx̂[S·a + r] = Σ_{u,v : o(u,v) = S·k + r} dy[a − k] w[:,u,v,:]    r = 0 … S−1 along each axis              (4)

with the equation numbers of `xpcnn.ops.conv`. Some t lie between the rows or images of the output; what is computed
there is not copied to y. One margin of zeros serves two neighbours, the end of a row and the start of the next one.

- With few channels, products of KW·C are faster than of C: the taps of a kernel row read a run. Rows of a matrix may
  not overlap, so every R-th position is taken, R ≥ KW/S, for R products, each for R-th of the output.
- With a stride, the rows of an image are sorted by their remainder, so that the rows that a tap reads are neighbours.
  Its columns need no sorting: a matrix may have gaps between its rows.
- By (4), each of the S² remainders of dx is a convolution of dy with stride 1, with the taps of that remainder alone.
  So nothing is scattered.

An infinity or NaN in x spreads to all taps of dw.

This is for 8 images or more in the usual order of memory. With the batch last, `rows` and `winograd` copy less; for
fewer images, `im2col` is as fast.
Measured, forward and backward, 2 threads, float32, 16 → 32 channels on (64, 28, 28): dilated by 2, 14.7 ms (`rows`
25.3, `im2col` 21.0); on 16 images, not dilated, 3.9 ms (`winograd` 5.2).

Source: A. Anderson, A. Vasudevan, C. Keane and D. Gregg,
Low-memory GEMM-based convolution algorithms for deep neural networks, 2017 ("kn2row", the sum over taps).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..ops.check import check_gradient
from ..ops.conv import check_conv2d
from ..ops.implementations import Implementation
from ..ops.window import Placement, Window
from ..typing import Cache, NDArray
from . import blas, winograd
from .batch_last import MANY, chunks, refuses_batch, refuses_last
from .lowering import inside
from .memory import empty
from .padded import WORKSPACE, Block, Reading, Tap, padded, share_count
from .threads import PARTS, parallel

FILTERS = 32  # at least, in a share of the filters
MOST_TAPS = 25  # with more, `rows` copies less
WIDE = 64  # channels, from which on a product is fast for one tap


class Output(NamedTuple):
    """Where positions go, (i, j) to the element start + step · (i, j) of the target; and the taps that they sum."""

    start: tuple[int, int]
    step: tuple[int, int]
    taps: list[Tap]


def refuses(x: Any, w: Any, b: Any = None, *, window: Window, groups: int = 1, **epilogue: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    reason = refuses_last(x) or refuses_batch(x, one=False)  # `im2col` is as fast for fewer images, and simpler
    if reason is not None:
        return reason
    if groups != 1:
        return "the convolution is grouped"
    if x.ndim != 4 or w.ndim != 4:
        return "the arrays are not those of a convolution"
    if window.taps > MOST_TAPS:
        return f"there are more than {MOST_TAPS} taps"
    large = x.shape[0] >= MANY or max(w.shape[0], w.shape[3]) >= winograd.WIDE
    if large and winograd.refuses(x, w, b, window=window) is None:
        return f"Winograd's algorithm is faster for {MANY} images or {winograd.WIDE} channels, and more"
    return blas.refuses(x)


def forward(
    x: NDArray, w: NDArray, b: NDArray | None = None, *, window: Window, groups: int = 1
) -> tuple[NDArray, Cache]:
    """`conv2d_forward`, as a sum over taps."""
    _, place = check_conv2d(x, w, b, window, groups)
    return _outputs(x, w, b, place), (x, w, b is not None, place)


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
    """`conv2d_inference`, as a sum over taps."""
    _, place = check_conv2d(x, w, b, window, groups, scale)
    filters = w if scale is None else w * scale[:, None, None, None]
    return _outputs(x, filters, b, place, relu)


def backward(
    dy: NDArray, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[NDArray | None, NDArray | None, NDArray | None]:
    """`conv2d_backward`, as sums over taps."""
    x, w, _, place = cache
    check_gradient("Conv2d", dy, (x.shape[0], *place.out, w.shape[0]), w)
    dw, db = _weight_gradients(dy, cache) if weight_grad else (None, None)
    return _input_gradient(dy, w, x.shape, place) if input_grad else None, dw, db


def _outputs(x: NDArray, w: NDArray, b: NDArray | None, place: Placement, relu: bool = False) -> NDArray:
    """(1): (N, H, W, C) → (N, OH, OW, F)."""
    y = empty((x.shape[0], *place.out, w.shape[0]), x.dtype)
    w = np.ascontiguousarray(w)
    reading, taps = _reading(x, place)

    def matrices(taps: list[Tap], share: slice) -> list[NDArray]:
        f = share.stop - share.start
        return [w[share, tap.u, tap.v[0] : tap.v[-1] + 1].reshape(f, -1).T for tap in taps]  # (g·C, F)

    _correlate(x, y, reading, [Output((0, 0), (1, 1), taps)], matrices, 2.0 * y.size * w[0].size, b, relu)
    return y


def _input_gradient(dy: NDArray, w: NDArray, shape: tuple[int, ...], place: Placement) -> NDArray:
    """(4): dy (N, OH, OW, F) → dx of that shape, (N, H, W, C)."""
    dx = empty(shape, dy.dtype)
    window, before = place.window, (place.pads[0], place.pads[2])
    axes = []  # of each: a of the first element, positions a, the largest k, and for each r the taps and their k
    for axis in (0, 1):
        s, d, first = window.stride[axis], window.dilation[axis], before[axis] // window.stride[axis]
        offsets = [divmod(u * d, s) for u in range(window.kernel[axis])]  # (k, r) of each tap
        found = [[(tap, k) for tap, (k, r) in enumerate(offsets) if r == remainder] for remainder in range(s)]
        axes.append((first, (before[axis] + shape[1 + axis] - 1) // s - first + 1, offsets[-1][0], found))
    (a, rows, k_h, by_row), (e, columns, k_w, by_column) = axes
    joined = _longest([k for _, k in part] for part in by_column) if dy.shape[3] < WIDE else 1
    reading = Reading(place.out, (k_h - a, k_w - e), (1, 1), (rows, columns), (k_h, k_w), joined)
    outputs = []
    for p, q in product(range(window.stride[0]), range(window.stride[1])):
        runs = _runs([(k_w - k, v) for v, k in reversed(by_column[q])], joined)
        taps = [Tap(k_h - k, column, u, run) for u, k in by_row[p] for column, run in runs]
        start = a * window.stride[0] + p - before[0], e * window.stride[1] + q - before[1]
        outputs.append(Output(start, window.stride, taps))

    def matrices(taps: list[Tap], share: slice) -> list[NDArray]:
        return [np.concatenate([w[:, tap.u, v, share] for v in tap.v]) for tap in taps]  # (g·F, C)

    _correlate(dy, dx, reading, outputs, matrices, 2.0 * dy.size * w[0].size)
    return dx


def _weight_gradients(dy: NDArray, cache: Cache) -> tuple[NDArray, NDArray | None]:
    """dw, and db or None."""
    x, w, has_bias, place = cache
    f, cost = w.shape[0], 2.0 * dy.size * w[0].size
    reading, taps = _reading(x, place)
    blocks = reading.blocks(len(x), x.shape[3], f, x.itemsize, cost)
    few = PARTS * w.nbytes <= WORKSPACE
    parts = min(PARTS, len(blocks)) if few else 1
    dw, db = np.zeros((parts, *w.shape), w.dtype), np.zeros((parts, f), w.dtype)

    def work(unit: tuple[int, slice]) -> None:
        part, share = unit
        for block in blocks[part::parts]:
            images = padded(x, reading, block, taps)
            given = images.spread(dy[block.images, block.rows, :, share])
            images.add_gradients(taps, given, dw[part, share])  # (2)
            if has_bias:
                run = given.reshape(-1, given.shape[-1])[: images.needed]
                db[part, share] += np.ones(len(run), run.dtype) @ run  # (3)

    shares = [slice(0, f)] if few else chunks(f, max(-(-f // share_count(cost)), FILTERS))
    parallel(work, [*product(range(parts), shares)], cost)
    return dw.sum(axis=0) if parts > 1 else dw[0], db.sum(axis=0) if has_bias else None


def _correlate(
    x: NDArray,
    target: NDArray,
    reading: Reading,
    outputs: list[Output],
    matrices: Callable[[list[Tap], slice], list[NDArray]],
    cost: float,
    b: NDArray | None = None,
    relu: bool = False,
) -> None:
    """Sums over taps of images (N, H, W, C), in the target (N, H', W', F)."""
    f = target.shape[3]
    blocks = reading.blocks(len(x), x.shape[3], f, x.itemsize, cost)
    shares = chunks(f, max(-(-f // share_count(cost)), FILTERS)) if len(blocks) == 1 else [slice(0, f)]
    prepared = [[matrices(output.taps, share) for output in outputs] for share in shares]
    columns = reading.positions[1]

    def work(unit: tuple[Block, int]) -> None:
        block, number = unit
        share = shares[number]
        images = padded(x, reading, block, [tap for output in outputs for tap in output.taps])
        for output, found in zip(outputs, prepared[number], strict=True):
            first = output.start[0] + block.rows.start * output.step[0]
            i, h = inside(first, output.step[0], block.rows.stop - block.rows.start, target.shape[1])
            j, w = inside(output.start[1], output.step[1], columns, target.shape[2])
            to = target[block.images, h, w, share]
            if not found:
                to[...] = 0
                continue
            sums = images.sums(output.taps, found)[:, i, j]  # (n, i, j, f)                       (1), (4)
            if b is None:
                to[...] = sums
            else:
                np.add(sums, bias[number], out=to)  # (1)
            if relu:
                np.maximum(to, zeros[number], out=to)

    bias = [np.tile(b[share], (columns, 1)) for share in shares] if b is not None else []
    zeros = [np.zeros((columns, share.stop - share.start), x.dtype) for share in shares]
    parallel(work, [*product(blocks, range(len(shares)))], cost)


def _reading(x: NDArray, place: Placement) -> tuple[Reading, list[Tap]]:
    """How the output reads x, and the taps."""
    window = place.window
    (kh, kw), (dh, dw) = window.kernel, window.dilation
    joined = -(-kw // window.stride[1]) if dw == 1 and x.shape[3] < WIDE else 1
    runs = _runs([(v * dw, v) for v in range(kw)], joined * window.stride[1])
    reach = ((kh - 1) * dh, (kw - 1) * dw)
    reading = Reading(place.size, (place.pads[0], place.pads[2]), window.stride, place.out, reach, joined)
    return reading, [Tap(u * dh, column, u, run) for u in range(kh) for column, run in runs]


def _runs(taps: Sequence[tuple[int, int]], most: int) -> list[tuple[int, list[int]]]:
    """Join taps (column, v) of neighbouring columns, at most that many: (first column, v …)."""
    runs: list[tuple[int, list[int]]] = []
    for column, v in taps:
        if runs and runs[-1][0] + len(runs[-1][1]) == column and len(runs[-1][1]) < most:
            runs[-1][1].append(v)
        else:
            runs.append((column, [v]))
    return runs


def _longest(columns: Iterable[list[int]]) -> int:
    """The largest number of neighbouring columns."""
    return max((len(run) for each in columns for _, run in _runs([(k, k) for k in each], 1 << 30)), default=1)


IMPLEMENTATION = Implementation("taps", refuses, forward, backward)
INFERENCE = Implementation("taps", refuses, inference, None)
