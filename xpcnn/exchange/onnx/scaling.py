"""Sums, differences, products and quotients with a number, or with a number for each channel."""

from __future__ import annotations

import numpy as np

from ... import nn
from ...backend import to_numpy
from ...typing import NDArray
from .file import Node
from .graph_state import GraphState
from .operators import give, per_channel
from .value import Made


def scaled(node: Node, state: GraphState) -> Made:
    """The node, of which one input is a constant, as y = x · weight + bias; a sum joins the product before it."""
    state.blame(node)
    constants = [number for number, name in enumerate(node.inputs) if state.is_constant(name)]
    if node.operator not in ("Add", "Sub", "Mul", "Div") or len(node.inputs) != 2 or len(constants) != 1:
        got = f"{len(constants)} constants of {len(node.inputs)} inputs"
        raise node.refuse("a value that is computed, and a constant", got)
    constant = constants[0]
    name, operator = node.inputs[1 - constant], node.operator
    value, numbers = state.value(node, 1 - constant), state.weights(node, constant)
    if operator == "Div" and (constant == 0 or not np.all(numbers)):
        raise node.refuse("a divisor that is a constant, and not 0", "another")
    numbers = numbers.reshape(-1) if numbers.size == 1 and numbers.ndim <= len(value.shape) + 1 else (
        per_channel(numbers, value, node))  # fmt: skip
    if operator in ("Mul", "Div"):
        return Made(value, (name,), _scale(node, state, 1 / numbers if operator == "Div" else numbers, None))
    weight = np.ones_like(numbers)
    if operator == "Sub":
        numbers, weight = (-numbers, weight) if constant else (numbers, -weight)
    before = state.known[name]
    if isinstance(before, Made) and isinstance(before.layer, nn.Scale) and before.layer.bias is None:
        weight, name = weight * to_numpy(before.layer.weight), before.inputs[0]
    return Made(value, (name,), _scale(node, state, weight, numbers))


def _scale(node: Node, state: GraphState, weight: NDArray, bias: NDArray | None) -> nn.Layer:
    features = max(len(weight), 0 if bias is None else len(bias))
    arrays = {"weight": np.broadcast_to(weight, features)}
    if bias is not None:
        arrays["bias"] = np.broadcast_to(bias, features)
    return give(nn.Scale(features, bias=bias is not None), node, state, **arrays)
