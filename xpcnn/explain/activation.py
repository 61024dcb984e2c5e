"""Activations: each output depends on one input, and dx = dy · f′(x)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..nn.activation import Activation, PReLU
from ..nn.dropout import Dropout
from ..ops.formula import Pattern
from ..ops.rectifier import LEAKY_RELU
from .equations import quoted
from .explanation import Explanation, Index, Ref, Worked, letters
from .rules import Sum, Text
from .run import Visit
from .sums import Factor, total


def activation(page: Explanation, visit: Visit, layer: Activation, at: Index) -> None:
    """y = f(x), the derivative f′(x), and dx = dy · f′(x)."""
    formula, constants = layer.formula, {**layer.formula.constants, **_numbers(layer.options())}
    page.source = f"xpcnn.ops.{formula.module}"
    visit.show(page, letters(len(at)), letters(len(at)))
    page.add("f′", "the derivative at x: what backward makes of dy = 1", page.arrays["x"].axes, visit.slope())
    equations = quoted(formula.module, formula.number)
    forward, slope = (_element(page, pattern, constants) for pattern in (formula.y, formula.slope))
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

    c = "0" if layer.num_parameters == 1 else "c"

    def slope_gradient(index: Index) -> Worked:
        where = np.nonzero(x <= 0)
        if layer.num_parameters > 1:
            where = tuple(part[where[-1] == index[0]] for part in where)
        return total(page, Ref("ds", index), [Factor("dy", where), Factor("x", where)])

    output, derivative = (
        _element(page, _with(pattern, negative_slope=f"{{s[{c}]}}"), {}) for pattern in (LEAKY_RELU.y, LEAKY_RELU.slope)
    )
    forward, learned = quoted("rectifier", 2), quoted("rectifier", 3)
    page.add_step("Forward", forward, ("x", "s"), "y", at, output)
    page.add_step("Backward: the derivative", forward, ("x", "s"), "f′", at, derivative)
    page.add_step("Backward: the slope", learned, ("dy", "x"), "ds", (0 if c == "0" else at[-1],), slope_gradient)
    _chain_rule(page, at)


def dropout(page: Explanation, visit: Visit, layer: Dropout, at: Index) -> None:
    """Kept elements are scaled up; forward and backward use the same mask."""
    visit.show(page, letters(len(at)), letters(len(at)))
    page.add("m", f"keep / (1 − p), p = {layer.p:g}", page.arrays["x"].axes, visit.slope())

    place = f"[{','.join(page.arrays['x'].axes)}]"
    output = Sum(f"x{place}·m{place}")
    title = "Forward: the mask, drawn anew in each forward pass"
    note = "In inference nothing is dropped: layer(x) is x."
    page.add_step(title, quoted("dropout", 1), ("x", "m"), "y", at, output, note)
    _chain_rule(page, at, "m", quoted("dropout", 2))


def _chain_rule(page: Explanation, at: Index, factor: str = "f′", equations: Any = ()) -> None:
    place = f"[{','.join(page.arrays['x'].axes)}]"
    rule = Sum(f"dy{place}·{factor}{place}")
    page.add_step("Backward: the input, by the chain rule", equations, ("dy", factor), "dx", at, rule)


def _element(page: Explanation, pattern: Pattern, constants: dict[str, float]) -> Text:
    """An activation's formula for every element."""
    place = f"[{','.join(page.arrays['x'].axes)}]"
    return Text(_with(pattern, x=f"{{x{place}}}", y=f"{{y{place}}}"), constants, sign=f"x{place}")


def _with(pattern: Pattern, **given: str) -> Pattern:
    """The pattern, or both of them, with these texts for names in braces."""
    if not isinstance(pattern, str):
        return tuple(_with(each, **given) for each in pattern)  # type: ignore[return-value]
    for name, text in given.items():
        pattern = pattern.replace(f"{{{name}}}", text)
    return pattern
