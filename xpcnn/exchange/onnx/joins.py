"""Operators of several values, of which some may be constants: sums, differences, products, quotients, and others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ... import nn
from ...backend import to_numpy
from ...typing import NDArray
from .activations import held
from .file import Node
from .graph_state import GraphState, limited, same
from .operators import give, per_channel, plainly, reads
from .value import Made, Value

# The layers of several values, and the operators that they are
JOINS: dict[type[nn.Layer], str] = {
    nn.Add: "Add",
    nn.Subtract: "Sub",
    nn.Multiply: "Mul",
    nn.Maximum: "Max",
    nn.Minimum: "Min",
    nn.Concat: "Concat",
}
_LAYERS: dict[str, Callable[[], nn.Layer]] = {operator: kind for kind, operator in JOINS.items()}
_LAYERS |= {"Sum": nn.Add, "Mean": nn.Add, "Div": nn.Multiply}


@reads("Sub", "Max", "Min")
def join(node: Node, state: GraphState) -> Made:
    """What the node makes of values, or of one and a constant."""
    state.blame(node)
    names = node.inputs
    if any(state.is_constant(name) for name in names):
        return _with_constant(node, state)
    if node.operator == "Div":
        names = (names[0], _inverse(node, state, names[1]))
    return joined(node, state, names)


def _inverse(node: Node, state: GraphState, name: str) -> str:
    """1 / x of that value."""
    return state.add(f"{node.name}_Power", Made(state.made(name, node).value, (name,), nn.Power(-1.0)))


def joined(node: Node, state: GraphState, names: Sequence[str]) -> Made:
    """ONNX aligns shapes at the last axis in the graph, and layers at the channels."""
    values = [state.made(name, node).value for name in names]
    if node.operator in ("Add", "Sub", "Mul", "Div") and len(values) != 2:
        raise node.refuse("two inputs", str(len(values)))
    if len(values) == 1:
        return same(values[0], names[0])
    layer = _LAYERS[node.operator]()
    if all(value == values[0] for value in values):
        return Made(values[0], tuple(names), layer)
    try:
        np.broadcast_shapes(*(value.sizes for value in values))
    except ValueError:
        values = []
    if len({len(value.axes) for value in values}) != 1:
        got = " and ".join(str(state.made(name, node).value.sizes) for name in names)
        remedy = "bring them to the same number of axes, such as (N, C, 1, 1)"
        raise node.refuse("values with the same axes, of one shape, or of length 1 where they differ", got, remedy)
    return _beside(node, state, names, values, _order(values, range(len(values[0].axes))), layer)


def _beside(
    node: Node, state: GraphState, names: Sequence[str], values: Sequence[Value], order: list[int], layer: nn.Layer
) -> Made:
    """What the layer makes of the values as arrays with the graph's axes in that order."""
    names, made = zip(
        *(
            state.arranged(name, [value.axes[axis] for axis in order])
            for name, value in zip(names, values, strict=True)
        ),
        strict=True,
    )
    if isinstance(layer, nn.Concat):
        shape = (*made[0].shape[:-1], sum(value.shape[-1] for value in made))
    else:
        shape = np.broadcast_shapes(*(value.shape for value in made))
    y = Value.plain(shape, [order.index(axis) for axis in range(len(order))])
    return Made(limited(replace(y, moved=any(value.moved for value in made)), node), tuple(names), layer)


def _order(values: Sequence[Value], last: Sequence[int]) -> list[int]:
    """The graph's axes in the order in which most arrays have them already, one of `last` at the end."""
    axes = range(len(values[0].axes))
    orders = [[*(axis for axis in axes if axis != end), end] for end in last]

    def moved(order: list[int]) -> int:
        groups = [[value.axes[axis] for axis in order] for value in values]
        return sum(tuple(each) != value.own for each, value in zip(groups, values, strict=True))

    return min(orders, key=moved)


@reads("Concat")
def _concat(node: Node, state: GraphState) -> Made:
    values = [state.value(node, number) for number in range(len(node.inputs))]
    axis = node.item_axis(node.integer("axis", 1), len(values[0].axes))
    others = {(*value.sizes[:axis], *value.sizes[axis + 1 :]) for value in values}
    if len(others) > 1 or len({len(value.axes) for value in values}) > 1:
        raise node.refuse("values that differ along the axis where they are joined", f"axis {axis + 1}")
    if len(values) == 1:
        return same(values[0], node.inputs[0])
    return _beside(node, state, node.inputs, values, _order(values, [axis]), nn.Concat())


def _with_constant(node: Node, state: GraphState) -> Made:
    """y = x · weight + bias, with a number for each channel; or x within a bound. A sum joins the product before it."""
    constants = [number for number, name in enumerate(node.inputs) if state.is_constant(name)]
    if len(node.inputs) != 2 or len(constants) != 1:
        got = f"{len(constants)} constants of {len(node.inputs)} inputs"
        raise node.refuse("a value that is computed, and a constant", got)
    constant, operator = constants[0], node.operator
    name, number = node.inputs[1 - constant], state.required(node, constant)
    if operator in ("Max", "Min"):
        if number.size != 1 or not np.all(np.isfinite(number)):
            raise node.refuse("one number as a bound", str(number.shape))
        bound = plainly(float(number.reshape(())))
        return held(node, state, name, *((bound, np.inf) if operator == "Max" else (-np.inf, bound)))
    numbers = state.weights(node, constant)
    if operator == "Div" and constant == 1 and not np.all(numbers):
        raise node.refuse("a divisor that is not 0", "0")
    if operator == "Div" and constant == 0:
        name, operator = _inverse(node, state, name), "Mul"
    name, value, numbers = _fitted(node, state, name, numbers)
    if operator in ("Mul", "Div"):
        return Made(value, (name,), _scale(node, state, 1 / numbers if operator == "Div" else numbers, None))
    weight = np.ones_like(numbers)
    if operator == "Sub":
        numbers, weight = (-numbers, weight) if constant else (numbers, -weight)
    before = state.known[name]
    if isinstance(before, Made) and isinstance(before.layer, nn.Scale) and before.layer.bias is None:
        weight, name = weight * to_numpy(before.layer.weight), before.inputs[0]
    return Made(value, (name,), _scale(node, state, weight, numbers))


def _fitted(node: Node, state: GraphState, name: str, numbers: NDArray) -> tuple[str, Value, NDArray]:
    """The value as an array along whose last axis alone the numbers vary, and these: one for each place, or one."""
    value = state.made(name, node).value
    if numbers.size == 1 and numbers.ndim <= len(value.axes) + 1:
        return name, value, numbers.reshape(-1)
    sizes = value.sizes
    shape = (*(1,) * (len(sizes) + 1 - numbers.ndim), *numbers.shape)[1:]
    axes = [axis for axis, n in enumerate(shape) if n > 1]
    if axes and value.spread(numbers) is not None:
        name, value = state.last(name, *axes)
    return name, value, per_channel(numbers, value, node)


def _scale(node: Node, state: GraphState, weight: NDArray, bias: NDArray | None) -> nn.Layer:
    features = max(len(weight), 0 if bias is None else len(bias))
    arrays = {"weight": np.broadcast_to(weight, features)}
    if bias is not None:
        arrays["bias"] = np.broadcast_to(bias, features)
    return give(nn.Scale(features, bias=bias is not None), node, state, **arrays)


@reads("Neg")
def _negative(node: Node, state: GraphState) -> Made:
    layer = _scale(node, state, -np.ones(1), None)
    return Made(state.value(node), node.inputs[:1], layer)
