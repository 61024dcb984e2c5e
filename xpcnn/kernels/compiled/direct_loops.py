"""The loops of direct convolution, with the channels last in memory: see `conv`.

    y[n,i,j,f]  = b[f] + Σ_k x[n, i·S − P, j·S − P, reads[k]] · w[k,f],    k = (u, v, c)               (1)
    dw[k,f]     = Σ_q x[u·D − P, v·D − P, c, reads[q]] · dy[q,f],          q = (i, j), of each n       (2)
    db[f]       = Σ_q dy[q,f]                                                                          (3)

with the equation numbers of `xpcnn.ops.conv`, and `reads` a distance in memory from the number that is named. Both sums
are tiles of `microkernel`: of some positions of a row, or some numbers under the kernel, and some filters. Where
kernels reach beyond the image, the rows of a unit of work are copied with zeros around them; else x is read where it
is. (4), the gradient dx, is (1) of dy; with a stride S, one for each of the S·S classes of positions, whose results go
to rows and columns that are S apart (`gap`).

Arguments
    x : (N, H, W, G·C), y : (N, H', W', G·F), dy : (N, OH, OW, G·F), with G groups
    w : (G, K·F'), panels of two vectors of filters, the last perhaps of one, each (K, its filters); with zeros for
        filters that do not exist there are F' of them
    bias : (G, F')
    floor : 0 for ReLU, or −∞
    reads : the distances; those of all positions of a unit of work for (2)
    step_h, step_w; top, left : S and P (negative to begin within the image)
    height, width : OH and OW, the number of positions
    gap_h, gap_w, at_h, at_w : position (i, j) is written to y[n, i·gap_h + at_h, j·gap_w + at_w]
    first, last : a unit of work, some of the N·OH rows of positions
    reach, pitch : the rows that a kernel spans, and the columns that all kernels of a row span
    lanes, rows, rows_of_two : the sizes of a `Tile`
    copies : scratch for x with zeros around it, (rows, pitch, G·C); of size 0 where x is read where it is
    spare : scratch for a tile of y of which not all filters exist
    filled : scratch for dy with zeros for filters that do not exist, (positions, F'); of size 0 where all exist
    dw : (G, K, F')
"""

from __future__ import annotations

import math
from typing import Any

from .copying import clear, move
from .loop import In2, In3, In4, InInts1, Out1, Out2, Out3, Out4, loop, part
from .microkernel import add_tile, address, moved

NARROW = 7  # positions of a row
LINE = 16  # numbers, about, of a line of the processor's cache


@loop
def arrange_filters(w: In3, lanes: int, first: int, last: int, panels: Out2) -> None:
    """Panels `first` to `last`, of those of all groups, of w (G, F, K), for (1)."""
    _, f, taps = w.shape
    padded = panels.shape[1] // taps
    each = (padded + 2 * lanes - 1) // (2 * lanes)
    flat, out = w.reshape(w.size), panels.reshape(panels.size)
    for panel in range(first, last):
        g, from_f = panel // each, panel % each * 2 * lanes
        columns = min(2 * lanes, padded - from_f)
        at, read = (g * padded + from_f) * taps, (g * f + from_f) * taps
        exist = min(columns, f - from_f)
        for from_k in range(0, taps, LINE):
            to_k = min(taps, from_k + LINE)
            for j in range(exist):
                for k in range(from_k, to_k):
                    out[at + k * columns + j] = flat[read + j * taps + k]
            for j in range(exist, columns):
                for k in range(from_k, to_k):
                    out[at + k * columns + j] = 0.0


@part
def copy_padded(x: Any, shape: Any, n: int, row: int, count: int, left: int, pitch: int, copies: Any) -> None:
    """copies (count, pitch, C) ← rows from `row` on of image n, columns from −left on, zeros outside. x is flat."""
    _, high, wide, channels = shape
    before, from_q = min(max(left, 0), pitch), max(-left, 0)
    inside = max(0, min(wide - from_q, pitch - before))
    after = before + inside
    for r in range(count):
        at, p = r * pitch * channels, row + r
        if p < 0 or p >= high:
            clear(copies, at, pitch * channels)
        else:
            clear(copies, at, before * channels)
            move(x, ((n * high + p) * wide + from_q) * channels, copies, at + before * channels, inside * channels)
            clear(copies, at + after * channels, (pitch - after) * channels)


@part
def copy_all_padded(
    x: Any, shape: Any, n: int, images: int, row: int, count: int, left: int, pitch: int, copies: Any
) -> None:
    """`copy_padded` for spare images, one after the other."""
    size = count * pitch * shape[3]
    for m in range(images):
        copy_padded(x, shape, n + m, row, count, left, pitch, copies[m * size : (m + 1) * size])


@part
def position_tiles(
    x: Any, steps: Any, c: int, w: Any, bias: Any, floor: float, reads: Any,
    lanes: int, rows: int, rows_of_two: int, groups: int, f: int, spare: Any, y: Any, target: int, moves: Any,
    counts: Any,
) -> None:  # fmt: skip
    """(1), for `counts` of positions along three axes, `steps` apart in x and `moves` in y; tiles are along the last.

    x is a place; the other arrays are flat. The first position's results begin at `target`.
    """
    taps, padded, length = len(reads), len(bias) // groups, counts[2]
    under_kernel = address(reads, 0)
    for g in range(groups):
        for from_f in range(0, padded, 2 * lanes):
            vectors = min(2, (padded - from_f) // lanes)
            columns, most = vectors * lanes, rows if vectors == 1 else rows_of_two
            blocks, exist = (length + most - 1) // most, min(columns, f - from_f)
            at = g * padded + from_f
            panel, base = address(w, at * taps), address(bias, at)
            for outer in range(counts[0] * counts[1]):
                p, q, r = outer // counts[1], outer % counts[1], 0
                for block in range(blocks):
                    size = (length - r + blocks - block - 1) // (blocks - block)
                    given = moved(x, p * steps[0] + q * steps[1] + r * steps[2] + g * c)
                    to = target + p * moves[0] + q * moves[1] + r * moves[2] + g * f + from_f
                    made, apart = address(y, to), moves[2]
                    if exist < columns:
                        made, apart = address(spare, 0), columns
                    add_tile(
                        given, steps[2], under_kernel, taps, panel, columns, base, 0, floor, made, apart, size, vectors
                    )  # (1)
                    if exist < columns:
                        for k in range(size):
                            move(spare, k * columns, y, to + k * moves[2], exist)
                    r += size


@loop
def correlate_direct(
    x: In4, w: In2, bias: In2, floor: float, reads: InInts1,
    step_h: int, step_w: int, top: int, left: int, height: int, width: int,
    gap_h: int, gap_w: int, at_h: int, at_w: int, first: int, last: int, together: int, reach: int, pitch: int,
    lanes: int, rows: int, rows_of_two: int, copies: Out1, spare: Out1, y: Out4,
) -> None:  # fmt: skip
    """(1), for rows of positions `first` to `last` of those of all images, `together` images at once."""
    _, high, wide, channels = x.shape
    _, y_high, y_wide, filters = y.shape
    groups = len(w)
    c, f = channels // groups, filters // groups
    flat, flat_w, flat_bias, flat_y = x.reshape(x.size), w.reshape(w.size), bias.reshape(bias.size), y.reshape(y.size)
    y_image, y_row, y_column = y_high * y_wide * filters, gap_h * y_wide * filters, gap_w * filters
    start = first
    while start < last:
        n, i = start // height, start % height
        images = max(1, min(together, (last - start) // height)) if i == 0 else 1
        count = min(height - i, last - start)
        if copies.size > 0:
            copied = (count - 1) * step_h + reach
            copy_all_padded(flat, x.shape, n, images, i * step_h - top, copied, left, pitch, copies)
            given = address(copies, 0)
            image, row = copied * pitch * channels, step_h * pitch * channels
        else:
            given = address(flat, ((n * high + i * step_h - top) * wide - left) * channels)
            image, row = high * wide * channels, step_h * wide * channels
        steps, moves, counts = (image, row, step_w * channels), (y_image, y_row, y_column), (images, count, width)
        if images > width and width < NARROW:  # tiles are along the images
            steps, moves, counts = (row, step_w * channels, image), (y_row, y_column, y_image), (count, width, images)
        target = ((n * y_high + i * gap_h + at_h) * y_wide + at_w) * filters
        position_tiles(
            given, steps, c, flat_w, flat_bias, floor, reads, lanes, rows, rows_of_two, groups, f, spare, flat_y,
            target, moves, counts,
        )  # fmt: skip
        start += images * count


@part
def kernel_tiles(
    x: Any, row: int, channels: int, reads: Any, kh: int, kw: int, apart_h: int, apart_w: int,
    dy: Any, dy_row: int, dy_group: int, count: int, lanes: int, rows: int, rows_of_two: int,
    dw: Any, groups: int, padded: int, first_f: int, last_f: int,
) -> None:  # fmt: skip
    """Adds (2) to dw, for `count` positions. x and dy are the places of the first, dw is flat."""
    c, at_positions = channels // groups, address(reads, 0)
    joined = kw if apart_w == 1 and groups == 1 else 1  # columns of the kernel whose numbers follow each other
    run = joined * c
    for g in range(groups):
        for from_f in range(first_f, last_f, 2 * lanes):
            vectors = min(2, (last_f - from_f) // lanes)
            most = rows if vectors == 1 else rows_of_two
            blocks, given = (run + most - 1) // most, moved(dy, g * dy_group + from_f)
            for u in range(kh):
                for v in range(0, kw, joined):
                    read, k = moved(x, u * apart_h * row + v * apart_w * channels + g * c), 0
                    for block in range(blocks):
                        size = (run - k + blocks - block - 1) // (blocks - block)
                        made = address(dw, (((g * kh + u) * kw + v) * c + k) * padded + from_f)
                        add_tile(
                            moved(read, k), 1, at_positions, count, given, dy_row, made, padded, -math.inf,
                            made, padded, size, vectors,
                        )  # fmt: skip
                        k += size


@loop
def direct_gradients(
    x: In4, dy: In4, reads: InInts1, kh: int, kw: int, step_h: int, step_w: int, apart_h: int, apart_w: int,
    top: int, left: int, first: int, last: int, first_f: int, last_f: int,
    together: int, at_once: int, reach: int, pitch: int,
    lanes: int, rows: int, rows_of_two: int, copies: Out1, filled: Out1, dw: Out3, db: Out1,
) -> None:  # fmt: skip
    """Adds (2) to dw, and (3) to db, for rows `first` to `last` of those of all dy, in pieces: `together` images, or
    `at_once` rows of one; for panels of filters from `first_f` to `last_f` of each group."""
    _, high, wide, channels = x.shape
    _, height, width, filters = dy.shape
    groups, _, padded = dw.shape
    f = filters // groups
    flat, numbers, sums = x.reshape(x.size), dy.reshape(dy.size), dw.reshape(dw.size)
    start = first
    while start < last:
        n, i = start // height, start % height
        images = max(1, min(together, (last - start) // height)) if i == 0 else 1
        count = min(height - i, last - start, at_once)
        begin, end = start * width, (start + images * count) * width
        if copies.size > 0:
            copied = (count - 1) * step_h + reach
            copy_all_padded(flat, x.shape, n, images, i * step_h - top, copied, left, pitch, copies)
            read, row = address(copies, 0), pitch * channels
        else:
            read, row = address(flat, ((n * high + i * step_h - top) * wide - left) * channels), wide * channels
        given, dy_row, dy_group = address(numbers, begin * filters), filters, f
        if filled.size > 0:
            for q in range((end - begin) * groups):
                move(numbers, begin * filters + q * f, filled, q * padded, f)
                clear(filled, q * padded + f, padded - f)
            given, dy_row, dy_group = address(filled, 0), groups * padded, padded
        kernel_tiles(
            read, row, channels, reads, kh, kw, apart_h, apart_w, given, dy_row, dy_group, end - begin,
            lanes, rows, rows_of_two, sums, groups, padded, first_f, last_f,
        )  # fmt: skip
        if len(db) > 0:
            for k in range(begin * filters, end * filters, len(db)):
                run = numbers[k : min(k + len(db), end * filters)]
                for q in range(len(run)):
                    db[q] += run[q]  # (3)
        start += images * count


@loop
def fold_direct(
    dy: In4, w: In2, zeros: In2, reads: InInts1, kh: int, kw: int, step_h: int, step_w: int, apart_h: int, apart_w: int,
    top: int, left: int, first: int, last: int, lanes: int, rows: int, rows_of_two: int, sums: Out1, dx: Out4,
) -> None:  # fmt: skip
    """(4) of few channels, for images `first` to `last`: what a position adds to all that it read is one product."""
    _, height, width, filters = dy.shape
    _, high, wide, c = dx.shape
    flat, out = dy.reshape(dy.size), dx.reshape(dx.size)
    flat_w, flat_zeros = w.reshape(w.size), zeros.reshape(zeros.size)
    padded = len(flat_zeros)
    clear(out, first * high * wide * c, (last - first) * high * wide * c)
    for row in range(first * height, last * height):
        n, i = row // height, row % height
        position_tiles(
            address(flat, row * width * filters), (0, 0, filters), filters, flat_w, flat_zeros, -math.inf, reads,
            lanes, rows, rows_of_two, 1, padded, sums, sums, 0, (0, 0, padded), (1, 1, width),
        )  # fmt: skip
        for u in range(kh):
            p = i * step_h + u * apart_h - top
            if 0 <= p < high:
                for j in range(width):
                    for v in range(kw):
                        q = j * step_w + v * apart_w - left
                        if 0 <= q < wide:
                            at, to = j * padded + (u * kw + v) * c, ((n * high + p) * wide + q) * c
                            for k in range(c):
                                out[to + k] += sums[at + k]  # (4)
