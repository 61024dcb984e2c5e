"""Softmax and its logarithm as layers, along the last axis."""

from __future__ import annotations

import numpy as np

from ..backend import to_numpy
from ..nn.softmax import LogSoftmax, Softmax
from .equations import quoted
from .explanation import Explanation, Index, Ref, Worked
from .patterns import applied
from .run import Visit
from .sums import Factor, total


def softmax(page: Explanation, visit: Visit, layer: Softmax | LogSoftmax, at: Index) -> None:
    """Exponentials, their sum, and the sum over a row of dy."""
    logarithm = isinstance(layer, LogSoftmax)
    equations = quoted("softmax", 2 if logarithm else 1)
    axes = ("n", "k") if len(at) == 2 else (*(f"a{k}" for k in range(len(at) - 1)), "k")
    x, y, dy = (to_numpy(array) for array in (visit.x, visit.y, visit.dy))
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    visit.show(page, axes, axes)
    page.add("e", "exp(x − m), m the largest of the row", axes, exponentials)
    page.add("s", "their sum", axes[:-1], exponentials.sum(axis=-1))
    page.add("g", f"Σ dy{'' if logarithm else '·y'}", axes[:-1], (dy if logarithm else dy * y).sum(axis=-1))
    k = np.arange(x.shape[-1])

    def exponential(index: Index) -> Worked:
        top = Ref("x", (*index[:-1], int(x[index[:-1]].argmax())))
        return applied(page, Ref("e", index), "exp({x} − {m})", x=Ref("x", index), m=top)

    def row(index: Index) -> Worked:
        return total(page, Ref("s", index), [Factor("e", (*index, k))])

    def output(index: Index) -> Worked:
        if not logarithm:
            return total(page, Ref("y", index), [Factor("e", index), Factor("s", index[:-1], divides=True)])
        top = Ref("x", (*index[:-1], int(x[index[:-1]].argmax())))
        return applied(page, Ref("y", index), "{x} − {m} − log({s})", x=Ref("x", index), m=top, s=Ref("s", index[:-1]))

    def gathered(index: Index) -> Worked:
        factors = [Factor("dy", (*index, k))] + ([] if logarithm else [Factor("y", (*index, k))])
        return total(page, Ref("g", index), factors)

    def input_gradient(index: Index) -> Worked:
        refs = {"y": Ref("y", index), "dy": Ref("dy", index), "g": Ref("g", index[:-1])}
        return applied(page, Ref("dx", index), "{dy} − exp({y})·{g}" if logarithm else "{y}·({dy} − {g})", **refs)

    reads = ("x", "s") if logarithm else ("e", "s")
    page.add_step("Forward: exponentials, none of which overflows", (), ("x",), "e", at, exponential)
    page.add_step("Forward: their sum", (), ("e",), "s", at[:-1], row)
    page.add_step("Forward: the output", equations, reads, "y", at, output)
    page.add_step("Backward: what the row comes to", (), ("dy", "y")[: 1 if logarithm else 2], "g", at[:-1], gathered)
    page.add_step("Backward: the input", equations, ("dy", "y", "g"), "dx", at, input_gradient)
