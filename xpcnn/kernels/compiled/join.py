"""Sum, product, maximum and minimum of two arrays of one shape, in compiled loops: one pass forward, one backward.

Arrays are runs of numbers in any order of their axes, as in `xpcnn.kernels.add`:

    add         y = a + b                                                                        (1)
    multiply    y = a b           da = dy b,   db = dy a                                         (3)
    maximum     y = max(a, b)     da = dy · [a = y] / k,   db = dy · [b = y] / k                 (4)
    minimum     y = min(a, b)     likewise                                                       (7)

with the equation numbers of `xpcnn.ops.join`. k is 2 where both are y, else 1. NaN in one of them is NaN in y, which
neither equals. A sum of several arrays is made of these (`xpcnn.kernels.add`).

Source: the equations are those of `xpcnn.ops.join`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...ops.add import check_add
from ...ops.check import check_gradient
from ...ops.dispatch import Implementation
from ...ops.join import check_join
from ...typing import Cache, NDArray
from ..elementwise import refuses_run
from ..memory import empty_like
from .loop import NAME, In1, Out1, loop, loop_with, refuses_numbers
from .runs import made_by, run


@loop
def sum_of_two(a: In1, b: In1, first: int, last: int, y: Out1) -> None:
    """(1)."""
    a, b, y = a[first:last], b[first:last], y[first:last]
    for k in range(len(y)):
        y[k] = a[k] + b[k]  # (1)


def formula(a: Any, b: Any) -> Any:
    """y; each loop has its own."""


def joined(a: In1, b: In1, first: int, last: int, y: Out1) -> None:
    """y of (3), (4) or (7)."""
    a, b, y = a[first:last], b[first:last], y[first:last]
    for k in range(len(y)):
        y[k] = formula(a[k], b[k])


@loop
def product_gradients(dy: In1, a: In1, b: In1, first: int, last: int, da: Out1, db: Out1) -> None:
    """(3)."""
    dy, a, b, da, db = dy[first:last], a[first:last], b[first:last], da[first:last], db[first:last]
    for k in range(len(dy)):
        da[k], db[k] = dy[k] * b[k], dy[k] * a[k]  # (3)


def extreme_gradients(dy: In1, a: In1, b: In1, first: int, last: int, da: Out1, db: Out1) -> None:
    """(4) or (7)."""
    dy, a, b, da, db = dy[first:last], a[first:last], b[first:last], da[first:last], db[first:last]
    for k in range(len(dy)):
        y = formula(a[k], b[k])
        of_a, of_b = 1.0 if a[k] == y else 0.0, 1.0 if b[k] == y else 0.0
        each = dy[k] / max(of_a + of_b, 1.0)
        da[k], db[k] = each * of_a, each * of_b  # (4), (7)


def refuses_sum(a: Any, b: Any) -> str | None:
    """The reason why this implementation of the sum refuses the call, or None."""
    return refuses_numbers(a) or refuses_run(a) or refuses_run(b)


def refuses(xs: Any) -> str | None:
    """The reason why the other implementations refuse the call, or None."""
    if not isinstance(xs, tuple | list) or len(xs) != 2:
        return "not two arrays"
    if reason := next(filter(None, map(refuses_numbers, xs)), None) or refuses_run(xs[0]):
        return reason
    return None if xs[0].shape == xs[1].shape else "arrays of several shapes"


def add(a: NDArray, b: NDArray) -> NDArray:
    """`add`, in a compiled loop."""
    check_add(a, b)
    return made_by(sum_of_two, a, a, b)


def _join(who: str, value: Callable[[Any, Any], Any], extreme: bool) -> Implementation:
    group = who.lower()
    run_forward = loop_with(joined, group, formula=value)
    run_backward = loop_with(extreme_gradients, group, formula=value) if extreme else product_gradients

    def forward(xs: Sequence[NDArray]) -> tuple[NDArray, Cache]:
        check_join(who, xs)
        a, b = xs
        return made_by(run_forward, a, a, b), (a, b)

    def backward(dy: NDArray, cache: Cache) -> tuple[NDArray, NDArray]:
        a, b = cache
        check_gradient(who, dy, a.shape, a)
        da, db = empty_like(a), empty_like(a)
        run(run_backward, (da, db), (dy, a, b), passes=5)
        return da, db

    return Implementation(NAME, refuses, forward, backward)


SUM = Implementation(NAME, refuses_sum, add, None)
MULTIPLY = _join("Multiply", lambda a, b: a * b, False)  # (3)
MAXIMUM = _join("Maximum", lambda a, b: a if a >= b or a != a else b, True)  # (4)
MINIMUM = _join("Minimum", lambda a, b: a if a <= b or a != a else b, True)  # (7)
