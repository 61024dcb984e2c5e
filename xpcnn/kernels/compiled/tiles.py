"""One tile of Winograd's algorithm, F(4×4, 3×3), whose numbers are in the processor's registers.

    v_t = Bᵀ d_t B                          (1)
    y_t = Aᵀ m_t A + b + r, then cut off at low and high    (2)

for all channels or filters; m_t = Σ_c v_t ⊙ (G g Gᵀ) are 36 products of matrices, as in `winograd_tiles`.

Arguments
    memory : x, v, m, y and r are offsets in it;  row, pixel and the like are distances of rows and of positions
    plane : the distance of the 36 matrices
    constants : b and limits are offsets in it
    rows, columns : how many of the tile's positions are within the image
    count : of channels, or of filters, a multiple of the processor's `lanes`

Source: A. Lavin and S. Gray, Fast algorithms for convolutional neural networks, 2015, F(4×4, 3×3) → (1), (2)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..winograd import A_T, B_T
from .loop import external
from .vectors import Writer, written

_IN = "memory, constants, x, row, pixel, v, plane, count"
_OUT = "memory, constants, m, plane, b, y, row, pixel, r, r_row, r_pixel, limits, rows, columns, count"


def _combine(code: Writer, matrix: Any, values: list[Any]) -> list[Any]:
    """The matrix times a column of vectors."""
    made = []
    for factors in matrix:
        total = None
        for factor, value in zip(factors, values, strict=True):
            if factor == 0:
                continue
            if total is None:
                total = value if factor == 1 else code.builder.fmul(value, code.constant(float(factor)))
            elif abs(factor) == 1:
                total = (code.builder.fadd if factor > 0 else code.builder.fsub)(total, value)
            else:
                total = code.add_product(value, code.constant(float(factor)), total)
        made.append(total)
    return made


def _both_axes(code: Writer, matrix: Any, tile: list[list[Any]]) -> list[list[Any]]:
    """matrix · tile · matrixᵀ; a tile is a list of rows."""
    columns = [_combine(code, matrix, list(each)) for each in zip(*tile, strict=True)]
    return [_combine(code, matrix, list(each)) for each in zip(*columns, strict=True)]


def _write_in(
    code: Writer, memory: Any, constants: Any, x: Any, row: Any, pixel: Any, v: Any, plane: Any, count: Any
) -> None:
    builder = code.builder
    places = [code.integer(0)]
    for _ in range(5):
        places.append(builder.add(places[-1], row))
    across = [code.integer(0)]
    for _ in range(5):
        across.append(builder.add(across[-1], pixel))

    def of_a_vector(carried: list[Any]) -> list[Any]:
        at, to = carried
        tile = [[code.load(memory, builder.add(builder.add(at, a), b)) for b in across] for a in places]
        place = to
        for each in _both_axes(code, B_T, tile):
            for value in each:
                code.store(value, memory, place)
                place = builder.add(place, plane)
        return [code.moved(at, code.lanes), code.moved(to, code.lanes)]

    code.repeat(builder.sdiv(count, code.integer(code.lanes)), [x, v], of_a_vector)


def _write_out(
    code: Writer, memory: Any, constants: Any, m: Any, plane: Any, b: Any, y: Any, row: Any, pixel: Any,
    r: Any, r_row: Any, r_pixel: Any, limits: Any, rows: Any, columns: Any, count: Any,
) -> None:  # fmt: skip
    builder = code.builder
    low, high = (code.number(constants, code.moved(limits, k)) for k in range(2))
    has_r = builder.icmp_signed(">=", r, code.integer(0))

    def of_a_vector(carried: list[Any]) -> list[Any]:
        at, bias, to, more = carried
        tile: list[list[Any]] = []
        place = at
        for _ in range(6):
            tile.append([])
            for _ in range(6):
                tile[-1].append(code.load(memory, place))
                place = builder.add(place, plane)
        shift = code.load(constants, bias)
        made = [[builder.fadd(value, shift) for value in each] for each in _both_axes(code, A_T, tile)]
        for i, each in enumerate(made):
            with builder.if_then(builder.icmp_signed("<", code.integer(i), rows)):
                begin = builder.add(to, builder.mul(row, code.integer(i)))
                begin_r = builder.add(more, builder.mul(r_row, code.integer(i)))
                for j, value in enumerate(each):
                    with builder.if_then(builder.icmp_signed("<", code.integer(j), columns)):
                        put = builder.add(begin, builder.mul(pixel, code.integer(j)))
                        with builder.if_else(has_r) as (adds, adds_none):
                            with adds:
                                from_r = builder.add(begin_r, builder.mul(r_pixel, code.integer(j)))
                                total = builder.fadd(value, code.load(memory, from_r))
                                code.store(code.clip(total, low, high), memory, put)
                            with adds_none:
                                code.store(code.clip(value, low, high), memory, put)
        return [code.moved(each, code.lanes) for each in carried]

    code.repeat(builder.sdiv(count, code.integer(code.lanes)), [m, b, y, r], of_a_vector)


@external(written(_IN, _write_in))
def tile_in(memory: Any, constants: Any, x: int, row: int, pixel: int, v: int, plane: int, count: int) -> None:
    """(1)"""
    at = x + row * np.arange(6)[:, None, None] + pixel * np.arange(6)[:, None] + np.arange(count)  # (6, 6, C)
    made = np.einsum("pa,qb,abc->pqc", B_T, B_T, memory[at]).reshape(36, count)
    memory[v + plane * np.arange(36)[:, None] + np.arange(count)] = made


@external(written(_OUT, _write_out))
def tile_out(
    memory: Any, constants: Any, m: int, plane: int, b: int, y: int, row: int, pixel: int,
    r: int, r_row: int, r_pixel: int, limits: int, rows: int, columns: int, count: int,
) -> None:  # fmt: skip
    """(2)"""
    tile = memory[m + plane * np.arange(36)[:, None] + np.arange(count)].reshape(6, 6, count)
    value = (np.einsum("ap,bq,pqf->abf", A_T, A_T, tile) + constants[b : b + count])[:rows, :columns]
    i, j, f = np.arange(value.shape[0])[:, None, None], np.arange(value.shape[1])[:, None], np.arange(count)
    if r >= 0:
        value = value + memory[r + r_row * i + r_pixel * j + f]
    memory[y + row * i + pixel * j + f] = np.clip(value, constants[limits], constants[limits + 1])
