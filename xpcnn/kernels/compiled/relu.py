"""ReLU, and the sum of two arrays, in compiled loops.

As in `xpcnn.kernels.relu`, arrays are runs of numbers in any order of their axes:

    y  = max(x, 0)                              (1)
    dx = dy · [y > 0]                           (2)
    y  = a + b                                  (3)

(1) and (2) are equation (1) of `xpcnn.ops.rectifier`, (3) is that of `xpcnn.ops.add`. A NaN stays one, in y and in dx.

Source: V. Nair and G. Hinton, Rectified linear units improve restricted Boltzmann machines, 2010.
"""

from __future__ import annotations

from typing import Any

from ...ops.add import check_add
from ...ops.check import check_batch, check_floats, check_gradient
from ...ops.dispatch import Implementation
from ...typing import Cache, NDArray
from ..batch_last import chunks
from ..elementwise import as_run, refuses_run
from ..memory import empty_like
from ..threads import PASS, parallel
from .loop import NAME, In1, Out1, contiguous, loop, refuses_numbers

BLOCK = 1 << 16  # elements


@loop
def rectify(x: In1, first: int, last: int, y: Out1) -> None:
    """(1)."""
    zero = x.dtype.type(0)
    x, y = x[first:last], y[first:last]
    for k in range(len(x)):
        y[k] = zero if x[k] <= 0 else x[k]  # (1)


@loop
def rectify_gradient(dy: In1, y: In1, first: int, last: int, dx: Out1) -> None:
    """(2)."""
    zero, one = y.dtype.type(0), y.dtype.type(1)
    dy, y, dx = dy[first:last], y[first:last], dx[first:last]
    for k in range(len(y)):
        dx[k] = dy[k] * (one if y[k] > 0 else zero)  # (2)


@loop
def sum_of_two(a: In1, b: In1, first: int, last: int, y: Out1) -> None:
    """(3)."""
    a, b, y = a[first:last], b[first:last], y[first:last]
    for k in range(len(y)):
        y[k] = a[k] + b[k]  # (3)


def refuses(x: Any) -> str | None:
    """The reason why this implementation of ReLU refuses the call, or None."""
    return refuses_numbers(x) or refuses_run(x)


def forward(x: NDArray) -> tuple[NDArray, Cache]:
    """`relu_forward`, in compiled loops."""
    check_batch("ReLU", x, *x.shape[1:])
    check_floats("ReLU", x)
    y = empty_like(x)  # (N, …), in x's order
    x_run, y_run = _run(x, y), y.ravel(order="K")  # (size,) each
    parallel(lambda at: rectify(x_run, at.start, at.stop, y_run), chunks(x.size, BLOCK), PASS * x.size)
    return y, y


def backward(dy: NDArray, cache: Cache) -> NDArray:
    """`relu_backward`, in compiled loops."""
    y: NDArray = cache
    check_gradient("ReLU", dy, y.shape, y)
    dx = empty_like(y)  # (N, …), in y's order
    runs = _run(dy, y), _run(y, y)  # (size,) each
    dx_run = dx.ravel(order="K")
    parallel(lambda at: rectify_gradient(*runs, at.start, at.stop, dx_run), chunks(y.size, BLOCK), 2 * PASS * y.size)
    return dx


def refuses_sum(a: Any, b: Any) -> str | None:
    """The reason why this implementation of the sum refuses the call, or None."""
    return refuses_numbers(a) or refuses_run(a) or refuses_run(b)


def add(a: NDArray, b: NDArray) -> NDArray:
    """`add`, in compiled loops."""
    check_add(a, b)
    y = empty_like(a)  # in a's order
    runs, y_run = (_run(a, y), _run(b, y)), y.ravel(order="K")  # (size,) each
    parallel(lambda at: sum_of_two(*runs, at.start, at.stop, y_run), chunks(y.size, BLOCK), 2 * PASS * y.size)
    return y


def _run(x: NDArray, like: NDArray) -> NDArray:
    return contiguous(as_run(x, like))


RECTIFIER = Implementation(NAME, refuses, forward, backward)
SUM = Implementation(NAME, refuses_sum, add, None)
