"""The parts of the loops of depthwise convolution, in which the time goes: see `depthwise_loops`."""

from __future__ import annotations

from typing import Any

from .loop import run


@run
def add_block(x0: Any, x1: Any, x2: Any, x3: Any, x4: Any, x5: Any, w0: Any, w1: Any, w2: Any,
              y0: Any, y1: Any, y2: Any, y3: Any) -> None:  # fmt: skip
    """(1) of four rows and three taps."""
    for k in range(len(y0)):
        y0[k] += w0[k] * x0[k] + w1[k] * x1[k] + w2[k] * x2[k]
        y1[k] += w0[k] * x1[k] + w1[k] * x2[k] + w2[k] * x3[k]
        y2[k] += w0[k] * x2[k] + w1[k] * x3[k] + w2[k] * x4[k]
        y3[k] += w0[k] * x3[k] + w1[k] * x4[k] + w2[k] * x5[k]


@run
def add_column(x0: Any, x1: Any, x2: Any, x3: Any, w0: Any, y0: Any, y1: Any, y2: Any, y3: Any) -> None:
    """(1) of four rows and a tap."""
    for k in range(len(y0)):
        y0[k] += w0[k] * x0[k]
        y1[k] += w0[k] * x1[k]
        y2[k] += w0[k] * x2[k]
        y3[k] += w0[k] * x3[k]


@run
def add_taps(x0: Any, x1: Any, x2: Any, w0: Any, w1: Any, w2: Any, y0: Any) -> None:
    """(1) of a row and three taps."""
    for k in range(len(y0)):
        y0[k] += w0[k] * x0[k] + w1[k] * x1[k] + w2[k] * x2[k]


@run
def add_tap(x0: Any, w0: Any, y0: Any) -> None:
    """(1) of a row and a tap."""
    for k in range(len(y0)):
        y0[k] += w0[k] * x0[k]


@run
def sum_block(x0: Any, x1: Any, x2: Any, x3: Any, x4: Any, x5: Any, d0: Any, d1: Any, d2: Any, d3: Any,
              s0: Any, s1: Any, s2: Any) -> None:  # fmt: skip
    """(2) of four rows and three taps."""
    for k in range(len(s0)):
        s0[k] += d0[k] * x0[k] + d1[k] * x1[k] + d2[k] * x2[k] + d3[k] * x3[k]
        s1[k] += d0[k] * x1[k] + d1[k] * x2[k] + d2[k] * x3[k] + d3[k] * x4[k]
        s2[k] += d0[k] * x2[k] + d1[k] * x3[k] + d2[k] * x4[k] + d3[k] * x5[k]


@run
def sum_column(x0: Any, x1: Any, x2: Any, x3: Any, d0: Any, d1: Any, d2: Any, d3: Any, s0: Any) -> None:
    """(2) of four rows and a tap."""
    for k in range(len(s0)):
        s0[k] += d0[k] * x0[k] + d1[k] * x1[k] + d2[k] * x2[k] + d3[k] * x3[k]


@run
def sum_taps(x0: Any, x1: Any, x2: Any, d0: Any, s0: Any, s1: Any, s2: Any) -> None:
    """(2) of a row and three taps."""
    for k in range(len(s0)):
        s0[k] += d0[k] * x0[k]
        s1[k] += d0[k] * x1[k]
        s2[k] += d0[k] * x2[k]


@run
def add_rows(
    x: Any, a: int, x_step: int, w: Any, t: int, w_step: int, y: Any, o: int, y_step: int, rows: int, taps: int, n: int
) -> None:
    """(1) of n numbers of one or four rows of y, from o on, and of one or three taps, whose weights begin at t."""
    b, c = a + x_step, a + 2 * x_step
    d = a + 3 * x_step
    w0, y0, x0 = w[t : t + n], y[o : o + n], x[a : a + n]
    if rows == 4:
        o1, o2, o3 = o + y_step, o + 2 * y_step, o + 3 * y_step
        x1, x2, x3 = x[b : b + n], x[c : c + n], x[d : d + n]
        y1, y2, y3 = y[o1 : o1 + n], y[o2 : o2 + n], y[o3 : o3 + n]
        if taps == 3:
            e, f, t1, t2 = a + 4 * x_step, a + 5 * x_step, t + w_step, t + 2 * w_step
            w1, w2 = w[t1 : t1 + n], w[t2 : t2 + n]
            add_block(x0, x1, x2, x3, x[e : e + n], x[f : f + n], w0, w1, w2, y0, y1, y2, y3)
        else:
            add_column(x0, x1, x2, x3, w0, y0, y1, y2, y3)
    elif taps == 3:
        t1, t2 = t + w_step, t + 2 * w_step
        add_taps(x0, x[b : b + n], x[c : c + n], w0, w[t1 : t1 + n], w[t2 : t2 + n], y0)
    else:
        add_tap(x0, w0, y0)


@run
def sum_rows(
    x: Any, a: int, x_step: int, s: Any, t: int, s_step: int, dy: Any, o: int, dy_step: int, rows: int, taps: int,
    n: int,
) -> None:  # fmt: skip
    """(2) of n numbers of one or four rows of dy, from o on, and of one or three taps, whose sums begin at t."""
    b, c = a + x_step, a + 2 * x_step
    d = a + 3 * x_step
    s0, d0, x0 = s[t : t + n], dy[o : o + n], x[a : a + n]
    if rows == 4:
        o1, o2, o3 = o + dy_step, o + 2 * dy_step, o + 3 * dy_step
        x1, x2, x3 = x[b : b + n], x[c : c + n], x[d : d + n]
        d1, d2, d3 = dy[o1 : o1 + n], dy[o2 : o2 + n], dy[o3 : o3 + n]
        if taps == 3:
            e, f, t1, t2 = a + 4 * x_step, a + 5 * x_step, t + s_step, t + 2 * s_step
            s1, s2 = s[t1 : t1 + n], s[t2 : t2 + n]
            sum_block(x0, x1, x2, x3, x[e : e + n], x[f : f + n], d0, d1, d2, d3, s0, s1, s2)
        else:
            sum_column(x0, x1, x2, x3, d0, d1, d2, d3, s0)
    elif taps == 3:
        t1, t2 = t + s_step, t + 2 * s_step
        sum_taps(x0, x[b : b + n], x[c : c + n], d0, s0, s[t1 : t1 + n], s[t2 : t2 + n])
    else:
        add_tap(x0, d0, s0)  # (2)


@run
def spread(w: Any, bias: Any, from_k: int, count: int, positions: int, repeat: int, tiles: Any) -> None:
    """The weights of `count` numbers of a position, and in the last row their bias, for each position of a run."""
    taps = len(w)
    for t in range(taps + 1):
        tile = tiles[t]
        for k in range(count):
            c = (from_k + k) // repeat
            tile[k] = bias[c] if t == taps else w[t, c]
        for j in range(1, positions):
            for k in range(count):
                tile[j * count + k] = tile[k]


@run
def rectify(y: Any, o: int, n: int) -> None:
    """Negative numbers become 0."""
    out = y[o : o + n]
    for k in range(n):
        out[k] = 0.0 if out[k] <= 0.0 else out[k]


@run
def add_up(a: Any, i: int, b: Any, j: int, n: int) -> None:
    """b[j : j + n] += a[i : i + n]"""
    source, target = a[i : i + n], b[j : j + n]
    for k in range(n):
        target[k] += source[k]
