"""The loops of depthwise convolution: see `depthwise`.

With the names of its docstring, row i and tap u read row (i·S + u·D − P)/G of x. So what rows i, i+E, i+2E, i+3E read
with taps u, u+F, u+2F are six rows, X apart, where S·E = D·F = G·X is the least common multiple of S·G and D: each
number that is read meets up to three taps, and each weight four rows. The columns of a row that a tap reads follow each
other, because those S apart are copied beside each other, with zeros outside. If a position's numbers do, too, several
positions are one run.

Arguments
    x : (M, H, W, L), y, dy : (M, OH, OW, L);  number k of a position belongs to channel k // repeat
    w : (KH·KW, C), bias : (C,)
    kh, kw; step_h, step_w; apart_h, apart_w; gap_h, gap_w; top, left : the kernel, S, D, G and P
    common : the least common multiple along the height
    low, high : the numbers of y are cut off there
    rows, numbers, positions : rows of y and numbers of a position that are computed from one copy of x; positions of a
        run
    line : numbers from one copied row to the next
    first, last : a unit of work, of parts with so many numbers of so many rows of an image
    copies : scratch for a copy of what a part reads; of size 0 if x is padded already (G = 1)
    tiles, sums : scratch (KH·KW + 1, positions · numbers or more), for weights and bias, or their gradients
    total : (KH·KW + 1, C)
"""

from __future__ import annotations

from .depthwise_runs import add_rows, copy_rows, cut, spread, sum_rows
from .loop import In1, In2, In4, Out1, Out2, Out4, Sums2, loop
from .row_loops import clear, move


@loop
def correlate(
    x: In4, w: In2, bias: In1, repeat: int,
    kh: int, kw: int, step_h: int, step_w: int, apart_h: int, apart_w: int, gap_h: int, gap_w: int, top: int, left: int,
    common: int, cuts: bool, low: float, high: float, rows: int, numbers: int, positions: int, line: int,
    first: int, last: int, copies: Out1, tiles: Out2, y: Out4,
) -> None:  # fmt: skip
    """(1), or (4)."""
    images, height, width, length = y.shape
    whole, out, weights, run_length = copies.size == 0, y.reshape(y.size), tiles.reshape(tiles.size), tiles.shape[1]
    read = x.reshape(x.size) if whole else copies
    blocks, ready = (height + rows - 1) // rows, -1
    between, taps_between = common // step_h, common // apart_h
    y_step = between * width * length
    from_q = -(left // gap_w)  # the first column that is read, and how many there are of each phase
    columns = (((width - 1) * step_w + (kw - 1) * apart_w - left) // gap_w - from_q + step_w) // step_w
    for item in range(first, last):
        chunk, m, block = item // (images * blocks), item // blocks % images, item % blocks
        from_k = chunk * numbers
        count = min(numbers, length - from_k)
        if chunk != ready:
            spread(w, bias, from_k, count, positions, repeat, tiles)
            ready = chunk
        begin, end = block * rows, min(block * rows + rows, height)
        from_p = -((top - begin * step_h) // gap_h)
        if whole:
            start, row = ((m * x.shape[1] + from_p) * x.shape[2] + from_q) * length + from_k, x.shape[2] * length
        else:
            start, row = 0, line
            until = ((end - 1) * step_h + (kh - 1) * apart_h - top) // gap_h + 1
            copy_rows(x, m, from_k, count, from_p, until, from_q, step_w, columns, line, copies)
        for residue in range(min(between, end - begin)):
            i = begin + residue
            while i < end:
                some = 4 if i + 3 * between < end else 1
                for at in range(min(gap_w, width)):
                    across = (width - at + gap_w - 1) // gap_w
                    for j in range(0, across, positions):
                        n = min(positions, across - j) * count
                        o = ((m * height + i) * width + at + j * gap_w) * length + from_k
                        for r in range(some):
                            move(weights, kh * kw * run_length, out, o + r * y_step, n)
                        for v in range(kw):
                            place = at * step_w + v * apart_w - left
                            if place % gap_w == 0:
                                q = place // gap_w - from_q
                                if whole:
                                    a = start + (q + j * step_w) * length
                                else:
                                    a = (q % step_w * columns + q // step_w + j) * count
                                for u0 in range(min(taps_between, kh)):
                                    u, p = u0, i * step_h + u0 * apart_h - top
                                    while u < kh and p % gap_h == 0:
                                        taps = 3 if u + 2 * taps_between < kh else 1
                                        add_rows(
                                            read, a + (p // gap_h - from_p) * row, common // gap_h * row,
                                            weights, (u * kw + v) * run_length, taps_between * kw * run_length,
                                            out, o, y_step, some, taps, n,
                                        )  # (1), (4)  # fmt: skip
                                        u += taps * taps_between
                                        p += taps * common
                        if cuts:
                            for r in range(some):
                                cut(out, o + r * y_step, n, low, high)
                i += some * between


@loop
def weight_gradients(
    x: In4, dy: In4, repeat: int,
    kh: int, kw: int, step_h: int, step_w: int, apart_h: int, apart_w: int, gap_h: int, gap_w: int, top: int, left: int,
    common: int, rows: int, numbers: int, positions: int, line: int, first: int, last: int,
    copies: Out1, sums: Out2, total: Sums2,
) -> None:  # fmt: skip
    """Adds (2), and in the last row (3), to total."""
    images, height, width, length = dy.shape
    whole, given, tiles, run_length = copies.size == 0, dy.reshape(dy.size), sums.reshape(sums.size), sums.shape[1]
    read = x.reshape(x.size) if whole else copies
    blocks = (height + rows - 1) // rows
    between, taps_between = common // step_h, common // apart_h
    dy_step = between * width * length
    columns = ((width - 1) * step_w + (kw - 1) * apart_w + step_w) // step_w
    clear(tiles, 0, tiles.size)
    for item in range(first, last):
        chunk, m, block = item // (images * blocks), item // blocks % images, item % blocks
        from_k = chunk * numbers
        count = min(numbers, length - from_k)
        begin, end = block * rows, min(block * rows + rows, height)
        if whole:
            start, row = (m * x.shape[1] + begin * step_h) * x.shape[2] * length + from_k, x.shape[2] * length
        else:
            start, row = 0, line
            until = (end - 1) * step_h + (kh - 1) * apart_h - top + 1
            copy_rows(x, m, from_k, count, begin * step_h - top, until, -left, step_w, columns, line, copies)
        for residue in range(min(between, end - begin)):
            i = begin + residue
            while i < end:
                some = 4 if i + 3 * between < end else 1
                for j in range(0, width, positions):
                    n = min(positions, width - j) * count
                    o = ((m * height + i) * width + j) * length + from_k
                    for r in range(some):
                        d, db = given[o + r * dy_step : o + r * dy_step + n], tiles[kh * kw * run_length :]
                        for k in range(n):
                            db[k] += d[k]  # (3)
                    for v in range(kw):
                        q = v * apart_w
                        if whole:
                            a = start + (q + j * step_w) * length
                        else:
                            a = (q % step_w * columns + q // step_w + j) * count
                        for u0 in range(min(taps_between, kh)):
                            u, p = u0, (i - begin) * step_h + u0 * apart_h
                            while u < kh:
                                taps = 3 if u + 2 * taps_between < kh else 1
                                sum_rows(
                                    read, a + p * row, common * row,
                                    tiles, (u * kw + v) * run_length, taps_between * kw * run_length,
                                    given, o, dy_step, some, taps, n,
                                )  # (2)  # fmt: skip
                                u += taps * taps_between
                                p += taps * common
                i += some * between
        if item + 1 == last or (item + 1) // (images * blocks) != chunk:
            for t in range(kh * kw + 1):
                tile, to = sums[t], total[t]
                for k in range(positions * count):
                    to[(from_k + k % count) // repeat] += tile[k]
            clear(tiles, 0, tiles.size)
