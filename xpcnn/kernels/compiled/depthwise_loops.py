"""The loops of depthwise convolution over runs of numbers, each with a weight of its own: see `depthwise`.

With the names of its docstring, row i and tap u read row (i·S + u·D − P)/G of x. So what rows i, i+E, i+2E, i+3E read
with taps u, u+F, u+2F are six rows, X apart, where S·E = D·F = G·X is the least common multiple of S·G and D: each
number that is read meets up to three taps, and each weight four rows. If what a tap reads at neighbouring positions
follows each other, as y does, several positions are one run. Positions of which a tap reads nothing are left out.

Arguments
    x : (M, H, W, L), y, dy : (M, OH, OW, L);  number k of a position belongs to channel k // repeat
    w : (KH·KW, C), bias : (C,)
    kh, kw; step_h, step_w; apart_h, apart_w; gap_h, gap_w; top, left : the kernel, S, D, G and P
    common : the least common multiple along the height
    relu : whether negative numbers of y become 0
    rows, numbers, positions : rows of y, and numbers of a position, in a part; positions in a run
    first, last : a unit of work, of parts
    tiles, sums : scratch (KH·KW + 1, positions · numbers or more), for weights and bias, or their gradients
    total : (KH·KW + 1, C)
"""

from __future__ import annotations

from .copying import clear, move
from .depthwise_runs import add_rows, add_up, rectify, spread, sum_rows
from .loop import In1, In2, In4, Out2, Out4, Sums2, loop


@loop
def correlate(
    x: In4, w: In2, bias: In1, repeat: int,
    kh: int, kw: int, step_h: int, step_w: int, apart_h: int, apart_w: int, gap_h: int, gap_w: int, top: int, left: int,
    common: int, relu: bool, rows: int, numbers: int, positions: int, first: int, last: int,
    tiles: Out2, y: Out4,
) -> None:  # fmt: skip
    """(1), or (4)."""
    _, tall, wide, length = x.shape
    images, height, width, _ = y.shape
    read, out, weights, run_length = x.reshape(x.size), y.reshape(y.size), tiles.reshape(tiles.size), tiles.shape[1]
    blocks, bottom, ready = (height + rows - 1) // rows, (tall - 1) * gap_h, -1
    between, taps_between = common // step_h, common // apart_h
    row, y_step = wide * length, between * width * length
    for item in range(first, last):
        chunk, m, block = item // (images * blocks), item // blocks % images, item % blocks
        from_k = chunk * numbers
        count = min(numbers, length - from_k)
        if chunk != ready:
            spread(w, bias, from_k, count, positions, repeat, tiles)
            ready = chunk
        end = min(block * rows + rows, height)
        for begin in range(block * rows, min(block * rows + between, end)):
            i = begin
            while i < end:
                p = i * step_h - top
                inside = p >= 0 and p + 3 * common + (kh - 1) * apart_h <= bottom
                at_once = 4 if inside and i + 3 * between < end else 1
                for at in range(min(gap_w, width)):
                    across = (width - at + gap_w - 1) // gap_w
                    for j in range(0, across, positions):
                        until = min(j + positions, across)
                        o = ((m * height + i) * width + at + j * gap_w) * length + from_k
                        for r in range(at_once):
                            move(weights, kh * kw * run_length, out, o + r * y_step, (until - j) * count)
                        for v in range(kw):
                            place = at * step_w + v * apart_w - left
                            q = place // gap_w
                            start, stop = max(j, -(q // step_w)), min(until, (wide - 1 - q) // step_w + 1)
                            if place % gap_w == 0 and start < stop:
                                a = (m * tall * wide + q + start * step_w) * length + from_k
                                for u0 in range(min(taps_between, kh)):
                                    u, p = u0, i * step_h + u0 * apart_h - top
                                    while u < kh and p <= bottom and p % gap_h == 0:
                                        taps = 3 if u + 2 * taps_between < kh and 0 <= p <= bottom - 2 * common else 1
                                        if p >= 0:
                                            add_rows(
                                                read, a + p // gap_h * row, common // gap_h * row,
                                                weights, (u * kw + v) * run_length, taps_between * kw * run_length,
                                                out, o + (start - j) * length, y_step, at_once, taps,
                                                (stop - start) * count,
                                            )  # (1), (4)  # fmt: skip
                                        u += taps * taps_between
                                        p += taps * common
                        if relu:
                            for r in range(at_once):
                                rectify(out, o + r * y_step, (until - j) * count)
                i += at_once * between


@loop
def gradients(
    x: In4, dy: In4, repeat: int,
    kh: int, kw: int, step_h: int, step_w: int, apart_h: int, apart_w: int, gap_h: int, gap_w: int, top: int, left: int,
    common: int, rows: int, numbers: int, positions: int, first: int, last: int, sums: Out2, total: Sums2,
) -> None:  # fmt: skip
    """Adds (2), and in the last row (3), to total."""
    _, tall, wide, length = x.shape
    images, height, width, _ = dy.shape
    read, given, tiles, run_length = x.reshape(x.size), dy.reshape(dy.size), sums.reshape(sums.size), sums.shape[1]
    blocks, bottom = (height + rows - 1) // rows, tall - 1
    between, taps_between = common // step_h, common // apart_h
    row, dy_step = wide * length, between * width * length
    clear(tiles, 0, tiles.size)
    for item in range(first, last):
        chunk, m, block = item // (images * blocks), item // blocks % images, item % blocks
        from_k = chunk * numbers
        count = min(numbers, length - from_k)
        end = min(block * rows + rows, height)
        for begin in range(block * rows, min(block * rows + between, end)):
            i = begin
            while i < end:
                p = i * step_h - top
                inside = p >= 0 and p + 3 * common + (kh - 1) * apart_h <= bottom
                at_once = 4 if inside and i + 3 * between < end else 1
                for j in range(0, width, positions):
                    until = min(j + positions, width)
                    o = ((m * height + i) * width + j) * length + from_k
                    for r in range(at_once):
                        add_up(given, o + r * dy_step, tiles, kh * kw * run_length, (until - j) * count)  # (3)
                    for v in range(kw):
                        q = v * apart_w - left
                        start, stop = max(j, -(q // step_w)), min(until, (wide - 1 - q) // step_w + 1)
                        if start < stop:
                            a = (m * tall * wide + q + start * step_w) * length + from_k
                            for u0 in range(min(taps_between, kh)):
                                u, p = u0, i * step_h + u0 * apart_h - top
                                while u < kh and p <= bottom:
                                    taps = 3 if u + 2 * taps_between < kh and 0 <= p <= bottom - 2 * common else 1
                                    if p >= 0:
                                        sum_rows(
                                            read, a + p * row, common * row,
                                            tiles, (u * kw + v) * run_length, taps_between * kw * run_length,
                                            given, o + (start - j) * length, dy_step, at_once, taps,
                                            (stop - start) * count,
                                        )  # (2)  # fmt: skip
                                    u += taps * taps_between
                                    p += taps * common
                i += at_once * between
        if item + 1 == last or (item + 1) // (images * blocks) != chunk:
            for t in range(kh * kw + 1):
                tile, to = sums[t], total[t]
                for k in range(positions * count):
                    to[(from_k + k % count) // repeat] += tile[k]
            clear(tiles, 0, tiles.size)
