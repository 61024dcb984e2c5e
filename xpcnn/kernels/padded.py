"""Zero-padded images as one row of positions each, and what the taps of a kernel read there: views of it.

See `xpcnn.kernels.taps`, whose letters are used here. Along each axis, with S the stride, the tap at offset o reads for
position i the element

    i·S + o − before                        (1)

of the image; `before` zeros stand before it. The rows with one remainder of i·S + o by S are neighbours in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..typing import NDArray
from . import blas
from .batch_last import chunks
from .lowering import inside
from .memory import empty

WORKSPACE = 4 << 20  # bytes of padded images and of sums for each thread: smaller pieces wait more for the lock
SHARE = 3.5e7  # multiplications and additions, at least, of a piece made only to share work among threads
POSITIONS = 128  # at least, in a piece


def share_count(cost: float) -> int:
    """The number of pieces for work of that cost: 1, 2 or 4, so that two threads have the same work."""
    return 4 if cost >= 4 * SHARE else 2 if cost >= 2 * SHARE else 1


class Block(NamedTuple):
    """Some whole images, or some rows of positions of one image."""

    images: slice
    rows: slice


class Tap(NamedTuple):
    """Neighbouring taps of one kernel row, read as one run."""

    row: int  # their offsets
    column: int
    u: int  # they are w[:, u, v]
    v: list[int]


class Reading(NamedTuple):
    """How positions read images, (1)."""

    size: tuple[int, int]  # (H, W)
    before: tuple[int, int]  # if it is below 0, the first elements are not read
    stride: tuple[int, int]
    positions: tuple[int, int]
    reach: tuple[int, int]  # the largest offset
    every: int  # R: a product takes every R-th position, so that the runs of its taps do not overlap

    def room(self, axis: int, positions: int) -> int:
        """Positions of an axis for which there is memory: neighbouring rows and images share their zeros."""
        before, stride = self.before[axis], self.stride[axis]
        end = (positions - 1) * stride + self.reach[axis] + 1
        needed = max(end - max(before, 0), min(before + self.size[axis], end))
        return max(positions, -(-needed // stride))

    @property
    def width(self) -> int:
        """Positions of a row in memory."""
        return -(-self.room(1, self.positions[1]) // self.every) * self.every

    def blocks(self, images: int, channels: int, filters: int, itemsize: int, cost: float) -> list[Block]:
        """Blocks of whole images if they are small, else of rows of one image."""
        rows = self.positions[0]
        row = self.width * (channels * self.stride[0] * self.stride[1] + filters) * itemsize
        pieces = share_count(cost)
        most = min(-(-images * rows // pieces), WORKSPACE // row - self.reach[0] // self.stride[0])
        most = max(1, most, min(POSITIONS // self.positions[1], images * rows))
        if most < rows:
            return [Block(slice(n, n + 1), part) for n in range(images) for part in chunks(rows, most)]
        return [Block(part, slice(0, rows)) for part in chunks(images, most // rows)]


class Padded(NamedTuple):
    """The images of a block, padded."""

    memory: NDArray  # (S, rows, columns, C)
    reading: Reading
    shape: tuple[int, int, int]  # images, and the rows and columns of positions that there is room for
    needed: int  # positions up to the last one that is needed

    def sums(self, taps: Sequence[Tap], matrices: Sequence[NDArray]) -> NDArray:
        """Σ over the taps of what they read, times their matrices (g·C, F): (images, rows, columns, F)."""
        filters, size, every = matrices[0].shape[1], self.memory.itemsize, self.reading.every
        out = empty((*self.shape, filters), self.memory.dtype)
        to, number, rows = out.ctypes.data, out.dtype.char, self.needed // every
        for tap, matrix in zip(taps, matrices, strict=True):
            right = blas.operand(matrix)
            for r, left in enumerate(self._runs(tap)):
                target, add = (to + r * filters * size, every * filters), tap is not taps[0]
                blas.multiply(number, left, right, target, (rows, filters, len(matrix)), add)
        return out

    def add_gradients(self, taps: Sequence[Tap], dy: NDArray, dw: NDArray) -> None:
        """dw (F, KH, KW, C) += Σ over positions of dy (images, rows, columns, F), times what each tap reads."""
        filters, size, every, c = dy.shape[3], dy.itemsize, self.reading.every, dw.shape[3]
        given, number, rows = dy.ctypes.data, dy.dtype.char, self.needed // every
        for tap in taps:
            target = dw[:, tap.u, tap.v[0] :].ctypes.data, dw.strides[0] // size
            for r, right in enumerate(self._runs(tap)):
                left = given + r * filters * size, every * filters, True
                blas.multiply(number, left, right, target, (filters, len(tap.v) * c, rows), True)

    def spread(self, dy: NDArray) -> NDArray:
        """dy (images, i, j, F) where its positions are, with zeros between them: (images, rows, columns, F)."""
        i, j = dy.shape[1:3]
        out = empty((*self.shape, dy.shape[3]), dy.dtype)
        out[:, :i, :j] = dy
        out[:, :i, j:] = 0
        out[:, i:] = 0
        return out

    def _runs(self, tap: Tap) -> list[blas.Operand]:
        """What the taps read for every R-th position, from each of the first R on: (t, g·C)."""
        (sh, sw), every, c = self.reading.stride, self.reading.every, self.memory.shape[3]
        row, remainder = divmod(tap.row, sh)
        start = self.memory[remainder, row, tap.column :].ctypes.data
        step = sw * c * self.memory.itemsize
        return [(start + r * step, every * sw * c, False) for r in range(every)]


def padded(x: NDArray, reading: Reading, block: Block, taps: Sequence[Tap]) -> Padded:
    """The images (N, H, W, C) of the block for these taps."""
    (sh, sw), c = reading.stride, x.shape[3]
    n, i = block.images.stop - block.images.start, block.rows.stop - block.rows.start
    rows, columns = reading.room(0, i), reading.width
    count = ((n - 1) * rows + i) * columns
    further = reading.reach[0] // sh + 1 + reading.reach[1] // (columns * sw)  # rows of zeros after the last image
    memory = empty((sh, n * rows + further, columns * sw, c), x.dtype)
    q, w = inside(-reading.before[1], 1, columns * sw, x.shape[2])
    for remainder in {tap.row % sh for tap in taps}:
        memory[remainder, n * rows :] = 0
        first = block.rows.start * sh + remainder - reading.before[0]
        p, h = inside(first, sh, rows, x.shape[1])  # (1)
        images = memory[remainder, : n * rows].reshape(n, rows, columns * sw, c)
        images[:, : p.start] = 0
        images[:, p.stop :] = 0
        images[:, p, : q.start] = 0
        images[:, p, q.stop :] = 0
        images[:, p, q] = x[block.images, h, w]
    return Padded(memory, reading, (n, rows, columns), count)
