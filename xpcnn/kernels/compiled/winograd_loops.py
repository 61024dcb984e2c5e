"""The loops of Winograd's algorithm along both axes: see `winograd`.

A tile is 4×4 outputs of a channel, or the 6×6 numbers that it reads, for n images. T tiles next to each other are
transformed together. Column 4·t + s of their inputs, of n numbers, is t-th of those s, so that the columns at one place
of all tiles are one run: T·n numbers, of which the fifth and sixth are those of the next tile's first and second.
"""

from __future__ import annotations

from typing import Any

from .loop import In1, In3, In4, Out2, Out3, Out4, Sums1, loop, part, run
from .product import add_product


@run
def input_points(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, d5: Any, v0: Any, v1: Any, v2: Any, v3: Any, v4: Any,
                 v5: Any) -> None:  # fmt: skip
    """v = Bᵀd of (1)."""
    number = d0.dtype.type
    two, four, five = number(2), number(4), number(5)
    for k in range(len(v0)):
        even, odd = d4[k] - four * d2[k], d3[k] - four * d1[k]
        even2, odd2 = d4[k] - d2[k], two * (d3[k] - d1[k])
        v0[k] = four * d0[k] - five * d2[k] + d4[k]
        v1[k] = even + odd
        v2[k] = even - odd
        v3[k] = even2 + odd2
        v4[k] = even2 - odd2
        v5[k] = four * d1[k] - five * d3[k] + d5[k]


@run
def outputs(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any, bias: Any, relu: bool, y0: Any, y1: Any, y2: Any,
            y3: Any) -> None:  # fmt: skip
    """y = Aᵀm + b of (1), and with `relu` 0 for negative numbers."""
    number = m0.dtype.type
    zero, two, four, eight = number(0), number(2), number(4), number(8)
    for k in range(len(y0)):
        even, odd, even2, odd2 = m1[k] + m2[k], m1[k] - m2[k], m3[k] + m4[k], m3[k] - m4[k]
        a = m0[k] + even + even2 + bias
        b = odd + two * odd2 + bias
        c = even + four * even2 + bias
        d = odd + eight * odd2 + m5[k] + bias
        y0[k] = zero if relu and a <= 0 else a
        y1[k] = zero if relu and b <= 0 else b
        y2[k] = zero if relu and c <= 0 else c
        y3[k] = zero if relu and d <= 0 else d


@run
def gradient_points(g0: Any, g1: Any, g2: Any, g3: Any, m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any) -> None:
    """m = A dy of (2)."""
    number = g0.dtype.type
    two, four, eight = number(2), number(4), number(8)
    for k in range(len(m0)):
        even, odd = g0[k] + g2[k], g1[k] + g3[k]
        even2, odd2 = g0[k] + four * g2[k], two * g1[k] + eight * g3[k]
        m0[k] = g0[k]
        m1[k] = even + odd
        m2[k] = even - odd
        m3[k] = even2 + odd2
        m4[k] = even2 - odd2
        m5[k] = g3[k]


@run
def kernel_points(w0: Any, w1: Any, w2: Any, u0: Any, u1: Any, u2: Any, u3: Any, u4: Any, u5: Any) -> None:
    """u = G g of (1)."""
    number = w0.dtype.type
    quarter, sixth, twelfth, part24 = number(1 / 4), number(1 / 6), number(1 / 12), number(1 / 24)
    for k in range(len(u0)):
        even, odd = -sixth * (w0[k] + w2[k]), sixth * w1[k]
        even2, odd2 = part24 * w0[k] + sixth * w2[k], twelfth * w1[k]
        u0[k] = quarter * w0[k]
        u1[k] = even - odd
        u2[k] = even + odd
        u3[k] = even2 + odd2
        u4[k] = even2 - odd2
        u5[k] = w2[k]


@run
def taps(t0: Any, t1: Any, t2: Any, t3: Any, t4: Any, t5: Any, w0: Any, w1: Any, w2: Any) -> None:
    """dg = Gᵀt of (2)."""
    number = t0.dtype.type
    quarter, sixth, twelfth, part24 = number(1 / 4), number(1 / 6), number(1 / 12), number(1 / 24)
    for k in range(len(w0)):
        even, odd, even2, odd2 = t1[k] + t2[k], t1[k] - t2[k], t3[k] + t4[k], t3[k] - t4[k]
        w0[k] = quarter * t0[k] - sixth * even + part24 * even2
        w1[k] = twelfth * odd2 - sixth * odd
        w2[k] = sixth * (even2 - even) + t5[k]


@part
def row(x: Any, p: int, q: int, c: int, first: int, last: int, zeros: Any) -> Any:
    """x[p, q, c, first:last], or zeros where there is no such position."""
    return x[p, q, c, first:last] if 0 <= p < x.shape[0] and 0 <= q < x.shape[1] else zeros[: last - first]


@part
def transform_inputs(
    x: Any, p: int, q: int, tiles: int, channel: int, channels: int, first: int, last: int, zeros: Any, z: Any, v: Any
) -> None:
    """Bᵀd B of these channels of that many tiles, the first of which begins at (p, q), in v (36, channels, T·n)."""
    n = last - first
    length = tiles * n
    for at_c in range(channels):
        c = channel + at_c
        for k in range(4 * tiles + 2):
            s, at = k % 4, k // 4 * n
            input_points(
                row(x, p, q + k, c, first, last, zeros), row(x, p + 1, q + k, c, first, last, zeros),
                row(x, p + 2, q + k, c, first, last, zeros), row(x, p + 3, q + k, c, first, last, zeros),
                row(x, p + 4, q + k, c, first, last, zeros), row(x, p + 5, q + k, c, first, last, zeros),
                z[0, s, at : at + n], z[1, s, at : at + n], z[2, s, at : at + n],
                z[3, s, at : at + n], z[4, s, at : at + n], z[5, s, at : at + n],
            )  # (1), (2)  # fmt: skip
        for r in range(6):
            input_points(
                z[r, 0, :length], z[r, 1, :length], z[r, 2, :length], z[r, 3, :length],
                z[r, 0, n : n + length], z[r, 1, n : n + length],
                v[6 * r, at_c, :length], v[6 * r + 1, at_c, :length], v[6 * r + 2, at_c, :length],
                v[6 * r + 3, at_c, :length], v[6 * r + 4, at_c, :length], v[6 * r + 5, at_c, :length],
            )  # (1), (2)  # fmt: skip


@loop
def correlate(
    x: In4, u: In3, turned: bool, bias: In1, relu: bool, zeros: In1, top: int, left: int, tiles: int,
    i: int, begin: int, end: int, first: int, last: int, z: Out3, v: Out3, m: Out3, spare: Out2, y: Out4,
) -> None:  # fmt: skip
    """(1) of rows i … i + 3 and columns `begin` to `end` of y (OH, OW, F, N), images `first` to `last`.

    `tiles` at a time.

    Parameters
        u : (36, F, C), or with `turned` (36, C, F)
        z, v, m, spare : memory: (6, 4, (T + 1)·n), (36, C + 1, T·n), (36, F + 1, T·n), (3, n)
    """
    height, _, filters, _ = y.shape
    channels, n, zero = x.shape[2], last - first, x.dtype.type(0)
    for j in range(begin, end, 4 * tiles):
        count = min(tiles, (end - j + 3) // 4)
        length = count * n
        transform_inputs(x, i - top, j - left, count, 0, channels, first, last, zeros, z, v)
        for k in range(36):
            if turned:
                add_product(u[k].T, v[k, :channels, :length], m[k, :filters, :length], 0.0)  # (1), (4)
            else:
                add_product(u[k], v[k, :channels, :length], m[k, :filters, :length], 0.0)  # (1)
        for f in range(filters):
            for r in range(6):
                outputs(
                    m[6 * r, f, :length], m[6 * r + 1, f, :length], m[6 * r + 2, f, :length],
                    m[6 * r + 3, f, :length], m[6 * r + 4, f, :length], m[6 * r + 5, f, :length], zero, False,
                    z[r, 0, :length], z[r, 1, :length], z[r, 2, :length], z[r, 3, :length],
                )  # (1)  # fmt: skip
            for k in range(min(4 * count, end - j)):
                s, at = k % 4, k // 4 * n
                outputs(
                    z[0, s, at : at + n], z[1, s, at : at + n], z[2, s, at : at + n],
                    z[3, s, at : at + n], z[4, s, at : at + n], z[5, s, at : at + n], bias[f], relu,
                    y[i, j + k, f, first:last],
                    y[i + 1, j + k, f, first:last] if i + 1 < height else spare[0],
                    y[i + 2, j + k, f, first:last] if i + 2 < height else spare[1],
                    y[i + 3, j + k, f, first:last] if i + 3 < height else spare[2],
                )  # (1)  # fmt: skip


@loop
def add_gradients(
    x: In4, dy: In4, zeros: In1, top: int, left: int, tiles: int,
    channel: int, i: int, begin: int, end: int, first: int, last: int,
    z: Out3, v: Out3, m: Out3, total: Out3, db: Sums1,
) -> None:  # fmt: skip
    """(2) before Gᵀ, added to total (36, F, some C), and (3), of a block of dy as in `correlate`."""
    filters, channels, n, zero = dy.shape[2], total.shape[2], last - first, x.dtype.type(0)
    for j in range(begin, end, 4 * tiles):
        count = min(tiles, (end - j + 3) // 4)
        length = count * n
        transform_inputs(x, i - top, j - left, count, channel, channels, first, last, zeros, z, v)
        for f in range(filters):
            for k in range(4 * count):
                s, at = k % 4, k // 4 * n
                gradient_points(
                    row(dy, i, j + k, f, first, last, zeros), row(dy, i + 1, j + k, f, first, last, zeros),
                    row(dy, i + 2, j + k, f, first, last, zeros), row(dy, i + 3, j + k, f, first, last, zeros),
                    z[0, s, at : at + n], z[1, s, at : at + n], z[2, s, at : at + n],
                    z[3, s, at : at + n], z[4, s, at : at + n], z[5, s, at : at + n],
                )  # (2)  # fmt: skip
            for r in range(6):
                gradient_points(
                    z[r, 0, :length], z[r, 1, :length], z[r, 2, :length], z[r, 3, :length],
                    m[6 * r, f, :length], m[6 * r + 1, f, :length], m[6 * r + 2, f, :length],
                    m[6 * r + 3, f, :length], m[6 * r + 4, f, :length], m[6 * r + 5, f, :length],
                )  # (2)  # fmt: skip
            tile_sums, s = m[7, f, :length], zero  # at the points (1, 1)
            for k in range(len(tile_sums)):
                s += tile_sums[k]
            db[f] += s  # (3)
        for k in range(36):
            add_product(m[k, :filters, :length], v[k, :channels, :length].T, total[k], 1.0)  # (2)


@loop
def transform_kernels(w: In4, turned: bool, first: int, last: int, z: Out3, u: Out3) -> None:
    """G g Gᵀ of (1) of filters `first` to `last`, in u (36, F, C), from w (F, 3, 3, C); `turned`, by 180°."""
    for f in range(first, last):
        for s in range(3):
            if turned:
                kernel_points(
                    w[f, 2, 2 - s], w[f, 1, 2 - s], w[f, 0, 2 - s],
                    z[0, s], z[1, s], z[2, s], z[3, s], z[4, s], z[5, s],
                )  # (1)  # fmt: skip
            else:
                kernel_points(
                    w[f, 0, s], w[f, 1, s], w[f, 2, s], z[0, s], z[1, s], z[2, s], z[3, s], z[4, s], z[5, s]
                )  # (1)
        for r in range(6):
            kernel_points(
                z[r, 0], z[r, 1], z[r, 2],
                u[6 * r, f], u[6 * r + 1, f], u[6 * r + 2, f], u[6 * r + 3, f], u[6 * r + 4, f], u[6 * r + 5, f],
            )  # (1)  # fmt: skip


@loop
def kernel_gradients(totals: In4, channel: int, first: int, last: int, t: Out3, z: Out3, dw: Out4) -> None:
    """(2): Gᵀ Σ totals G of filters `first` to `last`, from totals (parts, 36, F, some C), in dw (F, 3, 3, C)."""
    end = channel + totals.shape[3]
    for f in range(first, last):
        for r in range(6):
            for s in range(6):
                sums, some = t[r, s], totals[0, 6 * r + s, f]
                for c in range(len(some)):
                    sums[c] = some[c]
                for k in range(1, len(totals)):
                    more = totals[k, 6 * r + s, f]
                    for c in range(len(more)):
                        sums[c] += more[c]
            taps(t[r, 0], t[r, 1], t[r, 2], t[r, 3], t[r, 4], t[r, 5], z[r, 0], z[r, 1], z[r, 2])  # (2)
        for s in range(3):
            taps(
                z[0, s], z[1, s], z[2, s], z[3, s], z[4, s], z[5, s],
                dw[f, 0, s, channel:end], dw[f, 1, s, channel:end], dw[f, 2, s, channel:end],
            )  # (2)  # fmt: skip
