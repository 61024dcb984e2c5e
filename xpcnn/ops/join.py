"""Joins of several values: sum, difference, product, maximum, minimum, concatenation; and their gradients.

    add         y = Σᵢ xᵢ                     dxᵢ = Σ_s dy                                                (1)
    subtract    y = a − b                     da = Σ_s dy,   db = −Σ_s dy                                 (2)
    multiply    y = Πᵢ xᵢ                     dxᵢ = Σ_s dy · Π_{j≠i} xⱼ                                   (3)
    maximum     y = maxᵢ xᵢ                   dxᵢ = Σ_s dy · [xᵢ = y] / (number of j with xⱼ = y)         (4)
    concat      y = [x₁, x₂, …]               dxᵢ = the part of dy at xᵢ's place in y                     (5)
    minimum     y = minᵢ xᵢ                   dxᵢ as in (4)                                               (7)

Shapes are broadcast. Σ_s is the sum over the axes along which xᵢ was repeated, see `xpcnn.ops.broadcast`.

Equal maxima share the gradient of (4), as in `torch.amax`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from ..backend import array_namespace
from ..errors import OptionError, ShapeError
from ..typing import Array, Cache, Shape
from . import dispatch
from .broadcast import sum_to
from .check import check_array, check_floats, check_gradient


def add_forward(xs: Sequence[Array]) -> tuple[Array, Cache]:
    """The sum, (1).

    Parameters
        xs : two or more Arrays of the same dtype, float; their shapes are broadcast
    Returns
        y : Array of the common shape
        cache : for `add_backward`; holds shapes
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> y, cache = add_forward((np.ones((2, 3)), np.ones(3)))
    >>> [dx.shape for dx in add_backward(y, cache)]
    [(2, 3), (3,)]
    """
    shape = _check("Add", xs)
    y: Array = reduce(_sum, xs)  # (1)
    return y, (shape, [tuple(x.shape) for x in xs])


def add_backward(dy: Array, cache: Cache) -> tuple[Array, ...]:
    """The gradients of `add_forward`, (1), one per input.

    >>> import numpy as np
    >>> y, cache = add_forward([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
    >>> add_backward(np.ones_like(y), cache)
    (array([[1., 1.]]), array([[1., 1.]]))
    """
    shape, shapes = cache
    check_gradient("Add", dy, shape)
    return tuple(sum_to(dy, each) for each in shapes)  # (1)


def subtract_forward(xs: Sequence[Array]) -> tuple[Array, Cache]:
    """The difference of two arrays, (2); otherwise like `add_forward`.

    >>> import numpy as np
    >>> y, cache = subtract_forward([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
    >>> y
    array([[-2.,  1.]])
    >>> subtract_backward(np.ones_like(y), cache)
    (array([[1., 1.]]), array([[-1., -1.]]))
    """
    shape = _check("Subtract", xs, most=2)
    a, b = xs
    return a - b, (shape, tuple(a.shape), tuple(b.shape))  # (2)


def subtract_backward(dy: Array, cache: Cache) -> tuple[Array, ...]:
    """The gradients of `subtract_forward`, (2).

    >>> import numpy as np
    >>> y, cache = subtract_forward([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
    >>> subtract_backward(np.ones_like(y), cache)
    (array([[1., 1.]]), array([[-1., -1.]]))
    """
    shape, a, b = cache
    check_gradient("Subtract", dy, shape)
    return sum_to(dy, a), -sum_to(dy, b)  # (2)


def multiply_forward(xs: Sequence[Array]) -> tuple[Array, Cache]:
    """The product, (3); like `add_forward`, but the cache refers to the inputs.

    >>> import numpy as np
    >>> y, cache = multiply_forward([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
    >>> y
    array([[ 3., 20.]])
    >>> multiply_backward(np.ones_like(y), cache)
    (array([[3., 4.]]), array([[1., 5.]]))
    """
    shape = _check("Multiply", xs)
    y: Array = reduce(lambda a, b: a * b, xs)  # (3)
    return y, (shape, tuple(xs))


def multiply_backward(dy: Array, cache: Cache) -> tuple[Array, ...]:
    """The gradients of `multiply_forward`, (3).

    >>> import numpy as np
    >>> y, cache = multiply_forward([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
    >>> multiply_backward(np.ones_like(y), cache)
    (array([[3., 4.]]), array([[1., 5.]]))
    """
    shape, xs = cache
    check_gradient("Multiply", dy, shape)
    others = [reduce(lambda a, b: a * b, [x for j, x in enumerate(xs) if j != i]) for i in range(len(xs))]
    return tuple(sum_to(dy * other, tuple(x.shape)) for x, other in zip(xs, others, strict=True))  # (3)


def maximum_forward(xs: Sequence[Array]) -> tuple[Array, Cache]:
    """The elementwise maximum, (4); like `add_forward`, but the cache refers to the inputs and y.

    >>> import numpy as np
    >>> y, cache = maximum_forward([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
    >>> y
    array([[3., 5.]])
    >>> maximum_backward(np.ones_like(y), cache)
    (array([[0., 1.]]), array([[1., 0.]]))
    """
    shape = _check("Maximum", xs)
    y: Array = reduce(array_namespace(*xs).maximum, xs)  # (4)
    return y, (shape, tuple(xs), y)


def maximum_backward(dy: Array, cache: Cache) -> tuple[Array, ...]:
    """The gradients of `maximum_forward`, (4).

    >>> import numpy as np
    >>> y, cache = maximum_forward([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
    >>> maximum_backward(np.ones_like(y), cache)
    (array([[0., 1.]]), array([[1., 0.]]))
    """
    shape, xs, y = cache
    xp = check_gradient("Maximum", dy, shape)
    largest = [xp.astype(x == y, dy.dtype) for x in xs]
    share = shared(dy, reduce(lambda a, b: a + b, largest), xp)
    return tuple(sum_to(share * each, tuple(x.shape)) for each, x in zip(largest, xs, strict=True))  # (4)


def minimum_forward(xs: Sequence[Array]) -> tuple[Array, Cache]:
    """The elementwise minimum, (7); like `maximum_forward`.

    >>> import numpy as np
    >>> y, cache = minimum_forward([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
    >>> y
    array([[1., 4.]])
    >>> minimum_backward(np.ones_like(y), cache)
    (array([[1., 0.]]), array([[0., 1.]]))
    """
    shape = _check("Minimum", xs)
    y: Array = reduce(array_namespace(*xs).minimum, xs)  # (7)
    return y, (shape, tuple(xs), y)


def minimum_backward(dy: Array, cache: Cache) -> tuple[Array, ...]:
    """The gradients of `minimum_forward`, (7).

    >>> import numpy as np
    >>> y, cache = minimum_forward([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
    >>> minimum_backward(np.ones_like(y), cache)
    (array([[1., 0.]]), array([[0., 1.]]))
    """
    check_gradient("Minimum", dy, cache[0])
    return maximum_backward(dy, cache)  # (7)


def concat_forward(xs: Sequence[Array]) -> tuple[Array, Cache]:
    """Concatenate the inputs along the last axis (the channels), (5).

    Parameters
        xs : Arrays (N, …, Cᵢ) of the same dtype, float; their shapes may differ only in the last axis
    Returns
        y : Array (N, …, Σᵢ Cᵢ)
        cache : for `concat_backward`; holds shapes
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> y, cache = concat_forward([np.ones((1, 2)), np.zeros((1, 1))])
    >>> y
    array([[1., 1., 0.]])
    >>> concat_backward(np.array([[1.0, 2.0, 3.0]]), cache)
    (array([[1., 2.]]), array([[3.]]))
    """
    for x in _several("Concat", xs, least=1):
        check_array("Concat", x)
    shapes = ", ".join(str(tuple(x.shape)) for x in xs)
    if len({tuple(x.shape[:-1]) for x in xs}) > 1 or not all(x.ndim for x in xs):
        remedy = _remedy([tuple(x.shape) for x in xs], "cut or pad the other axes")
        raise ShapeError("Concat", "branches that differ in their channels only", shapes, remedy)
    if xs[0].ndim == 1:  # the last axis is the batch's
        raise ShapeError("Concat", "arrays (N, …, C)", shapes, "give each number an axis of channels first")
    _refuse_empty("Concat", xs)
    xp = check_floats("Concat", *xs)
    return xp.concat(xs, axis=-1), [tuple(x.shape) for x in xs]  # (5)


def concat_backward(dy: Array, cache: Cache) -> tuple[Array, ...]:
    """The gradients of `concat_forward`, (5): views of dy.

    >>> import numpy as np
    >>> y, cache = concat_forward([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
    >>> concat_backward(np.ones_like(y), cache)
    (array([[1., 1.]]), array([[1., 1.]]))
    """
    check_gradient("Concat", dy, (*cache[0][:-1], sum(shape[-1] for shape in cache)))
    parts, start = [], 0
    for shape in cache:
        parts.append(dy[..., start : start + shape[-1]])  # (5)
        start += shape[-1]
    return tuple(parts)


def shared(dy: Array, count: Array, xp: Any) -> Array:
    """dy divided among so many that are the largest; among none where there is a NaN, which is equal to nothing."""
    share: Array = dy / xp.where(count == 0, xp.ones_like(count), count)
    return share


def _sum(a: Array, b: Array) -> Array:
    same: Array = dispatch.output("add", a, b) if tuple(a.shape) == tuple(b.shape) else a + b
    return same


def _check(who: str, xs: Sequence[Array], *, most: int | None = None) -> Shape:
    """Check that the inputs have a common shape; return it."""
    for x in _several(who, xs, most=most):
        check_array(who, x)
    check_floats(who, *xs)
    shapes = [tuple(x.shape) for x in xs]
    ndim = max(map(len, shapes))
    padded = [(1,) * (ndim - len(shape)) + shape for shape in shapes]
    common = tuple(max(sizes) if min(sizes) else 0 for sizes in zip(*padded, strict=True))
    if any(size not in (1, full) for shape in padded for size, full in zip(shape, common, strict=True)):
        remedy = _remedy(shapes, "axes are aligned at the last one, the channels")
        raise ShapeError(who, "shapes that can be broadcast to one", ", ".join(map(str, shapes)), remedy)
    _refuse_empty(who, xs)
    return common


def _refuse_empty(who: str, xs: Sequence[Array]) -> None:
    if any(0 in x.shape for x in xs):
        got = ", ".join(str(tuple(x.shape)) for x in xs)
        raise ShapeError(who, "at least one item along every axis", got, "skip empty batches")


def _remedy(shapes: Sequence[Shape], otherwise: str) -> str:
    """For shapes that do not fit; maps (N, H, W, C) of different heights or widths can be enlarged."""
    if any(len(shape) != 4 for shape in shapes) or len({shape[1:3] for shape in shapes}) == 1:
        return otherwise
    height, width = (max(shape[axis] for shape in shapes) for axis in (1, 2))
    return f"bring all to one size, such as with Upsample(size=({height}, {width}))"


def _several(who: str, xs: Any, *, least: int = 2, most: int | None = None) -> Sequence[Array]:
    number = f"{least} arrays" if most == least else f"{least} arrays or more"
    if not isinstance(xs, tuple | list):
        raise OptionError(who, f"a tuple of {number}", type(xs).__name__, "in a Graph, name what it reads")
    if len(xs) < least or (most is not None and len(xs) > most):
        raise OptionError(who, f"a tuple of {number}", str(len(xs)), "in a Graph, name what it reads")
    return xs
