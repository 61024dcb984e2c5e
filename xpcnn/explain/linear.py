"""The fully connected layer."""

from __future__ import annotations

from ..nn.linear import Linear
from .convolution import bias_gradient
from .equations import quoted
from .explanation import Explanation, Index
from .generic import other
from .rules import Sum
from .run import Visit
from .sums import largest


def linear(page: Explanation, visit: Visit, layer: Linear, at: Index) -> None:
    """A row of the input times a row of weights, and the three gradients."""
    if len(at) > 2:  # on the last axis of more than rows
        other(page, visit, layer, at)
        return
    n, o = at
    visit.show(page, ("n", "i"), ("n", "o"))
    visit.show_parameters(page, ("o", "i"), "o")
    bias = layer.bias is not None
    outputs, inputs = layer.weight.shape
    output = Sum(*["b[o]"] * bias, f"x[n,i]·w[o,i] | i<{inputs}")
    weight_gradient = Sum(f"dy[n,o]·x[n,i] | n<{visit.x.shape[0]}")
    input_gradient = Sum(f"dy[n,o]·w[o,i] | o<{outputs}")
    title, reads = "Forward: the input times a row of weights", ("x", "w", "b")[: 2 + bias]
    page.add_step(title, quoted("linear", 1), reads, "y", at, output)
    if "dw" in page.arrays:  # it is not frozen
        focus = largest(page.arrays["dw"].values, (o,))
        page.add_step("Backward: the weights", quoted("linear", 2), ("dy", "x"), "dw", focus, weight_gradient)
    if "db" in page.arrays:
        bias_gradient(page, quoted("linear", 3), o)
    focus = largest(page.arrays["dx"].values, (n,))
    title = "Backward: the input. Each element stands in every output"
    page.add_step(title, quoted("linear", 4), ("dy", "w"), "dx", focus, input_gradient)
