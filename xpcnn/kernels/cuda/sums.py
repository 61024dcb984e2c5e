"""Sums over the rows of a matrix on CuPy, in two kernels.

The M rows are cut into K parts of R rows. A thread sums one column of one part, and one thread per column adds the
parts, in their order:

    s[k,c] = Σ x[m,c]  over the rows m of part k,    y[c] = Σ_k s[k,c]                     (1)

CuPy's own sum over the first axis gives a narrow matrix to too few threads. Not measured.
"""

from __future__ import annotations

from typing import Any

from .kernel import Array, Kernel

MOST_PARTS = 512
FEWEST_ROWS = 64  # of a part

PARTS = Kernel(
    "column_parts",
    "raw T x, index m, index columns, index rows",
    "raw T s",
    """
    index c = i % columns;
    index first = i / columns * rows;
    index last = first + rows < m ? first + rows : m;
    T sum = 0;
    for (index at = first; at < last; ++at) sum += x[at * columns + c];
    s[i] = sum;
    """,
)
TOTAL = Kernel(
    "column_total",
    "raw T s, index parts, index columns",
    "raw T y",
    """
    T sum = 0;
    for (index k = 0; k < parts; ++k) sum += s[k * columns + i];
    y[i] = sum;
    """,
)


def parts_of(count: int) -> tuple[int, int]:
    """K and R for that many rows."""
    rows = max(FEWEST_ROWS, -(-count // MOST_PARTS))
    return -(-count // rows), rows


def column_sums(x: Array) -> Array:
    """(1): x (…, C) → (C,)."""
    columns = x.shape[-1]
    m = x.size // columns
    parts, rows = parts_of(m)
    return total(PARTS(x, m, columns, rows, empty((parts, columns), x), size=parts * columns))  # (1)


def total(s: Array) -> Array:
    """Σ_k of (1): s (K, …) → (…)."""
    if s.shape[0] == 1:
        return s[0]
    y = empty(s.shape[1:], s)
    return TOTAL(s, s.shape[0], y.size, y, size=y.size)  # (1)


def empty(shape: tuple[int, ...], like: Array, dtype: Any = None) -> Array:
    """A new array on the device of another, of its dtype."""
    import cupy

    return cupy.empty(shape, dtype or like.dtype)
