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
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from .loop import NAME, NUMBERS, external


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
        size, registers = _vectors()
        return cls(size // np.dtype(dtype).itemsize, *((14, 10) if registers == 32 else (8, 4)))


@cache
def _vectors() -> tuple[int, int]:
    """The bytes of the processor's vectors, and how many registers there are."""
    if find_spec(NAME) is None:
        return 16, 16
    registry = import_module("numba.core.registry")
    triple, _, features = registry.cpu_target.target_context.codegen().magic_tuple()
    has = features.split(",")
    if "+avx512f" in has:
        return 64, 32
    if "+avx" in has:
        return 32, 16
    return 16, 32 if triple.startswith(("aarch64", "arm64")) else 16


def _in_registers(numba: Any, number: str) -> Callable[..., None]:
    """`add_tile` for loops that are compiled for this type of numbers."""
    if numba.config.DISABLE_JIT:
        return _as_a_loop
    kernel, real, item = _kernel(number), getattr(numba, NUMBERS[number]), np.dtype(number).itemsize

    def tile(
        a: int, a_row: int, reads: int, count: int, b: int, b_row: int, base: int, base_row: int, floor: float,
        c: int, c_row: int, rows: int, vectors: int,
    ) -> None:  # fmt: skip
        kernel(
            a, b, base, c, reads, a_row * item, b_row * item, base_row * item, c_row * item, count, rows, vectors,
            real(floor),
        )  # fmt: skip

    return tile


def _kernel(number: str) -> Any:
    """A function of addresses, and of distances in bytes, that has a loop over k for every size of tile."""
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    tile, item = Tile.of(number), np.dtype(number).itemsize
    real, i32, i64 = ir.FloatType() if number == "f" else ir.DoubleType(), ir.IntType(32), ir.IntType(64)
    vector = ir.VectorType(real, tile.lanes)
    size, name = tile.lanes * item, f"llvm.fmuladd.v{tile.lanes}f{8 * item}"  # a·b + c, rounded once where that is fast

    def load(builder: Any, address: Any, kind: Any, align: int = item) -> Any:
        found = builder.load(builder.inttoptr(address, kind.as_pointer()))
        found.align = align
        return found

    def repeat(builder: Any, value: Any) -> Any:
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, i32(0))
        return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(i32, tile.lanes), None))

    def emit(builder: Any, rows: int, vectors: int, multiply_add: Any, given: Any) -> None:
        """(1), for this size of tile."""
        a, b, base, c, reads, a_row, b_row, base_row, c_row, count, _, _, floor = given
        places = [(i, v) for i in range(rows) for v in range(vectors)]

        def address(start: Any, row: Any, i: int, v: int) -> Any:
            return builder.add(builder.add(start, builder.mul(row, i64(i))), i64(v * size))

        begin, body, done = builder.block, builder.append_basic_block(), builder.append_basic_block()
        bases = [load(builder, address(base, base_row, *place), vector) for place in places]
        offsets = [builder.mul(a_row, i64(i)) for i in range(rows)]
        builder.branch(body)
        builder.position_at_end(body)
        k, row_of_b, *sums = [builder.phi(kind) for kind in (i64, i64, *[vector] * len(places))]
        read = load(builder, builder.add(reads, builder.mul(k, i64(8))), i64, 8)
        row_of_a = builder.add(a, builder.mul(read, i64(item)))
        columns = [load(builder, builder.add(row_of_b, i64(v * size)), vector) for v in range(vectors)]
        factors = [repeat(builder, load(builder, builder.add(row_of_a, each), real)) for each in offsets]
        added = [
            builder.call(multiply_add, [factors[i], columns[v], each])
            for (i, v), each in zip(places, sums, strict=True)
        ]
        k_after, row_after = builder.add(k, i64(1)), builder.add(row_of_b, b_row)
        builder.cbranch(builder.icmp_signed("<", k_after, count), body, done)
        for phi, first, after in [
            (k, i64(0), k_after),
            (row_of_b, b, row_after),
            *zip(sums, bases, added, strict=True),
        ]:
            phi.add_incoming(first, begin)
            phi.add_incoming(after, body)
        builder.position_at_end(done)
        lowest = repeat(builder, floor)
        for place, each in zip(places, added, strict=True):
            out = builder.select(builder.fcmp_ordered("<=", each, lowest), lowest, each)  # NaN stays
            builder.store(out, builder.inttoptr(address(c, c_row, *place), vector.as_pointer())).align = item

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        multiply_add = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        end, (*_, rows, vectors, _) = builder.append_basic_block(), given
        choice = builder.switch(builder.add(rows, builder.mul(vectors, i64(64))), end)
        for width, most in ((1, tile.rows), (2, tile.rows_of_two)):
            for height in range(1, most + 1):
                start = builder.append_basic_block()
                choice.add_case(i64(height + 64 * width), start)
                builder.position_at_end(start)
                emit(builder, height, width, multiply_add, given)
                builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    signature = types.void(*[types.int64] * 12, types.float32 if number == "f" else types.float64)

    @intrinsic
    def kernel(typing, a, b, base, c, reads, a_row, b_row, base_row, c_row, count, rows, vectors, floor):  # type: ignore[no-untyped-def]
        return signature, generate

    return kernel


def _address(numba: Any, number: str) -> Callable[[Any, int], Any]:
    integer = numba.int64

    def address(a: Any, at: int) -> Any:
        return integer(a.ctypes.data) + at * a.itemsize

    return _place if numba.config.DISABLE_JIT else address


def _moved(numba: Any, number: str) -> Callable[[Any, int], Any]:
    item = np.dtype(number).itemsize

    def moved(place: Any, by: int) -> Any:
        return place + by * item

    return _place if numba.config.DISABLE_JIT else moved


def _place(a: Any, at: int) -> Any:
    return a[at:]


def _as_a_loop(
    a: Any, a_row: int, reads: Any, count: int, b: Any, b_row: int, base: Any, base_row: int, floor: float,
    c: Any, c_row: int, rows: int, vectors: int,
) -> None:  # fmt: skip
    for i in range(rows):
        for j in range(vectors * Tile.of(c.dtype).lanes):
            total = base[i * base_row + j]
            for k in range(count):
                total += a[i * a_row + reads[k]] * b[k * b_row + j]
            c[i * c_row + j] = floor if total <= floor else total


@external(_address)
def address(a: Any, at: int) -> Any:
    """The place of a number of an array of one axis: its address where loops are compiled, else the array from there.

    So compiled loops take places in arrays of all kinds, to read and to write, as one type.
    """
    return _place(a, at)


@external(_moved)
def moved(place: Any, by: int) -> Any:
    """The place of a number that is `by` further on."""
    return _place(place, by)


@external(_in_registers)
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
    _as_a_loop(a, a_row, reads, count, b, b_row, base, base_row, floor, c, c_row, rows, vectors)
