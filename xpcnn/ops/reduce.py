"""Means, sums, maxima and minima over any axes of a batch's items, and their gradients.

    mean       y = Σ x / M,  over the M numbers of each set          dx = dy / M                              (1)
    maximum    y = max x                                             dx = dy · [x = y] / (how many are)       (2)
    sum        y = Σ x                                               dx = dy                                  (3)
    minimum    y = min x = −max(−x)                                  dx as in (2)                             (4)

Where several are the largest, they share the gradient, as in PyTorch's `amax`.

Source: A. Griewank and A. Walther, Evaluating derivatives, 2008, chapter 14 (of a maximum)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..errors import OptionError, ShapeError
from ..typing import Array, Cache, Shape
from .check import check_gradient, check_items
from .join import shared


def mean_forward(x: Array, *, axes: Sequence[int], keepdims: bool = False) -> tuple[Array, Cache]:
    """The mean over some axes of each item; (1).

    Parameters
        x : Array (N, …), float
        axes : which, counted with the batch's as 0, which is none of them; negative ones from the end
        keepdims : leave axes of length 1 in their places
    Returns
        y : Array (N, …), without the axes
        cache : for `mean_backward`; holds no numbers of x
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> mean_forward(np.array([[[1.0, 2.0], [3.0, 6.0]]]), axes=(1,))[0]
    array([[2., 4.]])
    """
    xp, over = _check("Mean", x, axes)
    y = xp.mean(x, axis=over, keepdims=keepdims)  # (N, …)                 (1)
    return y, (tuple(x.shape), over, tuple(y.shape))


def mean_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `mean_forward`, (1): dy of y's shape → dx (N, …).

    >>> import numpy as np
    >>> y, cache = mean_forward(np.array([[1.0, 2.0, 4.0]]), axes=(1,))
    >>> mean_backward(np.ones_like(y), cache).round(4)
    array([[0.3333, 0.3333, 0.3333]])
    """
    shape, over, made = cache
    xp = check_gradient("Mean", dy, made)
    share = _kept(dy, shape, over, xp) / math.prod(shape[axis] for axis in over)
    return xp.broadcast_to(share, shape)  # type: ignore[no-any-return]  # (1)


def max_forward(x: Array, *, axes: Sequence[int], keepdims: bool = False) -> tuple[Array, Cache]:
    """The largest number over some axes of each item; (2).

    Parameters
        x : Array (N, …), float
        axes, keepdims : as those of `mean_forward`
    Returns
        y : Array (N, …), without the axes
        cache : for `max_backward`; refers to x and y
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> y, cache = max_forward(np.array([[1.0, 5.0, 5.0]]), axes=(1,))
    >>> y, max_backward(np.ones(1), cache)
    (array([5.]), array([[0. , 0.5, 0.5]]))
    """
    xp, over = _check("Max", x, axes)
    y = xp.max(x, axis=over, keepdims=keepdims)  # (N, …)                  (2)
    return y, (x, y, over)


def max_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `max_forward`, (2): dy of y's shape → dx (N, …).

    >>> import numpy as np
    >>> y, cache = max_forward(np.array([[1.0, 2.0, 4.0]]), axes=(1,))
    >>> max_backward(np.ones_like(y), cache).round(4)
    array([[0., 0., 1.]])
    """
    x, y, over = cache
    xp = check_gradient("Max", dy, y.shape, y)
    largest = xp.astype(x == _kept(y, x.shape, over, xp), x.dtype)  # (N, …)
    share = shared(_kept(dy, x.shape, over, xp), xp.sum(largest, axis=over, keepdims=True), xp)
    dx: Array = largest * share  # (2)
    return dx


def sum_forward(x: Array, *, axes: Sequence[int], keepdims: bool = False) -> tuple[Array, Cache]:
    """The sum over some axes of each item; (3).

    Parameters
        x : Array (N, …), float
        axes, keepdims : as those of `mean_forward`
    Returns
        y : Array (N, …), without the axes
        cache : for `sum_backward`; holds no numbers of x
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> sum_forward(np.array([[[1.0, 2.0], [3.0, 6.0]]]), axes=(1,))[0]
    array([[4., 8.]])
    """
    xp, over = _check("Sum", x, axes)
    y = xp.sum(x, axis=over, keepdims=keepdims)  # (N, …)                  (3)
    return y, (tuple(x.shape), over, tuple(y.shape))


def sum_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `sum_forward`, (3): dy of y's shape → dx (N, …).

    >>> import numpy as np
    >>> y, cache = sum_forward(np.array([[1.0, 2.0, 4.0]]), axes=(1,))
    >>> sum_backward(np.ones_like(y), cache).round(4)
    array([[1., 1., 1.]])
    """
    shape, over, made = cache
    xp = check_gradient("Sum", dy, made)
    return xp.broadcast_to(_kept(dy, shape, over, xp), shape)  # type: ignore[no-any-return]  # (3)


def min_forward(x: Array, *, axes: Sequence[int], keepdims: bool = False) -> tuple[Array, Cache]:
    """The smallest number over some axes of each item; (4).

    Parameters
        x : Array (N, …), float
        axes, keepdims : as those of `mean_forward`
    Returns
        y : Array (N, …), without the axes
        cache : for `min_backward`; refers to x and y
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> min_forward(np.array([[1.0, 5.0, 5.0]]), axes=(1,))[0]
    array([1.])
    """
    xp, over = _check("Min", x, axes)
    y = xp.min(x, axis=over, keepdims=keepdims)  # (N, …)                  (4)
    return y, (x, y, over)


def min_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `min_forward`, (4): dy of y's shape → dx (N, …).

    >>> import numpy as np
    >>> y, cache = min_forward(np.array([[1.0, 2.0, 4.0]]), axes=(1,))
    >>> min_backward(np.ones_like(y), cache).round(4)
    array([[1., 0., 0.]])
    """
    x, y, over = cache
    check_gradient("Min", dy, y.shape, y)
    return max_backward(dy, (x, y, over))  # (4)


def reduced(who: str, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """The axes, in order and counted from the batch's, of arrays with so many.

    >>> reduced("Mean", (-1, 1), 4)
    (1, 3)
    """
    if any(not -rank <= axis < rank for axis in axes):
        raise ShapeError(who, f"axes of {rank} axes", str(tuple(axes)))
    over = tuple(sorted(axis % rank for axis in axes))
    if not over or over[0] == 0 or len(set(over)) < len(over):
        raise OptionError(who, "axes: different ones of each item, which is not 0, the batch's", str(tuple(axes)))
    return over


def _check(who: str, x: Array, axes: Sequence[int]) -> tuple[Any, tuple[int, ...]]:
    return check_items(who, x), reduced(who, axes, x.ndim)


def _kept(y: Array, shape: Shape, over: tuple[int, ...], xp: Any) -> Array:
    """With axes of length 1 where some are gone."""
    return xp.reshape(y, tuple(1 if axis in over else n for axis, n in enumerate(shape)))  # type: ignore[no-any-return]
