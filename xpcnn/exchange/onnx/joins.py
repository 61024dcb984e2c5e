"""Operators of several values: sums, differences, products, maxima, and what stands side by side."""

from __future__ import annotations

import math

import numpy as np

from ... import nn
from .file import Node
from .graph_state import MOST_NUMBERS, GraphState
from .operators import reads
from .scaling import scaled
from .value import Made, Value

_JOINS: dict[str, type[nn.Layer]] = {
    "Add": nn.Add,
    "Sum": nn.Add,
    "Sub": nn.Subtract,
    "Mul": nn.Multiply,
    "Max": nn.Maximum,
}


@reads("Sub", "Max")
def join(node: Node, state: GraphState) -> Made:
    """What the node makes of values, or of one and a constant.

    ONNX aligns shapes at the last axis in the graph, and layers at the channels: of values whose axes stand in the
    same order, that is the same.
    """
    if any(state.is_constant(name) for name in node.inputs):
        return scaled(node, state)
    values = [state.value(node, number) for number in range(len(node.inputs))]
    if node.operator in ("Add", "Sub", "Mul") and len(values) != 2:
        raise node.refuse("two inputs", str(len(values)))
    if len(values) == 1:
        return Made(values[0], node.inputs)
    inputs = node.inputs
    if any(value.image != values[0].image for value in values):
        inputs, values = _in_graph_order(node, state)
    axes = values[0].axes
    try:
        shape = np.broadcast_shapes(*(value.shape for value in values))
    except ValueError:
        shape = ()
    if not shape or any(value.axes != axes for value in values):
        got = " and ".join(str(value.sizes) for value in values)
        remedy = "bring them to the same number of axes, such as (N, C, 1, 1)"
        raise node.refuse("values with the same axes, of one shape, or of length 1 where they differ", got, remedy)
    return Made(_limited(Value(shape, axes, values[0].image), node), inputs, _JOINS[node.operator]())


@reads("Concat")
def _concat(node: Node, state: GraphState) -> Made:
    values = [state.value(node, number) for number in range(len(node.inputs))]
    inputs, first = node.inputs, values[0]
    axis = node.integer("axis", 1) % (len(first.shape) + 1)
    if axis != first.channel_axis or any((v.shape[:-1], v.axes) != (first.shape[:-1], first.axes) for v in values):
        raise node.refuse("values that differ in their channels, along these", f"axis {axis}")
    if len(values) == 1:
        return Made(first, inputs)
    if any(value.image is not None for value in values):
        inputs, values = _in_graph_order(node, state)
    shape = (*first.shape[:-1], sum(value.shape[-1] for value in values))
    return Made(_limited(Value(shape, first.axes), node), inputs, nn.Concat())


def _in_graph_order(node: Node, state: GraphState) -> tuple[tuple[str, ...], list[Value]]:
    """The node's inputs, rows that have been images, with their numbers in the graph's order."""
    inputs = tuple(state.in_graph_order(name) for name in node.inputs)
    values = [state.value_of(name, node) for name in inputs]
    if any(value.image is not None for value in values):
        raise node.refuse("rows of images (N, C, H, W)", "of others")
    return inputs, values


def _limited(value: Value, node: Node) -> Value:
    if math.prod(value.shape) > MOST_NUMBERS:
        raise node.refuse(f"at most {MOST_NUMBERS} numbers", str(value.sizes))
    return value
