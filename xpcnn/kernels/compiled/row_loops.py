"""The loops of convolution with the channels last in memory: see `conv`.

Of an image (H, W, C), the KW columns that the kernel reads in one row, at one position, are one run. They are copied
("lowered") for all positions of a row, and then the KH rows of the kernel are products of parts of the same copy:

    L[r,j,(v,c)] = x[n, r − P, j·S + v·D − P, c],    r a row of the padded image
    y[n,i,j]     = b + Σ_u L[i·S + u·D, j] W_u                                      (1)
    dw_u         = Σ_{n,i,j} L[i·S + u·D, j]ᵀ dy[n,i,j]                             (2)
    db           = Σ_{n,i,j} dy[n,i,j]                                              (3)

with the equation numbers of `xpcnn.ops.conv`, W_u the matrix (KW·C, F) of the kernel's row u, and zeros outside. In a
copy, rows that are S apart follow each other; so each product is one of whole rows, and rows of taps that are a multiple
of S apart share a copy. If an image has few positions, all KH rows of the kernel are copied beside each other instead,
and many images are one product (`deep`). A kernel of one tap that reads every number needs no copy.

(4), the gradient dx, is (1) of dy; with a stride S, one for each of the S·S classes of positions, whose sums go to
rows and columns that are S apart (`gap`).

Arguments
    x : (N, H, W, G·C), y : (N, H', W', G·F), dy : (N, OH, OW, G·F), with G groups
    w : (G, KH·KW·C, F), with rows (u, v, c)
    bias : (G·F,), or (0,) for none;  residual : of y's shape, or of size 0 for none; both are added, before the ReLU
    kh, kw; step_h, step_w; apart_h, apart_w; top, left : the kernel, S, D and P (negative to begin within the image)
    height, width : OH and OW, the number of positions
    gap_h, gap_w, at_h, at_w : position (i, j) is written to y[n, i·gap_h + at_h, j·gap_w + at_w]
    first, last : a unit of work, some of the N·OH rows of positions
    deep : whether all rows of the kernel are copied beside each other
    copies : scratch for L: (OW times the rows of the unit and those between the first and the last tap, KW·C); if deep
        (OW times the rows of the unit, KH·KW·C); of size 0 if a kernel of one tap reads every number, without a copy
    sums : scratch (OW times the rows of the unit, F·G) where there is a gap, else of size 0

Source: M. Cho and D. Brand, MEC: memory-efficient convolution for deep neural network, 2017, which copies the columns
"""

from __future__ import annotations

from typing import Any

from .loop import In1, In3, In4, Out1, Out2, Out3, Out4, loop, part
from .product import add_product


@part
def copy_run(a: Any, b: Any) -> None:
    for k in range(len(b)):
        b[k] = a[k]


@part
def clear_run(b: Any) -> None:
    zero = b.dtype.type(0)
    for k in range(len(b)):
        b[k] = zero


@part
def lower_row(
    lines: Any, line: int, channels: int, from_c: int, c: int,
    kw: int, step: int, apart: int, left: int, width: int, copies: Any, t: int, k: int,
) -> None:  # fmt: skip
    """copies[t + j, k + (v,c)] ← lines[line, j·S + v·D − P, from_c + c], with zeros where line is −1 and beside it."""
    wide = lines.shape[1] // channels  # W
    run = kw * c
    for j in range(width):
        q = j * step - left
        out = copies[t + j, k : k + run]
        if line < 0:
            clear_run(out)
        elif apart == 1 and c == channels and q >= 0 and q + kw <= wide:
            copy_run(lines[line, q * c : q * c + run], out)
        else:
            for v in range(kw):
                at = q + v * apart
                if at < 0 or at >= wide:
                    clear_run(out[v * c : v * c + c])
                else:
                    start = at * channels + from_c
                    copy_run(lines[line, start : start + c], out[v * c : v * c + c])


@part
def finish(sums: Any, bias: Any, residual: Any, relu: bool, y: Any) -> None:
    """The end of (1): y ← sums + bias + residual, and 0 for negative numbers with `relu`, of one position."""
    zero = y.dtype.type(0)
    if len(residual) > 0:
        for f in range(len(y)):
            s = sums[f] + bias[f] + residual[f]
            y[f] = zero if relu and s <= 0 else s
    elif relu:
        for f in range(len(y)):
            s = sums[f] + bias[f]
            y[f] = zero if s <= 0 else s
    else:
        for f in range(len(y)):
            y[f] = sums[f] + bias[f]


@loop
def correlate_rows(
    x: In4, w: In3, bias: In1, residual: In4, relu: bool,
    kh: int, kw: int, step_h: int, step_w: int, apart_h: int, apart_w: int, top: int, left: int,
    height: int, width: int, gap_h: int, gap_w: int, at_h: int, at_w: int,
    first: int, last: int, deep: bool, copies: Out2, sums: Out2, y: Out4,
) -> None:  # fmt: skip
    """(1), for rows of positions `first` to `last` of those of all images."""
    images, high, wide, channels = x.shape
    lines = x.reshape(images * high, wide * channels)
    groups, f = len(w), w.shape[2]
    c, spread = channels // groups, gap_h * gap_w != 1
    positions = y.reshape(y.shape[0] * y.shape[1] * y.shape[2], groups * f)
    run, whole = kw * c, copies.size == 0
    start = first
    while start < last:
        n, i = start // height, start % height
        stop = last if deep or whole else min(last, start + height - i)
        count = (stop - start) * width  # of positions
        out = sums if spread else positions[start * width : stop * width]
        for g in range(groups):
            part_of_y = out[:count, g * f : (g + 1) * f]
            if whole:
                flat = x.reshape(images * high * wide, channels)
                read = flat[start * width : stop * width, g * c : (g + 1) * c]
                add_product(read, w[g], part_of_y, 0.0)  # (1)
            elif deep:
                for row in range(start, stop):
                    n, i = row // height, row % height
                    for u in range(kh):
                        p = i * step_h + u * apart_h - top
                        line = n * high + p if 0 <= p < high else -1
                        lower_row(
                            lines, line, channels, g * c, c, kw, step_w, apart_w, left, width,
                            copies, (row - start) * width, u * run,
                        )  # fmt: skip
                add_product(copies[:count], w[g], part_of_y, 0.0)  # (1)
            else:
                begun = False
                for phase in range(step_h):  # the rows of taps with u·D mod S = phase
                    ready = 0  # rows of L
                    for u in range(kh):
                        if u * apart_h % step_h == phase:
                            skip = u * apart_h // step_h
                            while ready < skip + stop - start:
                                p = (i + ready) * step_h + phase - top
                                line = n * high + p if 0 <= p < high else -1
                                lower_row(
                                    lines, line, channels, g * c, c, kw, step_w, apart_w, left, width,
                                    copies, ready * width, 0,
                                )  # fmt: skip
                                ready += 1
                            read = copies[skip * width : skip * width + count]
                            add_product(read, w[g, u * run : (u + 1) * run], part_of_y, 1.0 if begun else 0.0)  # (1)
                            begun = True
        if spread or len(bias) > 0:
            for k in range(count):
                row, j = start + k // width, k % width
                n, i = row // height, row % height
                target = y[n, i * gap_h + at_h, j * gap_w + at_w]
                if len(bias) > 0:
                    other = residual[n, i, j] if residual.size > 0 else bias[:0]
                    finish(out[k], bias, other, relu, target)
                else:
                    copy_run(out[k], target)
        start = stop


@loop
def row_gradients(
    x: In4, dy: In4, kh: int, kw: int, step_h: int, step_w: int, apart_h: int, apart_w: int, top: int, left: int,
    first: int, last: int, deep: bool, copies: Out2, dw: Out3, db: Out1,
) -> None:  # fmt: skip
    """Adds (2) to dw, and (3) to db if it has numbers, for rows `first` to `last` of those of all dy."""
    images, high, wide, channels = x.shape
    _, height, width, filters = dy.shape
    lines = x.reshape(images * high, wide * channels)
    groups, f = len(dw), dw.shape[2]
    c = channels // groups
    positions = dy.reshape(images * height * width, filters)
    run, whole = kw * c, copies.size == 0
    start = first
    while start < last:
        n, i = start // height, start % height
        stop = last if deep or whole else min(last, start + height - i)
        count = (stop - start) * width  # of positions
        given = positions[start * width : stop * width]
        for g in range(groups):
            part_of_dy = given[:, g * f : (g + 1) * f]
            if whole:
                flat = x.reshape(images * high * wide, channels)
                read = flat[start * width : stop * width, g * c : (g + 1) * c]
                add_product(read.T, part_of_dy, dw[g], 1.0)  # (2)
            elif deep:
                for row in range(start, stop):
                    n, i = row // height, row % height
                    for u in range(kh):
                        p = i * step_h + u * apart_h - top
                        line = n * high + p if 0 <= p < high else -1
                        lower_row(
                            lines, line, channels, g * c, c, kw, step_w, apart_w, left, width,
                            copies, (row - start) * width, u * run,
                        )  # fmt: skip
                add_product(copies[:count].T, part_of_dy, dw[g], 1.0)  # (2)
            else:
                for phase in range(step_h):
                    ready = 0
                    for u in range(kh):
                        if u * apart_h % step_h == phase:
                            skip = u * apart_h // step_h
                            while ready < skip + stop - start:
                                p = (i + ready) * step_h + phase - top
                                line = n * high + p if 0 <= p < high else -1
                                lower_row(
                                    lines, line, channels, g * c, c, kw, step_w, apart_w, left, width,
                                    copies, ready * width, 0,
                                )  # fmt: skip
                                ready += 1
                            read = copies[skip * width : skip * width + count]
                            add_product(read.T, part_of_dy, dw[g, u * run : (u + 1) * run], 1.0)  # (2)
        if len(db) > 0:
            for k in range(count):
                for q in range(filters):
                    db[q] += given[k, q]  # (3)
        start = stop
