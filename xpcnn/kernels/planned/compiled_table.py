"""The table of steps that `xpcnn.kernels.compiled.program` runs, and the constants that these read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...typing import NDArray, Shape
from ..compiled.block import WIDE, most_positions
from ..compiled.differ import differ
from ..compiled.program import COLUMNS
from ..compiled.vectors import lanes
from .buffer import NONE, Margin

Arrays: TypeAlias = tuple[NDArray | None, ...]
PIECE = 2.5e5  # multiply-adds of a piece, at least: about five microseconds
CACHED = 1 << 18  # bytes of weights that a piece reads, at most, or those of one block


@dataclass
class Value:
    """Where a value's numbers are: images (N, H, W, C) with a margin of zeros, anything else as it is."""

    shape: Shape
    margin: Margin = NONE
    offset: int = 0  # in the memory

    @property
    def padded(self) -> Shape:
        if len(self.shape) != 4:
            return self.shape
        n, h, w, c = self.shape
        top, bottom, left, right = self.margin
        return n, top + h + bottom, left + w + right, c

    @property
    def size(self) -> int:
        return math.prod(self.padded)

    def seen_as(self, shape: Shape | None = None) -> Images:
        """These numbers as images; items that are rows of numbers are one row of positions."""
        own = self.shape if shape is None else shape
        if len(own) == 2:
            own = (1, 1, *own)
        n, h, w, c = own
        high, wide = self.padded[1:3] if len(self.shape) == 4 else (h, w)
        start = self.offset + (self.margin[0] * wide + self.margin[2]) * c
        return Images(n, h, w, c, start, high * wide * c, wide * c, c)


class Images(NamedTuple):
    """Images (N, H, W, C) in the memory: where their first number is, and the distances along N, H and W."""

    n: int
    h: int
    w: int
    c: int
    start: int
    image: int
    row: int
    step: int


class Prepared(NamedTuple):
    """Arrays of a network, and what writes them into the constants as a step reads them."""

    read: Callable[[], Arrays]
    write: Callable[..., None]  # of the constants and these arrays


class Table:
    """A table while it is made.

    Parameters
        end : of the values in the memory; behind it is room for numbers that do not outlive an operation
    """

    def __init__(self, dtype: Any, end: int) -> None:
        self.dtype, self._end = np.dtype(dtype), end
        self.lanes = lanes(self.dtype.char)
        self.rows: list[list[int]] = []
        self.size = self.scratch = 0  # of the constants, and of that room
        self.prepared: list[Prepared] = []
        self._limits: dict[tuple[float, float], int] = {}

    def constants(self, size: int) -> int:
        """The offset of that many constants."""
        at = self.size
        self.size += -(-size // self.lanes) * self.lanes
        return at

    def room(self, *sizes: int) -> list[int]:
        """The offsets of so many numbers that do not outlive an operation."""
        places = [self._end + sum(sizes[:k]) for k in range(len(sizes))]
        self.scratch = max(self.scratch, sum(sizes))
        return places

    def limits(self, limits: tuple[float, float]) -> int:
        if limits not in self._limits:
            self._limits[limits] = self.constants(2)
        return self._limits[limits]

    def add(self, **columns: int) -> None:
        """A row; columns that are not named are 0."""
        assert columns.keys() <= set(COLUMNS)
        self.rows.append([int(columns.get(name, 0)) for name in COLUMNS])

    def windows(
        self, kind: int, y: Images, r: Images | None, *,
        channels: int, groups: int = 1, positions: int = 0, **columns: int,
    ) -> None:  # fmt: skip
        """A step of windows with outputs y, and `channels` of them in a group; `positions` as for `arranged`."""
        taps = columns["kh"] * columns["kw"] * columns.get("count", 1)
        wide = self._wide(channels, positions or y.w)
        block = wide * self.lanes
        filters, weights = channels, taps * self.dtype.itemsize
        if groups == 1:
            filters = min(channels, max(1, CACHED // (weights * block)) * block)
        lines = y.n * y.h
        rows = min(lines, max(1, int(PIECE / (y.w * filters * groups * taps))))
        self.add(
            kind=kind,
            pieces=-(-lines // rows) * -(-channels // filters),
            rows=rows,
            filters=filters,
            images=y.n,
            height=y.h,
            width=y.w,
            channels=channels,
            groups=groups,
            lanes=self.lanes,
            wide=wide,
            long=most_positions(wide),
            **places(y, r),
            **({"count": 1} | columns),
        )

    def _wide(self, channels: int, positions: int) -> int:
        """Vectors of a block at most: four where so few positions follow each other, or fill such blocks better."""
        vectors, most = -(-channels // self.lanes), most_positions(WIDE)
        if vectors >= WIDE and (positions <= most or (most > 4 and positions % most == 0)):
            return WIDE
        return min(2, vectors)

    def arranged(self, w: NDArray, positions: int) -> NDArray:
        """Weights (F, taps) as blocks read them: for each block (taps, its filters), one after the other.

        Parameters
            positions : that follow each other in a row
        """
        f, taps = w.shape
        whole = np.zeros((-(-f // self.lanes) * self.lanes, taps), w.dtype)
        whole[:f] = w
        wide, blocks, begin = self._wide(f, positions), [], 0
        while begin < len(whole):
            while wide * self.lanes > len(whole) - begin:
                wide //= 2
            blocks.append(whole[begin : begin + wide * self.lanes].T.ravel())
            begin += wide * self.lanes
        return np.concatenate(blocks)

    def write_limits(self, constants: NDArray) -> None:
        for limits, at in self._limits.items():
            constants[at : at + 2] = limits

    def array(self) -> NDArray:
        return np.array(self.rows, np.int64).reshape(-1, len(COLUMNS))


def places(y: Images, r: Images | None) -> dict[str, int]:
    """The columns that say where y is, and what is added to it."""
    columns = {"y": y.start, "y_image": y.image, "y_row": y.row, "y_step": y.step, "r": -1}
    if r is not None:
        columns |= {"r": r.start, "r_image": r.image, "r_row": r.row, "r_step": r.step}
    return columns


class Constants:
    """The constants of a table, which follow the arrays that they are made of.

    Parameters
        frozen : whether these arrays stay as they are
    """

    def __init__(self, table: Table, frozen: bool) -> None:
        self.array = np.zeros(table.size + WIDE * table.lanes, table.dtype)
        table.write_limits(self.array)
        self._prepared, self._frozen = table.prepared, frozen
        self._copies: list[Arrays | None] = [None] * len(table.prepared)
        self._found = np.zeros(1)
        self.follow()

    def follow(self) -> None:
        """Write what has changed since the last time, number by number."""
        if self._prepared and not (self._frozen and self._copies[0] is not None):
            for k, (read, write) in enumerate(self._prepared):
                arrays, before = read(), self._copies[k]
                if before is None or any(map(self._differ, arrays, before)):
                    write(self.array, *arrays)
                    self._copies[k] = (
                        () if self._frozen else tuple(each if each is None else each.copy() for each in arrays)
                    )

    def _differ(self, a: NDArray | None, b: NDArray | None) -> bool:
        if a is None or b is None:
            return a is not b
        if not a.flags.c_contiguous or not a.flags.aligned:
            a = np.require(a, requirements=["C", "A"])
        differ(a.reshape(-1), b.reshape(-1), self._found)
        return bool(self._found[0])
