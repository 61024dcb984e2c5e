"""The loops of `batch_norm`.

Normalising treats each number by itself, in rows (M, L) of which each of the L numbers has its channel's factors (see
`channel_rows`). Sums over a channel run along the images where the batch is last in memory, (P, C, N), and along the
rows else. Equation numbers are those of `batch_norm`.
"""

from __future__ import annotations

from .copying import clear
from .loop import In1, In2, In3, InInts1, Out2, Sums1, Sums2, loop

TOGETHER = 16  # rows whose sum is in their own type; sums of these are in float64


@loop
def moments(x: In3, x1: In1, first: int, last: int, mean: Sums1, squares: Sums1) -> None:
    """μ_k and q_k of the positions `first` to `last`."""
    _, channels, images = x.shape
    number = x.dtype.type
    for p in range(first, last):
        for c in range(channels):
            start, s = x1[c], number(0)
            for n in range(images):
                s += x[p, c, n] - start
            mean[c] += s
    for c in range(channels):
        mean[c] = x1[c] + mean[c] / ((last - first) * images)
    for p in range(first, last):
        for c in range(channels):
            middle, q = number(mean[c]), number(0)
            for n in range(images):
                q += (x[p, c, n] - middle) ** 2
            squares[c] += q


@loop
def moments_of_rows(x: In2, x1: In1, first: int, last: int, scratch: Out2, mean: Sums1, squares: Sums1) -> None:
    """μ_k and q_k of each of the L numbers of the rows `first` to `last`."""
    length, sums, middle = x.shape[1], scratch[0], scratch[1]
    for start in range(first, last, TOGETHER):
        clear(sums, 0, length)
        for m in range(start, min(start + TOGETHER, last)):
            row = x[m]
            for k in range(length):
                sums[k] += row[k] - x1[k]
        for k in range(length):
            mean[k] += sums[k]
    for k in range(length):
        mean[k] = x1[k] + mean[k] / (last - first)
        middle[k] = mean[k]
    for start in range(first, last, TOGETHER):
        clear(sums, 0, length)
        for m in range(start, min(start + TOGETHER, last)):
            row = x[m]
            for k in range(length):
                sums[k] += (row[k] - middle[k]) ** 2
        for k in range(length):
            squares[k] += sums[k]


@loop
def statistics(x1: In1, means: Sums2, squares: Sums2, sizes: InInts1, mean: Sums1, var: Sums1) -> None:
    """(1), of μ_k − x₁ and q_k in rows, one for each piece, of one or several times C numbers."""
    channels, times = len(x1), means.shape[1] // len(x1)
    count = times * sizes.sum()
    for k in range(len(means)):
        for t in range(times):
            for c in range(channels):
                mean[c] += sizes[k] * (means[k, t * channels + c] - x1[c])
    for c in range(channels):
        mean[c] = x1[c] + mean[c] / count  # (1)
    for k in range(len(means)):
        for t in range(times):
            for c in range(channels):
                var[c] += squares[k, t * channels + c] + sizes[k] * (means[k, t * channels + c] - mean[c]) ** 2
    for c in range(channels):
        var[c] /= count  # (1)


@loop
def normalize(x: In2, factors: In2, relu: bool, most: float, first: int, last: int, y: Out2) -> None:
    """(3), and with `relu` 0 for negative numbers and `most` for larger ones; `factors` are μ, a and β."""
    length = x.shape[1]
    mean, a, beta = factors[0], factors[1], factors[2]
    for m in range(first, last):
        row, out = x[m], y[m]
        if relu:
            for k in range(length):
                s = a[k] * (row[k] - mean[k]) + beta[k]  # (3)
                s = 0.0 if s <= 0.0 else s
                out[k] = most if s > most else s
        else:
            for k in range(length):
                out[k] = a[k] * (row[k] - mean[k]) + beta[k]  # (3)


@loop
def sum_gradients(
    dy: In3, x: In3, y: In3, mean: In1, relu: bool, upper: float, first: int, last: int, products: Sums1, sums: Sums1
) -> None:
    """The sums of (4); with `relu`, dy counts where y > 0 and not `upper`."""
    _, channels, images = x.shape
    for p in range(first, last):
        for c in range(channels):
            middle, s, q = mean[c], x.dtype.type(0), x.dtype.type(0)
            if relu:
                for n in range(images):
                    d = dy[p, c, n] * (1.0 if y[p, c, n] > 0.0 and y[p, c, n] != upper else 0.0)
                    s += d
                    q += d * (x[p, c, n] - middle)
            else:
                for n in range(images):
                    d = dy[p, c, n]
                    s += d
                    q += d * (x[p, c, n] - middle)
            products[c] += q  # (4)
            sums[c] += s  # (4)


@loop
def sum_gradients_of_rows(
    dy: In2, x: In2, y: In2, mean: In1, relu: bool, upper: float, first: int, last: int,
    scratch: Out2, products: Sums1, sums: Sums1,
) -> None:  # fmt: skip
    """The sums of (4), for each of the L numbers."""
    length, q, s = x.shape[1], scratch[0], scratch[1]
    for start in range(first, last, TOGETHER):
        clear(q, 0, length)
        clear(s, 0, length)
        for m in range(start, min(start + TOGETHER, last)):
            given, row, after = dy[m], x[m], y[m]
            if relu:
                for k in range(length):
                    d = given[k] * (1.0 if after[k] > 0.0 and after[k] != upper else 0.0)
                    q[k] += d * (row[k] - mean[k])
                    s[k] += d
            else:
                for k in range(length):
                    q[k] += given[k] * (row[k] - mean[k])
                    s[k] += given[k]
        for k in range(length):
            products[k] += q[k]  # (4)
            sums[k] += s[k]  # (4)


@loop
def input_gradient(
    dy: In2, x: In2, y: In2, factors: In2, relu: bool, upper: float, first: int, last: int, dx: Out2
) -> None:
    """(5); `factors` are μ, a, f and g."""
    length = x.shape[1]
    mean, a, f, g = factors[0], factors[1], factors[2], factors[3]
    for m in range(first, last):
        given, row, after, out = dy[m], x[m], y[m], dx[m]
        if relu:
            for k in range(length):
                d = given[k] * (1.0 if after[k] > 0.0 and after[k] != upper else 0.0)
                out[k] = a[k] * d + f[k] * (row[k] - mean[k]) + g[k]  # (5)
        else:
            for k in range(length):
                out[k] = a[k] * given[k] + f[k] * (row[k] - mean[k]) + g[k]  # (5)
