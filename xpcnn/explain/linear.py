"""The fully connected layer."""

from __future__ import annotations

import numpy as np

from ..backend import to_numpy
from ..nn.linear import Linear
from .convolution import bias_gradient
from .equations import quoted
from .explanation import Explanation, Index, Ref, Step, Worked
from .run import Visit
from .sums import Factor, largest, total


def linear(page: Explanation, visit: Visit, layer: Linear, at: Index) -> None:
    """A row of the input times a row of weights, and the three gradients."""
    n, o = at
    page.add("x", "input", ("n", "i"), to_numpy(visit.x))
    page.add("w", "weights", ("o", "i"), to_numpy(layer.weight))
    page.add("y", "output", ("n", "o"), to_numpy(visit.y))
    page.add("dy", "∂L/∂y, from the layers after this one", ("n", "o"), to_numpy(visit.dy))
    page.add("dw", "∂L/∂w", ("o", "i"), to_numpy(visit.grads["weight"]))
    page.add("dx", "∂L/∂x", ("n", "i"), to_numpy(visit.dx))
    bias = layer.bias is not None
    if bias:
        page.add("b", "bias", ("o",), to_numpy(layer.bias))
        page.add("db", "∂L/∂b", ("o",), to_numpy(visit.grads["bias"]))
    rows, inputs, outputs = (np.arange(size) for size in (visit.x.shape[0], *layer.weight.shape[::-1]))

    def output(index: Index) -> Worked:
        n, o = index
        products = [Factor("x", (n, inputs)), Factor("w", (o, inputs))]
        return total(page, Ref("y", index), *([[Factor("b", (o,))]] if bias else []), products)

    def weight_gradient(index: Index) -> Worked:
        o, i = index
        return total(page, Ref("dw", index), [Factor("dy", (rows, o)), Factor("x", (rows, i))])

    def input_gradient(index: Index) -> Worked:
        n, i = index
        return total(page, Ref("dx", index), [Factor("dy", (n, outputs)), Factor("w", (outputs, i))])

    page.steps.append(
        Step(
            "Forward: the input times a row of weights",
            quoted("linear", 1),
            ("x", "w", "b")[: 2 + bias],
            "y",
            at,
            output,
        )
    )
    focus = largest(page.arrays["dw"].values, (o,))
    page.steps.append(Step("Backward: the weights", quoted("linear", 2), ("dy", "x"), "dw", focus, weight_gradient))
    if bias:
        page.steps.append(bias_gradient(page, quoted("linear", 3), o))
    focus = largest(page.arrays["dx"].values, (n,))
    page.steps.append(
        Step(
            "Backward: the input. Each element stands in every output",
            quoted("linear", 4), ("dy", "w"), "dx", focus, input_gradient,
        )
    )  # fmt: skip
