"""The loops of depthwise convolution with the batch last in memory: see `depthwise_last`.

Both take the taps of a kernel as two lists of offsets, for rows and for columns. Where an offset leads to no position,
the tap reads zeros.
"""

from __future__ import annotations

from typing import Any

from .loop import In1, In2, In4, InInts1, Out4, Sums2, loop, part


@part
def tap(x: Any, p: int, q: int, gap_h: int, gap_w: int, zeros: Any) -> Any:
    """x[p / gap_h, q / gap_w], or zeros where there is no such position."""
    if p < 0 or q < 0:
        return zeros
    if gap_h != 1 or gap_w != 1:
        if p % gap_h != 0 or q % gap_w != 0:
            return zeros
        p //= gap_h
        q //= gap_w
    return x[p, q] if p < x.shape[0] and q < x.shape[1] else zeros


@loop
def sum_taps(
    x: In4, w: In2, b: In1, rows: InInts1, columns: InInts1, zeros: In2,
    step_h: int, step_w: int, gap_h: int, gap_w: int, relu: bool, y: Out4, first: int, last: int,
) -> None:  # fmt: skip
    """(1) or (4): rows `first` to `last` of y (OH, OW, C, N), from x (H, W, C, N)."""
    _, width, channels, images = y.shape
    zero = x.dtype.type(0)
    for i in range(first, last):
        for j in range(width):
            out = y[i, j]
            for t in range(0, len(rows), 9):
                p, q, r, s = i * step_h, j * step_w, rows[t : t + 9], columns[t : t + 9]
                x0 = tap(x, p + r[0], q + s[0], gap_h, gap_w, zeros)
                x1 = tap(x, p + r[1], q + s[1], gap_h, gap_w, zeros)
                x2 = tap(x, p + r[2], q + s[2], gap_h, gap_w, zeros)
                x3 = tap(x, p + r[3], q + s[3], gap_h, gap_w, zeros)
                x4 = tap(x, p + r[4], q + s[4], gap_h, gap_w, zeros)
                x5 = tap(x, p + r[5], q + s[5], gap_h, gap_w, zeros)
                x6 = tap(x, p + r[6], q + s[6], gap_h, gap_w, zeros)
                x7 = tap(x, p + r[7], q + s[7], gap_h, gap_w, zeros)
                x8 = tap(x, p + r[8], q + s[8], gap_h, gap_w, zeros)
                for c in range(channels):
                    w0, w1, w2, w3, w4 = w[t, c], w[t + 1, c], w[t + 2, c], w[t + 3, c], w[t + 4, c]
                    w5, w6, w7, w8 = w[t + 5, c], w[t + 6, c], w[t + 7, c], w[t + 8, c]
                    if t == 0:
                        bias = b[c]
                        for n in range(images):
                            out[c, n] = (
                                bias + w0 * x0[c, n] + w1 * x1[c, n] + w2 * x2[c, n] + w3 * x3[c, n] + w4 * x4[c, n]
                                + w5 * x5[c, n] + w6 * x6[c, n] + w7 * x7[c, n] + w8 * x8[c, n]
                            )  # (1), (4)  # fmt: skip
                    else:
                        for n in range(images):
                            out[c, n] += (
                                w0 * x0[c, n] + w1 * x1[c, n] + w2 * x2[c, n] + w3 * x3[c, n] + w4 * x4[c, n]
                                + w5 * x5[c, n] + w6 * x6[c, n] + w7 * x7[c, n] + w8 * x8[c, n]
                            )  # (1), (4)  # fmt: skip
            if relu:
                for c in range(channels):
                    for n in range(images):
                        out[c, n] = zero if out[c, n] <= 0 else out[c, n]


@loop
def sum_gradients(
    x: In4, dy: In4, rows: InInts1, columns: InInts1, zeros: In2, step_h: int, step_w: int, total: Sums2,
    first: int, last: int,
) -> None:  # fmt: skip
    """(2) and (3) of rows `first` to `last` of dy (OH, OW, C, N); the last row of total is db."""
    _, width, channels, images = dy.shape
    db, zero = len(total) - 1, x.dtype.type(0)
    for i in range(first, last):
        for j in range(width):
            g = dy[i, j]
            for t in range(0, len(rows), 9):
                p, q, r, s = i * step_h, j * step_w, rows[t : t + 9], columns[t : t + 9]
                x0 = tap(x, p + r[0], q + s[0], 1, 1, zeros)
                x1 = tap(x, p + r[1], q + s[1], 1, 1, zeros)
                x2 = tap(x, p + r[2], q + s[2], 1, 1, zeros)
                x3 = tap(x, p + r[3], q + s[3], 1, 1, zeros)
                x4 = tap(x, p + r[4], q + s[4], 1, 1, zeros)
                x5 = tap(x, p + r[5], q + s[5], 1, 1, zeros)
                x6 = tap(x, p + r[6], q + s[6], 1, 1, zeros)
                x7 = tap(x, p + r[7], q + s[7], 1, 1, zeros)
                x8 = tap(x, p + r[8], q + s[8], 1, 1, zeros)
                for c in range(channels):
                    b = s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = zero
                    for n in range(images):
                        d = g[c, n]
                        b += d  # (3)
                        s0 += d * x0[c, n]  # (2)
                        s1 += d * x1[c, n]
                        s2 += d * x2[c, n]
                        s3 += d * x3[c, n]
                        s4 += d * x4[c, n]
                        s5 += d * x5[c, n]
                        s6 += d * x6[c, n]
                        s7 += d * x7[c, n]
                        s8 += d * x8[c, n]
                    if t == 0:
                        total[db, c] += b
                    total[t, c] += s0
                    total[t + 1, c] += s1
                    total[t + 2, c] += s2
                    total[t + 3, c] += s3
                    total[t + 4, c] += s4
                    total[t + 5, c] += s5
                    total[t + 6, c] += s6
                    total[t + 7, c] += s7
                    total[t + 8, c] += s8
