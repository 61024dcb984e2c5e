"""Products of matrices that add to what is already there, by the BLAS that NumPy uses.

    c ← a b + β c                                                                   (1)

`numpy.matmul` has no such call: a sum of products needs another array and another pass for each term. BLAS has one,
"gemm", and NumPy's own OpenBLAS lends it. Other BLAS libraries (Accelerate, MKL) are not searched; `refuses` says so.
Compiled loops call it by its address (`xpcnn.kernels.compiled.product`).

Source: J. Dongarra et al., A set of level 3 basic linear algebra subprograms, 1990, equation of GEMM → (1)
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from ..typing import NDArray
from .threads import openblas_library

ROWS = 101  # CblasRowMajor
AS_IT_IS, TRANSPOSED = 111, 112  # CblasNoTrans, CblasTrans
_LETTERS = {"f": "s", "d": "d"}
_NUMBERS: dict[str, Any] = {"f": ctypes.c_float, "d": ctypes.c_double}


Operand: TypeAlias = tuple[int, int, bool]  # address, distance of its rows, and whether it is transposed


class Gemm(NamedTuple):
    """BLAS's product for one type of numbers."""

    call: Any
    address: int
    wide: bool  # whether sizes have 64 bits


@cache
def gemm(number: str) -> Gemm | None:
    """The product for a dtype's char; None if NumPy's BLAS does not lend one."""
    library, letter = openblas_library(), _LETTERS.get(number)
    for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("", "_64"), ("scipy_", ""), ("", "")):
        name = f"{prefix}cblas_{letter}gemm{suffix}"
        if library is not None and letter is not None and hasattr(library, name):
            call = getattr(library, name)
            wide = "64" in suffix
            integer: Any = ctypes.c_int64 if wide else ctypes.c_int32
            pointer, real = ctypes.c_void_p, _NUMBERS[number]
            call.argtypes = [ctypes.c_int] * 3 + [integer] * 3 + [real, pointer, integer, pointer, integer]
            call.argtypes += [real, pointer, integer]
            call.restype = None
            return Gemm(call, int(ctypes.cast(call, ctypes.c_void_p).value or 0), wide)
    return None


def sizes() -> str:
    """The width of sizes in the products of each type of numbers, for what is compiled with them."""
    return ", ".join(f"{number}: {(found := gemm(number)) and found.wide}" for number in _LETTERS)


def refuses(x: NDArray) -> str | None:
    """The reason why there is no such product for arrays like x, or None."""
    if gemm(x.dtype.char) is None or not x.dtype.isnative:
        return "NumPy's BLAS lends no product for these numbers"
    return None


def add_product(a: NDArray, b: NDArray, c: NDArray, beta: float = 1.0) -> None:
    """(1), in c.

    Parameters
        a, b : (m, k) and (k, n), of c's dtype; numbers along one of the axes follow each other in memory
        c : (m, n); numbers along its last axis follow each other in memory
        beta : 0 does not read c
    """
    bound(a, b, c, beta)()


def bound(a: NDArray, b: NDArray, c: NDArray, beta: float = 1.0) -> Callable[[], None]:
    """The call of `add_product` on these arrays' memory, prepared: it takes two microseconds less.

    The arrays must live as long as it is called.
    """
    found = gemm(c.dtype.char)
    assert found is not None, "`refuses` was not asked"
    if not c.size:
        return lambda: None
    (m, n), k = c.shape, a.shape[1]
    call, held = found.call, (a, b, c)
    (a_order, a_row), (b_order, b_row), (c_order, c_row) = _order(a), _order(b), _order(c)
    assert (len(a), b.shape, c_order) == (m, (k, n), AS_IT_IS), "the shapes do not fit"
    assert a.dtype == b.dtype == c.dtype, "the dtypes differ"
    types = call.argtypes
    arguments = [ROWS, a_order, b_order, m, n, k, 1.0, a.ctypes.data, a_row, b.ctypes.data, b_row, beta]
    ready = [kind(each) for kind, each in zip(types, [*arguments, c.ctypes.data, c_row], strict=True)]

    def run() -> None:
        call(*ready)

    run.reads = held  # type: ignore[attr-defined]  # keeps their memory
    return run


def operand(x: NDArray) -> Operand:
    """A matrix for `multiply`."""
    order, row = _order(x)
    return x.ctypes.data, row, order == TRANSPOSED


def multiply(number: str, a: Operand, b: Operand, c: tuple[int, int], sizes: tuple[int, int, int], add: bool) -> None:
    """(1) for matrices given by their addresses, with β = 0 or 1: the fastest call.

    Parameters
        number : the dtype's char
        a, b, c : (m, k), (k, n) and (m, n); of c only address and distance of its rows
        sizes : m, n, k
    """
    found = gemm(number)
    assert found is not None, "`refuses` was not asked"
    (left, left_row, left_turned), (right, right_row, right_turned), (to, to_row) = a, b, c
    orders = TRANSPOSED if left_turned else AS_IT_IS, TRANSPOSED if right_turned else AS_IT_IS
    found.call(ROWS, *orders, *sizes, 1.0, left, left_row, right, right_row, float(add), to, to_row)


def _order(x: NDArray) -> tuple[int, int]:
    """How x (rows, columns) lies in memory, and the distance of its rows, or columns if these are the runs."""
    rows, columns = x.shape
    down, along = (stride // x.itemsize for stride in x.strides)
    if along == 1 or columns <= 1:
        order, run, step = AS_IT_IS, columns, down if rows > 1 else columns
    else:
        assert down == 1 or rows <= 1, "neither rows nor columns are runs"
        order, run, step = TRANSPOSED, rows, along
    assert step >= run, "BLAS knows no rows that overlap"
    return order, max(step, 1)
