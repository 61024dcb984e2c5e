"""Depthwise convolution in compiled loops with many images, which are last in memory: (H, W, C, N).

The equations are those of `depthwise`. The inner loop runs over the N numbers of a channel, which share a weight. It
takes nine taps at a time, because each number of y that is not kept in a register costs as much as a tap. Taps that are
outside read zeros.

Measured, (32, 112, 112, 32), float32, 3×3, 2 threads, forward: 12.5 ms, 18.8 with the loops of `depthwise_loops`.
"""

from __future__ import annotations

import numpy as np

from ...typing import NDArray
from ..batch_last import chunks
from ..threads import parallel, reduce_units
from .depthwise_last_loops import sum_gradients
from .depthwise_last_loops import sum_taps as sum_nine
from .depthwise_reads import COST, Reads
from .loop import contiguous

TAPS = 9  # at a time
OUTSIDE = -(1 << 40)  # the offset of a tap that there is not
PIECE = 1 << 16  # numbers of y in a unit of work, or one row


def sum_taps(x: NDArray, w: NDArray, b: NDArray | None, reads: Reads, y: NDArray, images: int, relu: bool) -> None:
    """(1) or (4): x (1, H, W, C·N), w (KH·KW, C) and b (C,) or None → y (1, OH, OW, C·N)."""
    x, y = _split(x, images), _split(y, images)
    rows, columns = _offsets(reads)
    weights = np.zeros((len(rows), w.shape[1]), w.dtype)
    weights[: len(w)] = w
    bias, zeros = np.zeros(w.shape[1], w.dtype) if b is None else contiguous(b), np.zeros(x.shape[2:], x.dtype)
    steps = reads.step_h, reads.step_w, reads.gap_h, reads.gap_w

    def work(part: slice) -> None:
        sum_nine(x, weights, bias, rows, columns, zeros, *steps, relu, y, part.start, part.stop)

    parallel(work, _units(y), float(COST) * y.size * len(weights))


def weight_gradients(x: NDArray, dy: NDArray, reads: Reads, images: int) -> NDArray:
    """(2) and (3) as (KH·KW + 1, C)."""
    x, dy = _split(x, images), _split(dy, images)
    rows, columns = _offsets(reads)
    zeros, shape = np.zeros(x.shape[2:], x.dtype), (len(rows) + 1, x.shape[2])

    def add(total: NDArray, part: slice) -> None:
        sum_gradients(x, dy, rows, columns, zeros, reads.step_h, reads.step_w, total, part.start, part.stop)

    total = reduce_units(add, shape, np.float64, _units(dy), float(COST) * dy.size * len(rows))
    return np.concatenate([total[: reads.kh * reads.kw], total[-1:]])


def _split(x: NDArray, images: int) -> NDArray:
    """(1, H, W, C·N) → (H, W, C, N)."""
    return x.reshape(*x.shape[1:3], -1, images)


def _offsets(reads: Reads) -> tuple[NDArray, NDArray]:
    """Rows and columns of all taps, with as many more outside as make a multiple of `TAPS`."""
    rows, columns = np.indices((reads.kh, reads.kw)).reshape(2, -1)
    offsets, more = (rows * reads.apart_h - reads.top, columns * reads.apart_w - reads.left), (0, -len(rows) % TAPS)
    return np.pad(offsets[0], more, constant_values=OUTSIDE), np.pad(offsets[1], more, constant_values=OUTSIDE)


def _units(y: NDArray) -> list[slice]:
    """Some rows of y (OH, OW, C, N)."""
    return chunks(len(y), max(1, PIECE * len(y) // y.size))
