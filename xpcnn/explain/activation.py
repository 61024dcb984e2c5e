"""Activations: each output depends on one input, and dx = dy · f′(x)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..nn.activation import Activation, PReLU
from ..nn.dropout import Dropout
from ..ops.formula import Pattern
from ..ops.rectifier import LEAKY_RELU
from .equations import quoted
from .explanation import Explanation, Index, Ref, Worked, letters
from .patterns import applied
from .run import Visit
from .sums import Factor, total


def activation(page: Explanation, visit: Visit, layer: Activation, at: Index) -> None:
    """y = f(x), the derivative f′(x), and dx = dy · f′(x)."""
    formula, constants = layer.formula, {**layer.formula.constants, **_numbers(layer.options())}
    page.source = f"xpcnn.ops.{formula.module}"
    visit.show(page, letters(len(at)), letters(len(at)))
    page.add("f′", "the derivative at x: what backward makes of dy = 1", page.arrays["x"].axes, visit.slope())
    equations = quoted(formula.module, formula.number)
    forward = _element(page, "y", formula.y, lambda index: constants)
    slope = _element(page, "f′", formula.slope, lambda index: constants)
    page.add_step("Forward", equations, ("x",), "y", at, forward)
    page.add_step("Backward: the derivative", equations, ("x", "y"), "f′", at, slope)
    _chain_rule(page, at)


def _numbers(options: Mapping[str, Any]) -> dict[str, float]:
    return {name: each for name, each in options.items() if isinstance(each, int | float)}


def prelu(page: Explanation, visit: Visit, layer: PReLU, at: Index) -> None:
    """Leaky ReLU with a learned slope."""
    visit.show(page, letters(len(at)), letters(len(at)))
    page.add("s", "slopes, learned", ("c",), to_numpy(layer.weight))
    page.add("ds", "∂L/∂s", ("c",), to_numpy(visit.grads["weight"]))
    page.add("f′", "the derivative at x: what backward makes of dy = 1", page.arrays["x"].axes, visit.slope())
    x = page.arrays["x"].values

    def slope_of(index: Index) -> Ref:
        return Ref("s", (0 if layer.num_parameters == 1 else index[-1],))

    def slope_gradient(index: Index) -> Worked:
        where = np.nonzero(x <= 0)
        if layer.num_parameters > 1:
            where = tuple(part[where[-1] == index[0]] for part in where)
        return total(page, Ref("ds", index), [Factor("dy", where), Factor("x", where)])

    output = _element(page, "y", LEAKY_RELU.y, lambda index: {"negative_slope": slope_of(index)})
    derivative = _element(page, "f′", LEAKY_RELU.slope, lambda index: {"negative_slope": slope_of(index)})
    forward, learned = quoted("rectifier", 2), quoted("rectifier", 3)
    page.add_step("Forward", forward, ("x", "s"), "y", at, output)
    page.add_step("Backward: the derivative", forward, ("x", "s"), "f′", at, derivative)
    page.add_step("Backward: the slope", learned, ("dy", "x"), "ds", slope_of(at).at, slope_gradient)
    _chain_rule(page, at)


def dropout(page: Explanation, visit: Visit, layer: Dropout, at: Index) -> None:
    """Kept elements are scaled up; forward and backward use the same mask."""
    visit.show(page, letters(len(at)), letters(len(at)))
    page.add("m", f"keep / (1 − p), p = {layer.p:g}", page.arrays["x"].axes, visit.slope())

    def output(index: Index) -> Worked:
        return total(page, Ref("y", index), [Factor("x", index), Factor("m", index)])

    title = "Forward: the mask, drawn anew in each forward pass"
    note = "In inference nothing is dropped: layer(x) is x."
    page.add_step(title, quoted("dropout", 1), ("x", "m"), "y", at, output, note)
    _chain_rule(page, at, "m", quoted("dropout", 2))


def _chain_rule(page: Explanation, at: Index, factor: str = "f′", equations: Any = ()) -> None:
    def input_gradient(index: Index) -> Worked:
        return total(page, Ref("dx", index), [Factor("dy", index), Factor(factor, index)])

    page.add_step("Backward: the input, by the chain rule", equations, ("dy", factor), "dx", at, input_gradient)


def _element(
    page: Explanation, name: str, pattern: Pattern, constants: Callable[[Index], dict[str, Any]]
) -> Callable[[Index], Worked]:
    """Works out elements of the array with that name by an activation's formula."""

    def work(index: Index) -> Worked:
        x, y = Ref("x", index), Ref("y", index)
        chosen = pattern if isinstance(pattern, str) else pattern[0 if page.value(x) > 0 else 1]
        return applied(page, Ref(name, index), chosen, x=x, y=y, **constants(index))

    return work
