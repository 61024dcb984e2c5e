"""Joins of several arrays on CuPy: one kernel forward, and one backward.

    add         y = Σᵢ xᵢ                                                                        (1)
    multiply    y = Πᵢ xᵢ        dxᵢ = Σ_s dy · Π_{j≠i} xⱼ                                       (3)
    maximum     y = maxᵢ xᵢ      dxᵢ = Σ_s dy · [xᵢ = y] / (number of j with xⱼ = y)             (4)
    minimum     y = minᵢ xᵢ      dxᵢ as in (4)                                                   (7)

The kernel repeats smaller arrays, and backward makes the gradients of all of them at once. The sum Σ_s, over the axes
along which xᵢ was repeated, is CuPy's. Add has no kernel backward, as dxᵢ = Σ_s dy. The difference of two arrays takes
one launch each way in the reference, too.

Source: the equations are those of `xpcnn.ops.join`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from ...ops.broadcast import sum_to
from ...ops.check import check_gradient
from ...ops.implementations import Implementation
from ...ops.join import add_backward, check_join
from ...typing import Cache
from .kernel import Array, Kernel, refuses_kind
from .proof import proven
from .steps import MOST_BYTES

_FURTHER = {"maximum": "<=", "minimum": ">="}  # how others compare with the number that is kept


@cache
def kernel(op: str, count: int) -> Kernel:
    """The forward of that join of so many arrays."""
    names = _names(count)
    if op in _FURTHER:
        each = "".join(f"m = isnan(m) || {x} {_FURTHER[op]} m ? m : {x}; " for x in names[1:])
        code = f"T m = x_0; {each}y = m;"  # (4), (7)
    else:
        code = f"y = {(' + ' if op == 'add_join' else ' * ').join(names)};"  # (1), (3)
    return Kernel(f"{op}_{count}", ", ".join(f"T {x}" for x in names), "T y", code)


@cache
def kernel_dx(op: str, count: int) -> Kernel:
    """The backward of that join of so many arrays, before Σ_s."""
    names = _names(count)
    if op in _FURTHER:
        code = f"int many = {' + '.join(f'int({x} == y)' for x in names)}; T share = dy / T(many > 0 ? many : 1); "
        code += "".join(f"d{x} = share * T({x} == y); " for x in names)  # (4), (7)
    else:
        code = "".join(f"d{x} = dy * ({' * '.join(each for each in names if each != x)}); " for x in names)  # (3)
    reads = ", ".join(f"T {name}" for name in ("dy", "y", *names))
    return Kernel(f"{op}_{count}_dx", reads, ", ".join(f"T d{x}" for x in names), code)


def _names(count: int) -> list[str]:
    return [f"x_{k}" for k in range(count)]


def refuses(xs: Any) -> str | None:
    """The reason why these implementations refuse the call, or None."""
    if not isinstance(xs, tuple | list) or not xs:
        return "not several arrays"
    if reason := next(filter(None, map(refuses_kind, xs)), None):
        return reason
    axes = max(x.ndim for x in xs)
    most = MOST_BYTES // (16 + 16 * axes) // 2 - 2  # of a kernel's parameters: dy, y, x, dx and the threads' shape
    return f"more than {most} arrays of {axes} axes" if len(xs) > most else None


def forward(op: str, who: str, xs: Sequence[Array]) -> tuple[Array, Cache]:
    """The forward of that join in `xpcnn.ops.join`."""
    shape = check_join(who, xs)
    y = kernel(op, len(xs))(*xs)  # (1), (3), (4), (7)
    return y, (shape, tuple(xs), y if op in _FURTHER else None)


def backward(op: str, who: str, dy: Array, cache: Cache) -> tuple[Array, ...]:
    """The backward of that join in `xpcnn.ops.join`."""
    shape, xs, y = cache
    check_gradient(who, dy, shape, *xs)
    dxs = kernel_dx(op, len(xs))(dy, dy if y is None else y, *xs)
    return tuple(sum_to(dx, tuple(x.shape)) for dx, x in zip(dxs, xs, strict=True))  # (3), (4), (7)


def _add_forward(xs: Sequence[Array]) -> tuple[Array, Cache]:
    y, (shape, xs, _) = forward("add_join", "Add", xs)
    return y, (shape, [tuple(x.shape) for x in xs])


def _join(op: str, who: str) -> Implementation:
    return proven(op, refuses, partial(forward, op, who), partial(backward, op, who))


ADD = proven("add_join", refuses, _add_forward, add_backward)
MULTIPLY, MAXIMUM, MINIMUM = (_join(each.lower(), each) for each in ("Multiply", "Maximum", "Minimum"))
