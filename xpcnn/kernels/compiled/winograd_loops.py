"""The loops of Winograd's algorithm along both axes: see `winograd`.

A tile is 4×4 outputs of a channel, or the 6×6 numbers that it reads, for n images. T tiles next to each other are
transformed together. Column 4·t + s of their inputs, of n numbers, is t-th of those s, so that the columns at one place
of all tiles are one run: T·n numbers, of which the fifth and sixth are those of the next tile's first and second.
"""

from __future__ import annotations

from typing import Any

from .loop import In1, In3, In4, Out2, Out3, Out4, Sums1, loop, part
from .product import add_product
from .winograd_points import gradient_points, input_points, kernel_points, outputs, taps


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
