"""Softmax and its logarithm as layers, along the last axis."""

from __future__ import annotations

import numpy as np

from ..backend import to_numpy
from ..nn.softmax import LogSoftmax, Softmax
from .equations import quoted
from .explanation import Explanation, Index, Rule
from .rules import Largest, Sum, Text
from .run import Visit


def softmax(page: Explanation, visit: Visit, layer: Softmax | LogSoftmax, at: Index) -> None:
    """Exponentials, their sum, and the sum over a row of dy."""
    logarithm = isinstance(layer, LogSoftmax)
    equations = quoted("softmax", 2 if logarithm else 1)
    axes = ("n", "k") if len(at) == 2 else (*(f"a{k}" for k in range(len(at) - 1)), "k")
    x, y, dy = (to_numpy(array) for array in (visit.x, visit.y, visit.dy))
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    visit.show(page, axes, axes)
    page.add("e", "exp(x − m)", axes, exponentials)
    page.add("s", "their sum", axes[:-1], exponentials.sum(axis=-1))
    page.add("g", f"Σ dy{'' if logarithm else '·y'}", axes[:-1], (dy if logarithm else dy * y).sum(axis=-1))
    page.add("m", "the largest of the row", axes[:-1], x.max(axis=-1))
    row, own = f"[{','.join(axes)}]", f"[{','.join(axes[:-1])}]"
    loop = f"k<{x.shape[-1]}"
    top = Largest(f"x{row} | {loop}")
    exponential = Text(f"exp({{x{row}}} − {{m{own}}})")
    gathered = Sum(f"dy{row} | {loop}" if logarithm else f"dy{row}·y{row} | {loop}")
    output: Rule = Sum(f"e{row} / s{own}")
    input_gradient = Text(f"{{y{row}}}·({{dy{row}}} − {{g{own}}})")
    if logarithm:
        output = Text(f"{{x{row}}} − {{m{own}}} − log({{s{own}}})")
        input_gradient = Text(f"{{dy{row}}} − exp({{y{row}}})·{{g{own}}}")
    reads = ("x", "m", "s") if logarithm else ("e", "s")
    page.add_step("Forward: the largest of the row", (), ("x",), "m", at[:-1], top)
    page.add_step("Forward: exponentials, none of which overflows", (), ("x", "m"), "e", at, exponential)
    page.add_step("Forward: their sum", (), ("e",), "s", at[:-1], Sum(f"e{row} | {loop}"))
    page.add_step("Forward: the output", equations, reads, "y", at, output)
    page.add_step("Backward: what the row comes to", (), ("dy", "y")[: 1 if logarithm else 2], "g", at[:-1], gathered)
    page.add_step("Backward: the input", equations, ("dy", "y", "g"), "dx", at, input_gradient)
