"""Layers that move numbers: each output is an input, a zero or a copy."""

from __future__ import annotations

from ..nn.activation import Identity
from ..nn.shape import Flatten, Unflatten, ZeroPad2d, ZeroPadChannels
from ..nn.upsample import Upsample
from .equations import Equation, quoted
from .explanation import Axes, Explanation, Index, Ref, letters
from .generic import other
from .rules import Sum
from .run import Visit
from .sums import largest

IMAGE = ("n", "i", "j", "c")


def identity(page: Explanation, visit: Visit, layer: Identity, at: Index) -> None:
    """y = x."""
    axes = letters(len(at))
    place = ",".join(axes)
    _moves(page, visit, axes, axes, at, (), (), f"x[{place}]", f"dy[{place}]")


def flatten(page: Explanation, visit: Visit, layer: Flatten, at: Index) -> None:
    """An image becomes a row."""
    axes = letters(visit.x.ndim)
    row, image = _row_major(axes[1:], visit.x.shape[1:])
    said = Equation(("y[n, (i·W + j)·C + c] = x[n,i,j,c]", "dx[n,i,j,c] = dy[n, (i·W + j)·C + c]"), ())
    _moves(page, visit, axes, ("n", "k"), at, (said,), (), f"x[n,{image}]", f"dy[n,{row}]")


def unflatten(page: Explanation, visit: Visit, layer: Unflatten, at: Index) -> None:
    """A row becomes an image."""
    row, image = _row_major(IMAGE[1:], layer.shape)
    said = Equation(("y[n,i,j,c] = x[n, (i·W + j)·C + c]", "dx[n, (i·W + j)·C + c] = dy[n,i,j,c]"), ())
    _moves(page, visit, ("n", "k"), IMAGE, at, (said,), (), f"x[n,{row}]", f"dy[n,{image}]")


def _row_major(axes: Axes, sizes: Index) -> tuple[str, str]:
    """The place k in a row of the element with these indices; and each index, for k.

    >>> _row_major(("i", "j"), (3, 4))
    ('(i)*4 + j', 'k//4%3,k//1%4')
    """
    place, parts, step = axes[0], list[str](), 1
    for axis, size in zip(axes[1:], sizes[1:], strict=True):
        place = f"({place})*{size} + {axis}"
    for size in reversed(sizes):
        parts.insert(0, f"k//{step}%{size}")
        step *= size
    return place, ",".join(parts)


def zero_padding(page: Explanation, visit: Visit, layer: ZeroPad2d | ZeroPadChannels, at: Index) -> None:
    """Zeros around the image."""
    before = (0, *(first for first, _ in layer.options()["widths"]))
    inside, outside = (
        ",".join(f"{axis} {sign} {first}" for axis, first in zip(IMAGE, before, strict=True)) for sign in "-+"
    )
    _moves(page, visit, IMAGE, IMAGE, at, quoted("pad", 1), quoted("pad", 2), f"x[{inside}]", f"dy[{outside}]")


def upsampling(page: Explanation, visit: Visit, layer: Upsample, at: Index) -> None:
    """Each element becomes a block; or what bilinear interpolation takes and gives, without more."""
    if layer.mode == "bilinear":
        other(page, visit, layer, at)
        return
    a, b = layer.scale_factor
    axes, block = ("n", "p", "q", "c"), f"dy[n, p*{a} + u, q*{b} + v, c] | u<{a}, v<{b}"
    source = f"x[n, i//{a}, j//{b}, c]"
    _moves(page, visit, axes, IMAGE, at, quoted("upsample", 1), quoted("upsample", 2), source, block)


def _moves(
    page: Explanation,
    visit: Visit,
    x_axes: Axes,
    y_axes: Axes,
    at: Index,
    forward: tuple[Equation, ...],
    backward: tuple[Equation, ...],
    source: str,
    users: str,
) -> None:
    """Steps in which y's element is x's at `source` (0, if that is outside), and x's element is in y at `users`."""
    visit.show(page, x_axes, y_axes)
    output = Sum(source)
    page.add_step("Forward: where each number comes from", forward, ("x",), "y", at, output)
    came = [piece.at for piece in output.worked(page, "y", at).pieces if isinstance(piece, Ref)]
    focus = came[0] if came else largest(page.arrays["dx"].values, (at[0],))
    page.add_step("Backward: where each gradient goes", backward, ("dy",), "dx", focus, Sum(users))
