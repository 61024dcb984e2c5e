"""ReLU, ReLU6, and the sum of two arrays, in compiled loops.

As in `xpcnn.kernels.relu`, arrays are runs of numbers in any order of their axes:

    y = max(x, 0)               dx = dy · [y > 0]           (1)
    y = min(max(x, 0), 6)       dx = dy · [0 < y < 6]       (2)
    y = a + b                                               (3)

(1) is equation (1) of `xpcnn.ops.rectifier`, (2) is (2) of `xpcnn.ops.hard_activation`, (3) is (1) of `xpcnn.ops.add`.
A NaN stays one, in y and in dx.

Sources
    V. Nair and G. Hinton, Rectified linear units improve restricted Boltzmann machines, 2010      → (1)
    A. Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010                            → (2)
"""

from __future__ import annotations

from typing import Any

from ...ops.add import check_add
from ...ops.check import check_gradient, check_items
from ...ops.dispatch import Implementation
from ...typing import Cache, NDArray
from ..batch_last import chunks
from ..elementwise import as_run, refuses_run
from ..memory import empty_like
from ..threads import PASS, parallel
from .loop import NAME, In1, Loop, Out1, contiguous, loop, refuses_numbers

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
    """(1), backward."""
    zero, one = y.dtype.type(0), y.dtype.type(1)
    dy, y, dx = dy[first:last], y[first:last], dx[first:last]
    for k in range(len(y)):
        dx[k] = dy[k] * (one if y[k] > 0 else zero)  # (1)


@loop
def rectify_to_6(x: In1, first: int, last: int, y: Out1) -> None:
    """(2)."""
    zero, six = x.dtype.type(0), x.dtype.type(6)
    x, y = x[first:last], y[first:last]
    for k in range(len(x)):
        y[k] = zero if x[k] <= 0 else six if x[k] >= 6 else x[k]  # (2)


@loop
def rectify_to_6_gradient(dy: In1, y: In1, first: int, last: int, dx: Out1) -> None:
    """(2), backward."""
    zero, one = y.dtype.type(0), y.dtype.type(1)
    dy, y, dx = dy[first:last], y[first:last], dx[first:last]
    for k in range(len(y)):
        dx[k] = dy[k] * (one if 0 < y[k] < 6 else zero)  # (2)


@loop
def sum_of_two(a: In1, b: In1, first: int, last: int, y: Out1) -> None:
    """(3)."""
    a, b, y = a[first:last], b[first:last], y[first:last]
    for k in range(len(y)):
        y[k] = a[k] + b[k]  # (3)


def refuses(x: Any) -> str | None:
    """The reason why these implementations of ReLU and ReLU6 refuse the call, or None."""
    return refuses_numbers(x) or refuses_run(x)


def forward(x: NDArray) -> tuple[NDArray, Cache]:
    """`relu_forward`, in compiled loops."""
    check_items("ReLU", x)
    return _forward(rectify, x)


def backward(dy: NDArray, cache: Cache) -> NDArray:
    """`relu_backward`, in compiled loops."""
    check_gradient("ReLU", dy, cache.shape, cache)
    return _run(rectify_gradient, cache, dy, cache)


def forward_to_6(x: NDArray) -> tuple[NDArray, Cache]:
    """`relu6_forward`, in compiled loops."""
    check_items("ReLU6", x)
    return _forward(rectify_to_6, x)


def backward_to_6(dy: NDArray, cache: Cache) -> NDArray:
    """`relu6_backward`, in compiled loops."""
    check_gradient("ReLU6", dy, cache.shape, cache)
    return _run(rectify_to_6_gradient, cache, dy, cache)


def refuses_sum(a: Any, b: Any) -> str | None:
    """The reason why this implementation of the sum refuses the call, or None."""
    return refuses_numbers(a) or refuses_run(a) or refuses_run(b)


def add(a: NDArray, b: NDArray) -> NDArray:
    """`add`, in compiled loops."""
    check_add(a, b)
    return _run(sum_of_two, a, a, b)


def _forward(run: Loop, x: NDArray) -> tuple[NDArray, Cache]:
    y = _run(run, x, x)
    return y, y


def _run(run: Loop, like: NDArray, *reads: NDArray) -> NDArray:
    """What the loop makes of these arrays, in the memory order of `like`."""
    made = empty_like(like)
    runs = [contiguous(as_run(each, made)) for each in reads]  # (size,) each
    written = made.ravel(order="K")  # a view
    parallel(lambda at: run(*runs, at.start, at.stop, written), chunks(made.size, BLOCK), 2 * PASS * made.size)
    return made


RECTIFIER = Implementation(NAME, refuses, forward, backward)
RECTIFIER_TO_6 = Implementation(NAME, refuses, forward_to_6, backward_to_6)
SUM = Implementation(NAME, refuses_sum, add, None)
