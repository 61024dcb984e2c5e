"""The loops of convolution with the channels last in memory: see `conv`.

Of an image (H, W, C), the KW columns that the kernel reads in one row, at one position, are one run. They are copied
("lowered") for all positions of a row, and then the KH rows of the kernel are products of parts of the same copy:

    L[r,j,(v,c)] = x[n, r − P, j·S + v·D − P, c],    r a row of the padded image
    y[n,i,j]     = b + Σ_u L[i·S + u·D, j] W_u                                      (1)
    dw_u         = Σ_{n,i,j} L[i·S + u·D, j]ᵀ dy[n,i,j]                             (2)
    db           = Σ_{n,i,j} dy[n,i,j]                                              (3)

with the equation numbers of `xpcnn.ops.conv`, W_u the matrix (KW·C, F) of the kernel's row u, and zeros outside. In a
copy, rows that are S apart follow each other; so each product is one of whole rows, and rows of taps that are a
multiple of S apart share a copy. If an image has few positions, all KH rows of the kernel are copied beside each other
instead, and many images are one product (`deep`). A kernel of one tap that reads every number needs no copy.

(4), the gradient dx, is (1) of dy; with a stride S, one for each of the S·S classes of positions, whose sums go to
rows and columns that are S apart (`gap`).

Arguments
    x : (N, H, W, G·C), y : (N, H', W', G·F), dy : (N, OH, OW, G·F), with G groups
    w : (G, KH·KW·C, F), with rows (u, v, c)
    bias : (m·G·F,), the bias m times, so that runs are long; or of size 0 to leave y = the sums
    kh, kw; step_h, step_w; apart_h, apart_w; top, left : the kernel, S, D and P (negative to begin within the image)
    height, width : OH and OW, the number of positions
    gap_h, gap_w, at_h, at_w : position (i, j) is written to y[n, i·gap_h + at_h, j·gap_w + at_w]
    first, last : a unit of work, some of the N·OH rows of positions
    deep : whether all rows of the kernel are copied beside each other
    copies : scratch for L: (OW times the rows of the unit and those between the first and the last tap, KW·C); if deep
        (OW times the rows of the unit, KH·KW·C); of size 0 if a kernel of one tap reads every number, without a copy
    db : (m·G·F,), to which m rows at a time are added, or of size 0 for none
    sums : scratch (OW times the rows of the unit, F·G) where there is a gap, else of size 0

Source: M. Cho and D. Brand, MEC: memory-efficient convolution for deep neural network, 2017, which copies the columns
"""

from __future__ import annotations

from typing import Any

from .loop import In1, In3, In4, Out1, Out2, Out3, Out4, loop, part
from .product import add_product


@part
def move(a: Any, i: int, b: Any, j: int, count: int) -> None:
    """b[j : j + count] ← a[i : i + count]"""
    source, target = a[i : i + count], b[j : j + count]
    for k in range(count):
        target[k] = source[k]


@part
def clear(b: Any, j: int, count: int) -> None:
    """b[j : j + count] ← 0"""
    target, zero = b[j : j + count], b.dtype.type(0)
    for k in range(count):
        target[k] = zero


@part
def lower_row(
    x: Any, line: int, wide: int, channels: int, from_c: int, c: int, kw: int, step: int, apart: int, left: int,
    width: int, copies: Any, at: int, distance: int,
) -> None:  # fmt: skip
    """A row of L: for each position j, copies[at + j·distance + (v,c)] ← x[line, j·S + v·D − P, from_c + c].

    x and copies are flat; `line` is one of the rows of all images, or −1 for zeros.
    """
    run = kw * c
    for j in range(width):
        q, to = j * step - left, at + j * distance
        if line < 0:
            clear(copies, to, run)
        elif apart == 1 and c == channels and q >= 0 and q + kw <= wide:
            move(x, (line * wide + q) * c, copies, to, run)
        else:
            for v in range(kw):
                column = q + v * apart
                if column < 0 or column >= wide:
                    clear(copies, to + v * c, c)
                else:
                    move(x, (line * wide + column) * channels + from_c, copies, to + v * c, c)


@part
def lower_deep(
    x: Any, shape: Any, height: int, from_c: int, c: int,
    kh: int, kw: int, step_h: int, step_w: int, apart_h: int, apart_w: int, top: int, left: int,
    width: int, copies: Any, start: int, stop: int,
) -> None:  # fmt: skip
    """All rows of taps beside each other, for rows of positions `start` to `stop` of those of all images."""
    _, high, wide, channels = shape
    run = kw * c
    for row in range(start, stop):
        n, i = row // height, row % height
        for u in range(kh):
            p = i * step_h + u * apart_h - top
            line = n * high + p if 0 <= p < high else -1
            at = (row - start) * width * kh * run + u * run
            lower_row(x, line, wide, channels, from_c, c, kw, step_w, apart_w, left, width, copies, at, kh * run)


@part
def lower_more(
    x: Any, shape: Any, n: int, i: int, from_c: int, c: int,
    kw: int, step_h: int, step_w: int, apart_w: int, top: int, left: int,
    width: int, copies: Any, ready: int, until: int,
) -> None:  # fmt: skip
    """Rows `ready` to `until` of L, which are those from i·S on of the padded image n, S apart."""
    _, high, wide, channels = shape
    run = kw * c
    for row in range(ready, until):
        p = (i + row) * step_h - top
        line = n * high + p if 0 <= p < high else -1
        lower_row(x, line, wide, channels, from_c, c, kw, step_w, apart_w, left, width, copies, row * width * run, run)


@part
def finish(y: Any, start: int, stop: int, bias: Any, relu: bool) -> None:
    """The end of (1), in numbers `start` to `stop` of y: the bias is added, then `relu` cuts off."""
    zero, long = y.dtype.type(0), len(bias)
    for k in range(start, stop, long):
        out = y[k : min(k + long, stop)]
        if relu:
            for f in range(len(out)):
                s = out[f] + bias[f]
                out[f] = zero if s <= 0 else s
        else:
            for f in range(len(out)):
                out[f] += bias[f]


@loop
def correlate_rows(
    x: In4, w: In3, bias: In1, relu: bool,
    kh: int, kw: int, step_h: int, step_w: int, apart_h: int, apart_w: int, top: int, left: int,
    height: int, width: int, gap_h: int, gap_w: int, at_h: int, at_w: int,
    first: int, last: int, deep: bool, copies: Out2, sums: Out2, y: Out4,
) -> None:  # fmt: skip
    """(1), for rows of positions `first` to `last` of those of all images."""
    channels, groups, f = x.shape[3], len(w), w.shape[2]
    c, spread, whole = channels // groups, gap_h * gap_w != 1, copies.size == 0
    filters, run = groups * f, kw * c
    flat, pixels = x.reshape(x.size), x.reshape(x.size // channels, channels)
    positions, lowered = y.reshape(y.size // filters, filters), copies.reshape(copies.size)
    start = first
    while start < last:
        n, i = start // height, start % height
        stop = last if deep or whole else min(last, start + height - i)
        count = (stop - start) * width  # of positions
        out = sums[:count] if spread else positions[start * width : stop * width]
        for g in range(groups):
            result = out[:, g * f : (g + 1) * f]
            if whole:
                add_product(pixels[start * width : stop * width, g * c : (g + 1) * c], w[g], result, 0.0)  # (1)
            elif deep:
                lower_deep(
                    flat, x.shape, height, g * c, c, kh, kw, step_h, step_w, apart_h, apart_w, top, left,
                    width, lowered, start, stop,
                )  # fmt: skip
                add_product(copies[:count], w[g], result, 0.0)  # (1)
            else:
                beta = 0.0
                for phase in range(step_h):  # the rows of taps with u·D mod S = phase
                    ready = 0  # rows of L
                    for u in range(kh):
                        if u * apart_h % step_h == phase:
                            skip = u * apart_h // step_h
                            lower_more(
                                flat, x.shape, n, i, g * c, c, kw, step_h, step_w, apart_w, top - phase, left,
                                width, lowered, ready, skip + stop - start,
                            )  # fmt: skip
                            ready = skip + stop - start
                            read = copies[skip * width : skip * width + count]
                            add_product(read, w[g, u * run : (u + 1) * run], result, beta)  # (1)
                            beta = 1.0
        if spread:
            scattered, source = y.reshape(y.size), sums.reshape(sums.size)
            for k in range(count):
                row, j = start + k // width, k % width
                n, i = row // height, row % height
                place = (n * y.shape[1] + i * gap_h + at_h) * y.shape[2] + j * gap_w + at_w
                move(source, k * filters, scattered, place * filters, filters)
        elif len(bias) > 0:
            begin = start * width * filters
            finish(y.reshape(y.size), begin, begin + count * filters, bias, relu)
        start = stop


@loop
def row_gradients(
    x: In4, dy: In4, kh: int, kw: int, step_h: int, step_w: int, apart_h: int, apart_w: int, top: int, left: int,
    first: int, last: int, deep: bool, copies: Out2, dw: Out3, db: Out1,
) -> None:  # fmt: skip
    """Adds (2) to dw, and (3) to db, for rows `first` to `last` of those of all dy."""
    channels, groups, f = x.shape[3], len(dw), dw.shape[2]
    _, height, width, filters = dy.shape
    c, whole = channels // groups, copies.size == 0
    run = kw * c
    flat, pixels = x.reshape(x.size), x.reshape(x.size // channels, channels)
    positions, numbers, lowered = (
        dy.reshape(dy.size // filters, filters),
        dy.reshape(dy.size),
        copies.reshape(copies.size),
    )
    start = first
    while start < last:
        n, i = start // height, start % height
        stop = last if deep or whole else min(last, start + height - i)
        count = (stop - start) * width  # of positions
        for g in range(groups):
            given = positions[start * width : stop * width, g * f : (g + 1) * f]
            if whole:
                add_product(pixels[start * width : stop * width, g * c : (g + 1) * c].T, given, dw[g], 1.0)  # (2)
            elif deep:
                lower_deep(
                    flat, x.shape, height, g * c, c, kh, kw, step_h, step_w, apart_h, apart_w, top, left,
                    width, lowered, start, stop,
                )  # fmt: skip
                add_product(copies[:count].T, given, dw[g], 1.0)  # (2)
            else:
                for phase in range(step_h):
                    ready = 0
                    for u in range(kh):
                        if u * apart_h % step_h == phase:
                            skip = u * apart_h // step_h
                            lower_more(
                                flat, x.shape, n, i, g * c, c, kw, step_h, step_w, apart_w, top - phase, left,
                                width, lowered, ready, skip + stop - start,
                            )  # fmt: skip
                            ready = skip + stop - start
                            read = copies[skip * width : skip * width + count]
                            add_product(read.T, given, dw[g, u * run : (u + 1) * run], 1.0)  # (2)
        if len(db) > 0:
            begin = start * width * filters
            for k in range(begin, begin + count * filters, len(db)):
                some = numbers[k : min(k + len(db), begin + count * filters)]
                for q in range(len(some)):
                    db[q] += some[q]  # (3)
        start = stop
