"""Joins: sums and products, whose shapes are broadcast, and concatenation."""

from __future__ import annotations

from ..backend import to_numpy
from ..nn import Add, Concat, Layer
from .equations import quoted
from .explanation import Axes, Explanation, Index, letters
from .rules import Sum
from .run import Visit
from .sums import largest


def join(page: Explanation, visit: Visit, layer: Layer, at: Index) -> None:
    """The inputs at the same place, or one after another; and what each gets of dy."""
    names = [f"x{k + 1}" for k in range(len(visit.x))]
    shape = tuple(visit.y.shape)
    axes = letters(len(shape))
    for name, x in zip(names, visit.x, strict=True):
        page.add(name, "input", axes[len(axes) - x.ndim :], to_numpy(x))
    page.add("y", "output", axes, to_numpy(visit.y))
    page.add("dy", "∂L/∂y, from the layers after this one", axes, to_numpy(visit.dy))
    for name, dx in zip(names, visit.dx, strict=True):
        page.add(f"d{name}", f"∂L/∂{name}", axes[len(axes) - dx.ndim :], to_numpy(dx))
    if isinstance(layer, Concat):
        _concat(page, names, axes, at)
        return
    places = [_place(page, name) for name in names]
    output = f"dy[{','.join(axes)}]"
    number = 1 if isinstance(layer, Add) else 3
    equations = quoted("join", number)
    forward = Sum(*places) if number == 1 else Sum("·".join(places))
    page.add_step("Forward: numbers at the same place", equations, tuple(names), "y", at, forward)
    for name in names:
        sizes = zip(page.arrays[name].axes[::-1], page.arrays[name].values.shape[::-1], shape[::-1], strict=False)
        spread = {letter for letter, own, whole in sizes if own < whole}
        spread |= set(axes[: len(axes) - page.arrays[name].values.ndim])
        loops = ", ".join(f"{letter}<{size}" for letter, size in zip(axes, shape, strict=True) if letter in spread)
        others = [place for other, place in zip(names, places, strict=True) if other != name] if number == 3 else []
        rule = Sum(f"{'·'.join([output, *others])} | {loops}")
        reads = ("dy", *(each for each in names if each != name and others))
        title = f"Backward: input {name}" + (", which was repeated" if loops else "")
        focus = largest(page.arrays[f"d{name}"].values)
        page.add_step(title, equations, reads, f"d{name}", focus, rule)


def _place(page: Explanation, name: str) -> str:
    """The input's element that belongs to an element of the output."""
    array = page.arrays[name]
    y = page.arrays["y"].values.shape[-array.values.ndim :]
    at = [letter if own == whole else "0" for letter, own, whole in zip(array.axes, array.values.shape, y, strict=True)]
    return f"{name}[{','.join(at)}]"


def _concat(page: Explanation, names: list[str], axes: Axes, at: Index) -> None:
    *before, c = axes
    place, first, starts = "".join(f"{letter}," for letter in before), 0, {}
    for name in names:
        starts[name] = first
        first += page.arrays[name].values.shape[-1]
    equations = quoted("join", 5)
    parts = Sum(*(f"{name}[{place}{c} - {start}]" for name, start in starts.items()))
    page.add_step("Forward: one after another, along the last axis", equations, tuple(names), "y", at, parts)
    for name, start in starts.items():
        focus = largest(page.arrays[f"d{name}"].values)
        part = Sum(f"dy[{place}{c} + {start}]")
        page.add_step(f"Backward: the part of input {name}", equations, ("dy",), f"d{name}", focus, part)
