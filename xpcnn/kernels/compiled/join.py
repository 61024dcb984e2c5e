"""Sum, maximum and minimum of two arrays of one shape, in compiled loops: one pass forward, and one backward.

Arrays are runs of numbers in any order of their axes, as in `xpcnn.kernels.add`:

    add         y = a + b                                                                        (1)
    maximum     y = max(a, b)     da = dy · [a = y] / k,   db = dy · [b = y] / k                 (4)
    minimum     y = min(a, b)     likewise                                                       (7)

with the equation numbers of `xpcnn.ops.join`. k is 2 where both are y, else 1. NaN in one of them is NaN in y, which
neither equals. A sum of several arrays is made of these (`xpcnn.kernels.add`). Products are missing: NumPy takes one
pass for each array that is made, too.

Source: the equations are those of `xpcnn.ops.join`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...ops.add import check_add
from ...ops.check import check_gradient
from ...ops.implementations import Implementation
from ...ops.join import check_join
from ...typing import Cache, NDArray
from ..elementwise import refuses_run
from ..memory import empty_like
from .loop import NAME, In1, Out1, loop, loop_with, refuses_numbers
from .runs import made_by, run

TIMES = 4  # so many times as many numbers as a sum needs until maxima pay


@loop
def sum_of_two(a: In1, b: In1, first: int, last: int, y: Out1) -> None:
    """(1)."""
    a, b, y = a[first:last], b[first:last], y[first:last]
    for k in range(len(y)):
        y[k] = a[k] + b[k]  # (1)


def formula(a: Any, b: Any) -> Any:
    """y; each loop has its own."""


def joined(a: In1, b: In1, first: int, last: int, y: Out1) -> None:
    """y of (4) or (7)."""
    a, b, y = a[first:last], b[first:last], y[first:last]
    for k in range(len(y)):
        y[k] = formula(a[k], b[k])


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
    if reason := next(filter(None, map(refuses_numbers, xs)), None) or refuses_run(xs[0], times=TIMES):
        return reason
    return None if xs[0].shape == xs[1].shape else "arrays of several shapes"


def add(a: NDArray, b: NDArray) -> NDArray:
    """`add`, in a compiled loop."""
    check_add(a, b)
    return made_by(sum_of_two, a, a, b)


def _extreme(who: str, value: Callable[[Any, Any], Any]) -> Implementation:
    group = who.lower()
    run_forward, run_backward = (loop_with(each, group, formula=value) for each in (joined, extreme_gradients))

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
MAXIMUM = _extreme("Maximum", lambda a, b: a if a >= b or a != a else b)  # (4)
MINIMUM = _extreme("Minimum", lambda a, b: a if a <= b or a != a else b)  # (7)
