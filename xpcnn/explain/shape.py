"""Layers that move numbers: each output is an input, a zero or a copy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..nn.activation import Identity
from ..nn.shape import Flatten, Unflatten, ZeroPad2d, ZeroPadChannels
from ..nn.upsample import Upsample
from .equations import Equation, quoted
from .explanation import Axes, Explanation, Index, Ref, Worked, letters
from .generic import other
from .run import Visit
from .sums import Factor, largest, total

IMAGE = ("n", "i", "j", "c")


def identity(page: Explanation, visit: Visit, layer: Identity, at: Index) -> None:
    """y = x."""
    axes = letters(len(at))
    _moves(page, visit, axes, axes, at, (), (), lambda index: index, lambda index: [index])


def flatten(page: Explanation, visit: Visit, layer: Flatten, at: Index) -> None:
    """An image becomes a row."""
    shape = visit.x.shape[1:]

    def source(index: Index) -> Index:
        return (index[0], *(int(k) for k in np.unravel_index(index[1], shape)))

    def users(index: Index) -> list[Index]:
        return [(index[0], int(np.ravel_multi_index(index[1:], shape)))]

    said = Equation(("y[n, (i·W + j)·C + c] = x[n,i,j,c]", "dx[n,i,j,c] = dy[n, (i·W + j)·C + c]"), ())
    _moves(page, visit, letters(visit.x.ndim), ("n", "k"), at, (said,), (), source, users)


def unflatten(page: Explanation, visit: Visit, layer: Unflatten, at: Index) -> None:
    """A row becomes an image."""

    def source(index: Index) -> Index:
        return (index[0], int(np.ravel_multi_index(index[1:], layer.shape)))

    def users(index: Index) -> list[Index]:
        return [(index[0], *(int(k) for k in np.unravel_index(index[1], layer.shape)))]

    said = Equation(("y[n,i,j,c] = x[n, (i·W + j)·C + c]", "dx[n, (i·W + j)·C + c] = dy[n,i,j,c]"), ())
    _moves(page, visit, ("n", "k"), IMAGE, at, (said,), (), source, users)


def zero_padding(page: Explanation, visit: Visit, layer: ZeroPad2d | ZeroPadChannels, at: Index) -> None:
    """Zeros around the image."""
    before = np.array([0, *(first for first, _ in layer.options()["widths"])])
    sizes = tuple(visit.x.shape)

    def source(index: Index) -> Index | None:
        place = tuple(int(k) for k in np.array(index) - before)
        return place if all(0 <= k < size for k, size in zip(place, sizes, strict=True)) else None

    def users(index: Index) -> list[Index]:
        return [tuple(int(k) for k in np.array(index) + before)]

    _moves(page, visit, IMAGE, IMAGE, at, quoted("pad", 1), quoted("pad", 2), source, users)


def upsampling(page: Explanation, visit: Visit, layer: Upsample, at: Index) -> None:
    """Each element becomes a block; or what bilinear interpolation takes and gives, without more."""
    if layer.mode == "bilinear":
        other(page, visit, layer, at)
        return
    a, b = layer.scale_factor

    def source(index: Index) -> Index:
        n, i, j, c = index
        return n, i // a, j // b, c

    def users(index: Index) -> list[Index]:
        n, p, q, c = index
        return [(n, p * a + u, q * b + v, c) for u in range(a) for v in range(b)]

    axes = ("n", "p", "q", "c")
    _moves(page, visit, axes, IMAGE, at, quoted("upsample", 1), quoted("upsample", 2), source, users)


def _moves(
    page: Explanation,
    visit: Visit,
    x_axes: Axes,
    y_axes: Axes,
    at: Index,
    forward: tuple[Equation, ...],
    backward: tuple[Equation, ...],
    source: Callable[[Index], Index | None],
    users: Callable[[Index], list[Index]],
) -> None:
    """Steps in which y's element is x's at `source` (None: a zero), and x's element is in y at `users`."""
    visit.show(page, x_axes, y_axes)

    def output(index: Index) -> Worked:
        place = source(index)
        return total(page, Ref("y", index), *([] if place is None else [[Factor("x", place)]]))

    def input_gradient(index: Index) -> Worked:
        places = tuple(np.array(users(index)).T)
        return total(page, Ref("dx", index), [Factor("dy", places)])

    page.add_step("Forward: where each number comes from", forward, ("x",), "y", at, output)
    focus = source(at) or largest(page.arrays["dx"].values, (at[0],))
    page.add_step("Backward: where each gradient goes", backward, ("dy",), "dx", focus, input_gradient)
