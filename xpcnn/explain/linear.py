"""The fully connected layer."""

from __future__ import annotations

import numpy as np

from ..nn.linear import Linear
from .convolution import bias_gradient
from .equations import quoted
from .explanation import Explanation, Index, Ref, Worked
from .generic import other
from .run import Visit
from .sums import Factor, largest, total


def linear(page: Explanation, visit: Visit, layer: Linear, at: Index) -> None:
    """A row of the input times a row of weights, and the three gradients."""
    if len(at) > 2:  # on the last axis of more than rows
        other(page, visit, layer, at)
        return
    n, o = at
    visit.show(page, ("n", "i"), ("n", "o"))
    visit.show_parameters(page, ("o", "i"), "o")
    bias = layer.bias is not None
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

    title, reads = "Forward: the input times a row of weights", ("x", "w", "b")[: 2 + bias]
    page.add_step(title, quoted("linear", 1), reads, "y", at, output)
    focus = largest(page.arrays["dw"].values, (o,))
    page.add_step("Backward: the weights", quoted("linear", 2), ("dy", "x"), "dw", focus, weight_gradient)
    if bias:
        bias_gradient(page, quoted("linear", 3), o)
    focus = largest(page.arrays["dx"].values, (n,))
    title = "Backward: the input. Each element stands in every output"
    page.add_step(title, quoted("linear", 4), ("dy", "w"), "dx", focus, input_gradient)
