"""Activations: each output depends on one input, and dx = dy · f′(x)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..nn import activation as layers
from ..nn.dropout import Dropout
from ..nn.layer import Layer
from ..ops.activation import GELU_A, GELU_B
from ..ops.rectifier import SELU_ALPHA, SELU_SCALE
from .equations import quoted
from .explanation import Explanation, Index, Ref, Worked, letters
from .run import Visit
from .sums import Factor, applied, total

Numbers = Callable[[float, float, Any], tuple[str, float]]  # (x, y, layer) → the formula, and what it comes to


@dataclass(frozen=True)
class Function:
    """An activation: where its equation stands, and how y and f′ are worked out from x and y."""

    module: str
    number: int
    forward: Numbers
    slope: Numbers


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


GELU_T = f"t = tanh({GELU_A:.4g}·({{x}} + {GELU_B:.4g}·{{x}}·{{x}}·{{x}}))"


def _gelu(x: float) -> float:
    return math.tanh(GELU_A * (x + GELU_B * x**3))


def _gelu_slope(x: float) -> float:
    t = _gelu(x)
    return 0.5 * (1 + t + x * (1 - t * t) * GELU_A * (1 + 3 * GELU_B * x * x))


def _exponential(x: float, alpha: float, scale: float) -> tuple[str, float]:
    factor = f"{scale:.4g}·" if scale != 1 else ""
    if x > 0:
        return f"{factor}{{x}}", scale * x
    return f"{scale * alpha:.4g}·(exp({{x}}) − 1)", scale * alpha * math.expm1(x)


def _exponential_slope(x: float, alpha: float, scale: float) -> tuple[str, float]:
    if x > 0:
        return f"{scale:.4g}, as {{x}} > 0", scale
    return f"{scale * alpha:.4g}·exp({{x}})", scale * alpha * math.exp(x)


def _leaky(x: float, slope: float) -> tuple[str, float]:
    return ("{x}, as it is > 0", x) if x > 0 else (f"{slope:.4g}·{{x}}", slope * x)


def _leaky_slope(x: float, slope: float) -> tuple[str, float]:
    return ("1, as {x} > 0", 1.0) if x > 0 else (f"{slope:.4g}, as {{x}} ≤ 0", slope)


FUNCTIONS: dict[type[Layer], Function] = {
    layers.ReLU: Function(
        "rectifier", 1,
        lambda x, y, layer: ("max({x}, 0)", max(x, 0.0)),
        lambda x, y, layer: ("1, as {x} > 0", 1.0) if x > 0 else ("0, as {x} ≤ 0", 0.0),
    ),
    layers.LeakyReLU: Function(
        "rectifier", 2,
        lambda x, y, layer: _leaky(x, layer.negative_slope),
        lambda x, y, layer: _leaky_slope(x, layer.negative_slope),
    ),
    layers.ELU: Function(
        "rectifier", 4,
        lambda x, y, layer: _exponential(x, layer.alpha, 1.0),
        lambda x, y, layer: _exponential_slope(x, layer.alpha, 1.0),
    ),
    layers.SELU: Function(
        "rectifier", 5,
        lambda x, y, layer: _exponential(x, SELU_ALPHA, SELU_SCALE),
        lambda x, y, layer: _exponential_slope(x, SELU_ALPHA, SELU_SCALE),
    ),
    layers.Sigmoid: Function(
        "activation", 1,
        lambda x, y, layer: ("1 / (1 + exp(−{x}))", _sigmoid(x)),
        lambda x, y, layer: ("{y}·(1 − {y})", y * (1 - y)),
    ),
    layers.Tanh: Function(
        "activation", 2,
        lambda x, y, layer: ("tanh({x})", math.tanh(x)),
        lambda x, y, layer: ("1 − {y}·{y}", 1 - y * y),
    ),
    layers.GELU: Function(
        "activation", 3,
        lambda x, y, layer: (f"½·{{x}}·(1 + t), {GELU_T}", 0.5 * x * (1 + _gelu(x))),
        lambda x, y, layer: (
            f"½·(1 + t + {{x}}·(1 − t·t)·{GELU_A:.4g}·(1 + {3 * GELU_B:.4g}·{{x}}·{{x}})), {GELU_T}", _gelu_slope(x)
        ),
    ),
    layers.SiLU: Function(
        "activation", 4,
        lambda x, y, layer: ("{x} / (1 + exp(−{x}))", x * _sigmoid(x)),
        lambda x, y, layer: (
            "σ·(1 + {x}·(1 − σ)), σ = 1 / (1 + exp(−{x}))", _sigmoid(x) * (1 + x * (1 - _sigmoid(x)))
        ),
    ),
    layers.Softplus: Function(
        "activation", 5,
        lambda x, y, layer: ("log(1 + exp({x}))", max(x, 0.0) + math.log1p(math.exp(-abs(x)))),
        lambda x, y, layer: ("1 / (1 + exp(−{x}))", _sigmoid(x)),
    ),
}  # fmt: skip


def activation(page: Explanation, visit: Visit, layer: Layer, at: Index) -> None:
    """y = f(x), the derivative f′(x), and dx = dy · f′(x)."""
    function = FUNCTIONS[type(layer)]
    visit.show(page, letters(len(at)), letters(len(at)))
    page.add("f′", "the derivative at x: what backward makes of dy = 1", page.arrays["x"].axes, visit.slope())
    equations = quoted(function.module, function.number)

    def worked(name: str, numbers: Numbers) -> Callable[[Index], Worked]:
        def work(index: Index) -> Worked:
            x, y = Ref("x", index), Ref("y", index)
            pattern, value = numbers(page.value(x), page.value(y), layer)
            return applied(page, Ref(name, index), pattern.replace("-", "−"), value, x=x, y=y)

        return work

    page.add_step("Forward", equations, ("x",), "y", at, worked("y", function.forward))
    page.add_step("Backward: the derivative", equations, ("x", "y"), "f′", at, worked("f′", function.slope))
    _chain_rule(page, at)


def prelu(page: Explanation, visit: Visit, layer: layers.PReLU, at: Index) -> None:
    """Leaky ReLU with a learned slope."""
    visit.show(page, letters(len(at)), letters(len(at)))
    page.add("s", "slopes, learned", ("c",), to_numpy(layer.weight))
    page.add("ds", "∂L/∂s", ("c",), to_numpy(visit.grads["weight"]))
    page.add("f′", "the derivative at x: what backward makes of dy = 1", page.arrays["x"].axes, visit.slope())
    x = page.arrays["x"].values

    def slope_of(index: Index) -> Ref:
        return Ref("s", (0 if layer.num_parameters == 1 else index[-1],))

    def output(index: Index) -> Worked:
        refs = {"x": Ref("x", index), "s": slope_of(index)}
        value = page.value(refs["x"])
        if value > 0:
            return applied(page, Ref("y", index), "{x}, as it is > 0", value, **refs)
        return applied(page, Ref("y", index), "{s}·{x}", value * page.value(refs["s"]), **refs)

    def derivative(index: Index) -> Worked:
        refs = {"x": Ref("x", index), "s": slope_of(index)}
        positive = page.value(refs["x"]) > 0
        value = 1.0 if positive else page.value(refs["s"])
        return applied(page, Ref("f′", index), "1, as {x} > 0" if positive else "{s}, as {x} ≤ 0", value, **refs)

    def slope_gradient(index: Index) -> Worked:
        where = np.nonzero(x <= 0)
        if layer.num_parameters > 1:
            where = tuple(part[where[-1] == index[0]] for part in where)
        return total(page, Ref("ds", index), [Factor("dy", where), Factor("x", where)])

    forward, learned = quoted("rectifier", 2), quoted("rectifier", 3)
    page.add_step("Forward", forward, ("x", "s"), "y", at, output)
    page.add_step("Backward: the derivative", forward, ("x", "s"), "f′", at, derivative)
    page.add_step("Backward: the slope", learned, ("dy", "x"), "ds", slope_of(at).at, slope_gradient)
    _chain_rule(page, at)


def dropout(page: Explanation, visit: Visit, layer: Dropout, at: Index) -> None:
    """What is kept is enlarged; the same mask is used forward and backward."""
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
