"""BLAS's product within a compiled loop.

    c ← a b + β c                                                                   (1)

Loops leave large products of matrices to BLAS. A loop that calls `add_product` on some rows while
they are in the cache, and goes on with the result, needs no second loop, and no interpreter in between.

Source: see `xpcnn.kernels.blas`
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from .. import blas
from ..blas import AS_IT_IS, ROWS, TRANSPOSED
from .loop import external


def _called_by_address(numba: Any, number: str) -> Callable[..., None]:
    """`add_product` for loops that are compiled for this type of numbers; where BLAS lends none, as a loop."""
    found, kind = blas.gemm(number), numba.from_dtype(np.dtype(number))
    if found is None:
        return _as_a_loop
    name = f"xpcnn_gemm_{number}"
    import_module("llvmlite.binding").add_symbol(name, found.address)
    types = numba.types
    size = types.int64 if found.wide else types.int32
    matrix = (types.uintp, size)  # address, and distance of rows
    call = types.ExternalFunction(
        name, types.void(*[types.int32] * 3, *[size] * 3, kind, *matrix, *matrix, kind, *matrix)
    )
    integer, real = (getattr(numba, each.name) for each in (size, kind))

    def product(a: Any, b: Any, c: Any, beta: float) -> None:
        (m, n), k = c.shape, a.shape[1]
        if m * n == 0:
            return
        a_is_rows, b_is_rows = a.strides[1] == a.itemsize or k == 1, b.strides[1] == b.itemsize or n == 1
        a_row = max(a.strides[0 if a_is_rows else 1] // a.itemsize, k if a_is_rows else m)
        b_row = max(b.strides[0 if b_is_rows else 1] // b.itemsize, n if b_is_rows else k)
        c_row = max(c.strides[0] // c.itemsize, n)
        call(
            numba.int32(ROWS),
            numba.int32(AS_IT_IS if a_is_rows else TRANSPOSED),
            numba.int32(AS_IT_IS if b_is_rows else TRANSPOSED),
            integer(m), integer(n), integer(k), real(1),
            a.ctypes.data, integer(a_row), b.ctypes.data, integer(b_row), real(beta), c.ctypes.data, integer(c_row),
        )  # fmt: skip

    return product


def _as_a_loop(a: Any, b: Any, c: Any, beta: float) -> None:
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            total = c[i, j] * c.dtype.type(beta) if beta != 0 else c.dtype.type(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


@external(_called_by_address)
def add_product(a: Any, b: Any, c: Any, beta: float) -> None:
    """(1), in c.

    Parameters
        a, b : (m, k) and (k, n), parts of arrays; numbers along one of the axes follow each other in memory, and rows
            do not overlap. `a.T` is one, too
        c : (m, n); numbers along its last axis follow each other in memory
        beta : 0 does not read c
    """
    blas.add_product(a, b, c, beta)
