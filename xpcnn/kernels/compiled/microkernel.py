"""A tile of a sum of products, in the processor's registers: the inside of a direct convolution.

    c[i,j] = max(floor, base[i,j] + Σ_k a[i·a_row + reads[k]] · b[k·b_row + j])                    (1)

for some rows i and one or two vectors of columns j. All sums of a tile stay in registers. For each k, a vector of b is
read once, and each number of a is repeated over a vector. `reads` says where the numbers of a lie: under the taps of a
kernel, or at the positions of an image. So nothing is copied or rearranged, as BLAS does before it multiplies.

LLVM is given a loop over k for each size of tile, in vectors as wide as the processor's. `Tile.of` says how many rows
fit into its registers. With more, LLVM, which reads the numbers of a beforehand, would put sums into memory.

Source: E. Georganas et al., Anatomy of high-performance deep learning convolutions on SIMD architectures, 2018
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .loop import external
from .vectors import Writer, lanes, registers, written

_NAMES = "a, a_row, reads, count, b, b_row, base, base_row, floor, c, c_row, rows, vectors"


class Tile(NamedTuple):
    """The sizes of tiles for this processor and a type of numbers."""

    lanes: int  # numbers in a vector
    rows: int  # at most, where there is one vector of columns
    rows_of_two: int  # at most, where there are two

    @property
    def most(self) -> int:
        """Numbers in the largest tile."""
        return max(self.rows, 2 * self.rows_of_two) * self.lanes

    def padded(self, columns: int) -> int:
        """That many columns, and more to fill the last vector."""
        return -(-columns // self.lanes) * self.lanes

    @classmethod
    def of(cls, dtype: Any) -> Tile:
        return cls(lanes(np.dtype(dtype).char), *((14, 10) if registers() == 32 else (8, 4)))


def _write(code: Writer, *given: Any) -> None:
    """(1), for all sizes of tiles."""
    *others, rows, vectors = given
    tile = Tile.of(code.char)
    sizes = [(v, i) for v, most in ((1, tile.rows), (2, tile.rows_of_two)) for i in range(1, most + 1)]
    code.choose(vectors, rows, {size: partial(_write_tile, code, *size, *others) for size in sizes})


def _write_tile(
    code: Writer, vectors: int, rows: int, a: Any, a_row: Any, reads: Any, count: Any, b: Any, b_row: Any,
    base: Any, base_row: Any, floor: Any, c: Any, c_row: Any,
) -> None:  # fmt: skip
    builder, columns = code.builder, [v * code.lanes for v in range(vectors)]
    a, b, base, c, reads = map(code.array, (a, b, base, c, reads))
    tile = [(i, v) for i in range(rows) for v in range(vectors)]

    def place(i: int, v: int, row: Any) -> Any:
        return code.moved(builder.mul(row, code.integer(i)), columns[v])

    distances = [builder.mul(a_row, code.integer(i)) for i in range(rows)]

    def of_one(carried: list[Any]) -> list[Any]:
        k, row, *sums = carried
        read = code.behind(a, code.integer_of(reads, k))
        given = [code.load(b, code.moved(row, shift)) for shift in columns]
        factors = [code.number(read, distance) for distance in distances]
        added = [code.add_product(factors[i], given[v], total) for (i, v), total in zip(tile, sums, strict=True)]
        return [code.moved(k, 1), builder.add(row, b_row), *added]

    begun = [code.load(base, place(i, v, base_row)) for i, v in tile]
    _, _, *sums = code.repeat(count, [code.integer(0), code.integer(0), *begun], of_one)
    lowest = code.spread(floor)
    for (i, v), total in zip(tile, sums, strict=True):
        code.store(code.at_least(total, lowest), c, place(i, v, c_row))


def _address(numba: Any, number: str) -> Callable[[Any, int], Any]:
    integer = numba.int64

    def address(a: Any, at: int) -> Any:
        return integer(a.ctypes.data) + at * a.itemsize

    return address


def _moved(numba: Any, number: str) -> Callable[[Any, int], Any]:
    item = np.dtype(number).itemsize

    def moved(place: Any, by: int) -> Any:
        return place + by * item

    return moved


@external(_address)
def address(a: Any, at: int) -> Any:
    """The place of a number of an array of one axis: its address where loops are compiled, else the array from there.

    So compiled loops take places in arrays of all kinds, to read and to write, as one type.
    """
    return a[at:]


@external(_moved)
def moved(place: Any, by: int) -> Any:
    """The place of a number that is `by` further on."""
    return place[by:]


@external(written(_NAMES, _write))
def add_tile(
    a: Any, a_row: int, reads: Any, count: int, b: Any, b_row: int, base: Any, base_row: int, floor: float,
    c: Any, c_row: int, rows: int, vectors: int,
) -> None:  # fmt: skip
    """(1), in c; `base` may be c itself.

    Parameters
        a, b, base, c : places, from `address` or `moved`
        reads, count : the place of int64 (K,), and how many of them; at least 1
        rows : at most `Tile.rows`, or `Tile.rows_of_two`
        vectors : 1 or 2; of columns, `Tile.lanes` each
    """
    for i in range(rows):
        for j in range(vectors * lanes(c.dtype.char)):
            total = base[i * base_row + j]
            for k in range(count):
                total += a[i * a_row + reads[k]] * b[k * b_row + j]
            c[i * c_row + j] = floor if total <= floor else total
