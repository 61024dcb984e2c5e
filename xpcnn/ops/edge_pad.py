"""Padding with an image's own numbers, reflected or repeated, and its gradient.

With b numbers before the L of an axis and a after them, number i of the padded axis is that at s(i) of x:

    reflection     s(i) = b − i where i < b,  2 (L − 1) − (i − b) where i − b ≥ L,  else i − b          (1)
    replication    s(i) = min(max(i − b, 0), L − 1)                                                     (2)
    dx[p] = Σ_{i: s(i) = p} dy[i]                                                                       (3)

Height and width are padded one after the other. For (3), what was padded is cut off, folded back, and added.

Source: S. Mallat, A wavelet tour of signal processing, 2009, section 7.5.2 (folded signals)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import array_namespace
from ..errors import ShapeError
from ..options import as_pair
from ..typing import Array, Cache
from .check import check_batch, check_floats, check_gradient

Widths = Sequence[tuple[int, int]]  # (before, after) of the height, and of the width


def reflection_pad_forward(x: Array, widths: Widths) -> tuple[Array, Cache]:
    """Images that go on as in a mirror at their outermost pixels; (1).

    Parameters
        x : Array (N, H, W, C), float
        widths : (top, bottom) and (left, right), each smaller than the image
    Returns
        y : Array (N, top + H + bottom, left + W + right, C)
        cache : for `reflection_pad_backward`; holds no images
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> reflection_pad_forward(np.array([[[[1.0], [2.0], [3.0]]]]), [(0, 0), (2, 1)])[0].ravel()
    array([3., 2., 1., 2., 3., 2.])
    """
    pairs = _check("ReflectionPad2d", x, widths)
    for size, pair in zip(x.shape[1:3], pairs, strict=True):
        if max(pair) >= size:
            raise ShapeError("ReflectionPad2d", f"padding below {size}, the image's size", str(pair), "use ZeroPad2d")
    sources = [
        [b - i if i < b else i - b if i - b < size else 2 * (size - 1) - (i - b) for i in range(b + size + a)]
        for size, (b, a) in zip(x.shape[1:3], pairs, strict=True)
    ]
    return _taken(x, sources), (pairs, tuple(x.shape))  # (1)


def reflection_pad_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `reflection_pad_forward`, (3): dy (N, OH, OW, C) → dx (N, H, W, C).

    >>> import numpy as np
    >>> y, cache = reflection_pad_forward(np.arange(4.0).reshape(1, 2, 2, 1), widths=((1, 0), (1, 0)))
    >>> reflection_pad_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[1., 2.],
           [2., 4.]])
    """
    return _folded("ReflectionPad2d", dy, cache, _reflected)


def replication_pad_forward(x: Array, widths: Widths) -> tuple[Array, Cache]:
    """Images whose outermost pixels are repeated; (2).

    Parameters
        x : Array (N, H, W, C), float
        widths : (top, bottom) and (left, right)
    Returns
        y : Array (N, top + H + bottom, left + W + right, C)
        cache : for `replication_pad_backward`; holds no images
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> replication_pad_forward(np.array([[[[1.0], [2.0], [3.0]]]]), [(0, 0), (2, 1)])[0].ravel()
    array([1., 1., 1., 2., 3., 3.])
    """
    pairs = _check("ReplicationPad2d", x, widths)
    sources = [
        [min(max(i - b, 0), size - 1) for i in range(b + size + a)]
        for size, (b, a) in zip(x.shape[1:3], pairs, strict=True)
    ]
    return _taken(x, sources), (pairs, tuple(x.shape))  # (2)


def replication_pad_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `replication_pad_forward`, (3): dy (N, OH, OW, C) → dx (N, H, W, C).

    >>> import numpy as np
    >>> y, cache = replication_pad_forward(np.arange(4.0).reshape(1, 2, 2, 1), widths=((1, 0), (1, 0)))
    >>> replication_pad_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[4., 2.],
           [2., 1.]])
    """
    return _folded("ReplicationPad2d", dy, cache, _summed)


def _check(who: str, x: Array, widths: Widths) -> list[tuple[int, int]]:
    check_batch(who, x, "H", "W", "C")
    check_floats(who, x)
    return [as_pair(who, "padding", pair, least=0) for pair in widths]


def _taken(x: Array, sources: list[list[int]]) -> Array:
    xp = array_namespace(x)
    for axis, source in enumerate(sources, 1):
        if len(source) > x.shape[axis]:
            x = xp.take(x, xp.asarray(source, dtype=xp.int64, device=x.device), axis=axis)
    return x


def _folded(who: str, dy: Array, cache: Cache, fold: Any) -> Array:
    pairs, (n, *sizes, c) = cache
    xp = check_gradient(who, dy, (n, *(size + sum(pair) for size, pair in zip(sizes, pairs, strict=True)), c))
    for axis, (size, (before, after)) in enumerate(zip(sizes, pairs, strict=True), 1):
        end = before + size
        dx = xp.asarray(dy[_along(axis, before, end)], copy=True)
        for first, beyond in ((True, (0, before)), (False, (end, end + after))):
            if beyond[0] < beyond[1]:
                part, start = fold(dy[_along(axis, *beyond)], first, size, axis, xp)
                place = _along(axis, start, start + part.shape[axis])
                dx[place] = dx[place] + part  # (3)
        dy = dx
    return dy


def _reflected(part: Array, first: bool, size: int, axis: int, xp: Any) -> tuple[Array, int]:
    """What is beyond one end, turned round, and where it belongs."""
    return xp.flip(part, axis=axis), 1 if first else size - 1 - part.shape[axis]


def _summed(part: Array, first: bool, size: int, axis: int, xp: Any) -> tuple[Array, int]:
    return xp.sum(part, axis=axis, keepdims=True), 0 if first else size - 1


def _along(axis: int, start: int, stop: int) -> tuple[Any, ...]:
    """The index of these positions of an axis."""
    return (*(slice(None),) * axis, slice(start, stop), ...)
