"""A block of a window's outputs, held in the processor's registers: the innermost loop of a compiled plan.

For I positions p in a row of output and V vectors of filters or channels f, with taps (u, v),

    product     y[p,f] = b[f] + Σ_u Σ_v Σ_c x[p·S + u·D_u + v·D_v + c] w[u,v,c,f]        (1)
    channels    y[p,f] = b[f] + Σ_u Σ_v x[p·S + u·D_u + v·D_v + f] w[u,v,f]              (2)
    largest     y[p,f] = max_{u,v} x[p·S + u·D_u + v·D_v + f]                            (3)

and then y ← min(max(y + r, low), high). (1) is a convolution, (2) a depthwise one. Sums are chains of multiply-adds in
this order for any I and V. So it changes no bit how outputs are cut into blocks.

Arguments of the three functions
    memory : x, y and r are offsets in it, r = −1 for none;  S, y_step and r_step are distances of positions
    constants : w, b and limits (low, high) are offsets in it
    kh, kw, count : taps, and the number of c;  apart_h, apart_w : D_u, D_v
    last : how many numbers of the last vector are f
    wide, long : V and I

Source: K. Goto and R. van de Geijn, Anatomy of high-performance matrix multiplication, 2008, the inner kernel
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .loop import external
from .vectors import Writer, lanes, registers, written

WIDE, LONG = 4, 8  # V and I, at most
_PRODUCT, _CHANNELS, _LARGEST = range(3)
_NAMES = (
    "wide, long, memory, constants, x, step, kh, kw, count, apart_h, apart_w, w, b, y, y_step, r, r_step, limits, last"
)


def most_positions(wide: int) -> int:
    """I at most, beside V = wide: the sums, a weight for each vector, and a number of x are in registers."""
    return max(1, min(LONG, (registers() - wide - (registers() < 32)) // wide))


def _of_all_sizes(mode: int) -> Callable[..., None]:
    """What writes the function of that mode."""

    def write(code: Writer, wide: Any, long: Any, *others: Any) -> None:
        sizes = [(v, i) for v in (1, 2, 4) for i in range(1, most_positions(v) + 1)]
        code.choose(wide, long, {size: partial(_block(mode, *size), code, *others) for size in sizes})

    return write


def _block(mode: int, wide: int, long: int) -> Callable[..., None]:
    """What writes the instructions for V = wide and I = long."""

    def write(
        code: Writer, memory: Any, constants: Any, x: Any, step: Any, kh: Any, kw: Any, count: Any,
        apart_h: Any, apart_w: Any, w: Any, b: Any, y: Any, y_step: Any, r: Any, r_step: Any, limits: Any, last: Any,
    ) -> None:  # fmt: skip
        builder, vectors = code.builder, [v * code.lanes for v in range(wide)]
        begun = (
            [code.constant(-np.inf)] if mode == _LARGEST else [code.load(constants, code.moved(b, v)) for v in vectors]
        )
        sums = (begun * wide)[:wide] * long

        def of_one(carried: list[Any]) -> list[Any]:
            """One number of each position, or one of each channel."""
            at, weights_at, *sums = carried
            weights = [] if mode == _LARGEST else [code.load(constants, code.moved(weights_at, v)) for v in vectors]
            made, place = [], at
            for p in range(long):
                if mode == _PRODUCT:
                    numbers = [code.number(memory, place)] * wide
                else:
                    numbers = [code.load(memory, code.moved(place, v)) for v in vectors]
                for v in range(wide):
                    before = sums[p * wide + v]
                    if mode == _LARGEST:
                        made.append(code.larger(numbers[v], before))  # (3)
                    else:
                        made.append(code.add_product(numbers[v], weights[v], before))  # (1), (2)
                place = builder.add(place, step)
            return [code.moved(at, 1), code.moved(weights_at, wide * code.lanes), *made]

        def of_a_column(carried: list[Any]) -> list[Any]:
            _, *made = code.repeat(count, carried, of_one) if mode == _PRODUCT else of_one(carried)
            return [builder.add(carried[0], apart_w), *made]

        def of_a_row(carried: list[Any]) -> list[Any]:
            _, *made = code.repeat(kw, carried, of_a_column)
            return [builder.add(carried[0], apart_h), *made]

        _, _, *sums = code.repeat(kh, [x, w, *sums], of_a_row)
        low, high = (code.number(constants, code.moved(limits, k)) for k in range(2))
        valid = code.first(last)

        def finish(with_r: bool) -> None:
            to, more = y, r
            for p in range(long):
                for v, shift in enumerate(vectors):
                    value = sums[p * wide + v]
                    if with_r:
                        value = builder.fadd(value, code.load(memory, code.moved(more, shift)))
                    value = code.clip(value, low, high)
                    if v < wide - 1:
                        code.store(value, memory, code.moved(to, shift))
                    else:
                        code.store_first(value, memory, code.moved(to, shift), valid)
                to, more = builder.add(to, y_step), builder.add(more, r_step)

        with builder.if_else(builder.icmp_signed(">=", r, code.integer(0))) as (has_r, has_none):
            with has_r:
                finish(True)
            with has_none:
                finish(False)

    return write


@external(written(_NAMES, _of_all_sizes(_PRODUCT)))
def product_block(
    wide: int, long: int, memory: Any, constants: Any, x: int, step: int, kh: int, kw: int, count: int,
    apart_h: int, apart_w: int, w: int, b: int, y: int, y_step: int, r: int, r_step: int, limits: int, last: int,
) -> None:  # fmt: skip
    """(1)"""
    size = (wide - 1) * lanes(memory.dtype.char) + last
    distance = wide * lanes(memory.dtype.char)
    for p in range(long):
        total = constants[b : b + size].copy()
        for k in range(kh * kw * count):
            u, v, c = k // (kw * count), k // count % kw, k % count
            total += memory[x + p * step + u * apart_h + v * apart_w + c] * constants[w + k * distance :][:size]
        _finish(total, p, memory, constants, y, y_step, r, r_step, limits)


@external(written(_NAMES, _of_all_sizes(_CHANNELS)))
def channels_block(
    wide: int, long: int, memory: Any, constants: Any, x: int, step: int, kh: int, kw: int, count: int,
    apart_h: int, apart_w: int, w: int, b: int, y: int, y_step: int, r: int, r_step: int, limits: int, last: int,
) -> None:  # fmt: skip
    """(2); `count` is not used."""
    size = (wide - 1) * lanes(memory.dtype.char) + last
    distance = wide * lanes(memory.dtype.char)
    for p in range(long):
        total = constants[b : b + size].copy()
        for k in range(kh * kw):
            at = x + p * step + k // kw * apart_h + k % kw * apart_w
            total += memory[at : at + size] * constants[w + k * distance :][:size]
        _finish(total, p, memory, constants, y, y_step, r, r_step, limits)


@external(written(_NAMES, _of_all_sizes(_LARGEST)))
def largest_block(
    wide: int, long: int, memory: Any, constants: Any, x: int, step: int, kh: int, kw: int, count: int,
    apart_h: int, apart_w: int, w: int, b: int, y: int, y_step: int, r: int, r_step: int, limits: int, last: int,
) -> None:  # fmt: skip
    """(3); `count`, w and b are not used."""
    size = (wide - 1) * lanes(memory.dtype.char) + last
    for p in range(long):
        found = np.full(size, -np.inf, memory.dtype)
        for k in range(kh * kw):
            at = x + p * step + k // kw * apart_h + k % kw * apart_w
            found = np.maximum(found, memory[at : at + size])
        _finish(found, p, memory, constants, y, y_step, r, r_step, limits)


def _finish(
    value: Any, p: int, memory: Any, constants: Any, y: int, y_step: int, r: int, r_step: int, limits: int
) -> None:
    if r >= 0:
        value = value + memory[r + p * r_step :][: len(value)]
    memory[y + p * y_step :][: len(value)] = np.clip(value, constants[limits], constants[limits + 1])
