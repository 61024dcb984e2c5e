"""Layers that are several operators in a graph.

A template is an operator with templates for its inputs; "x" stands for the layer's input, a number for a constant of
that value, another letter for any constant, which is an argument of the layer. Sums and products match in either order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ... import nn
from ...ops.activation import GELU_A, GELU_B
from ...typing import NDArray
from .file import Node
from .graph_state import GraphState
from .interpolation import bins, layer_with_matrices
from .joins import join, joined
from .normalization import group_norm_with_weights
from .operators import per_channel, plainly, reads
from .products import PRODUCTS, linear
from .value import Made

Template: TypeAlias = Any  # "x", a number, or (operator, template, …)

Found: TypeAlias = dict[str, Any]  # what letters stand for

_NEGATIVE = (("Less", "x", 0.0), ("LessOrEqual", "x", 0.0))
_POSITIVE = (("Greater", "x", 0.0), ("GreaterOrEqual", "x", 0.0))
_GATES: list[tuple[str, Template]] = [
    ("none", (add, 1.0, ("Erf", inner)))
    for add in ("Add", "Sum")
    for inner in (("Div", "x", math.sqrt(2)), ("Mul", "x", math.sqrt(0.5)))
] + [
    ("tanh", (add, 1.0, ("Tanh", ("Mul", GELU_A, (add, "x", ("Mul", GELU_B, cube))))))
    for add in ("Add", "Sum")
    for cube in (("Mul", "x", ("Mul", "x", "x")), ("Pow", "x", 3.0))
]
_LAYERS: list[tuple[Template, Callable[..., nn.Layer]]] = [
    (("Mul", "x", ("Sigmoid", "x")), nn.SiLU),
    (("Mul", "x", ("Tanh", ("Softplus", "x"))), nn.Mish),
    (("Where", ("Greater", "x", 20.0), "x", ("Softplus", "x")), nn.Softplus),  # PyTorch's: above 20 it is x
    (("Where", ("Less", "x", "a"), "a", "x"), lambda a: nn.Clip(a, None)),
    (("Where", ("Less", "a", "x"), "a", "x"), lambda a: nn.Clip(None, a)),
    *(
        (("Where", test, *(inputs if test in _NEGATIVE else inputs[::-1])), layer)
        for inputs, layer in (
            ((("Mul", "a", "x"), "x"), lambda a: nn.LeakyReLU(a)),
            ((("Mul", "a", ("Sub", ("Exp", "x"), 1.0)), "x"), lambda a: nn.ELU(a)),
        )
        for test in (*_NEGATIVE, *_POSITIVE)
    ),
    *(
        (template, partial(nn.GELU, form))
        for form, gate in _GATES
        for template in (
            ("Mul", 0.5, ("Mul", "x", gate)),
            ("Mul", ("Mul", 0.5, "x"), gate),
            ("Mul", "x", ("Mul", 0.5, gate)),
        )
    ),
]


def _operators(template: Template) -> set[str]:
    if not isinstance(template, tuple):
        return set()
    return {template[0]}.union(*map(_operators, template[1:]))


PARTS = set[str]().union(*(_operators(template) for template, _ in _LAYERS))


def match(template: Template, name: str, state: GraphState, found: Found) -> Found | None:
    """What the letters stand for where the value of that name is computed as the template says; else None.

    Parameters
        found : what they stand for already
    """
    if template == "x":
        return found | {"x": name} if found.get("x", name) == name and not state.is_constant(name) else None
    if not isinstance(template, tuple):
        array = state.constant(name, "a pattern")
        if array is None or array.size != 1:
            return None
        number = float(array.reshape(()))
        expected = found.get(template, number) if isinstance(template, str) else template
        key = {template: number} if isinstance(template, str) else {}
        return found | key if math.isclose(number, expected, rel_tol=1e-5) else None
    operator, *parts = template
    node = state.producer(name)
    if node is None or node.operator != operator or len(node.inputs) != len(parts):
        return None
    orders = [node.inputs, node.inputs[::-1]] if operator in ("Add", "Mul", "Sum") else [node.inputs]
    for order in orders:
        so_far: Found | None = found
        for part, each in zip(parts, order, strict=True):
            so_far = match(part, each, state, so_far) if so_far is not None else None
        if so_far is not None:
            return so_far
    return None


@reads("Mul", "Where")
def _pattern(node: Node, state: GraphState) -> Made:
    for template, layer in _LAYERS:
        if template[0] == node.operator and (found := match(template, node.outputs[0], state, {})):
            x = found.pop("x")
            return Made(state.made(x, node).value, (x,), layer(**{key: plainly(each) for key, each in found.items()}))
    if node.operator == "Mul":
        return join(node, state)
    state.blame(node)
    raise node.refuse("an activation written with Where", "another")


@reads("Div")
def _quotient(node: Node, state: GraphState) -> Made:
    """(x − mean) / std, with a number for each channel; x / max(‖x‖, ε); or a quotient by itself."""
    if len(node.inputs) != 2:
        raise node.refuse("two inputs", str(len(node.inputs)))
    producer = state.producer(node.inputs[0])
    if state.is_constant(node.inputs[1]) and producer is not None and producer.operator == "Sub" and (
        state.is_constant(producer.inputs[1])):  # fmt: skip
        value = state.value(producer)
        plain = plainly if state.dtype == "float32" else float
        mean, std = (list(map(plain, per_channel(state.weights(each, 1), value, each))) for each in (producer, node))
        if min(std) > 0:
            return Made(value, producer.inputs[:1], nn.Normalize(mean, std))
    return _unit_length(node, state) or join(node, state)


def _unit_length(node: Node, state: GraphState) -> Made | None:
    """x / max(‖x‖, ε), along one axis."""
    x, norm = node.inputs
    eps, found = 0.0, state.producer(norm)
    if found is not None and found.operator == "Expand":
        found = state.producer(found.inputs[0])
    if found is not None and found.operator in ("Max", "Clip"):
        bounds = [
            array for name in found.inputs[1:] if name and (array := state.constant(name, found.where)) is not None
        ]
        if len(bounds) != 1 or bounds[0].size != 1 or any(found.inputs[2:]):
            return None
        eps, found = float(bounds[0].reshape(())), state.producer(found.inputs[0])
    if found is None or found.operator != "ReduceL2" or found.inputs[0] != x or found.integer("keepdims", 1) != 1:
        return None
    axes = state.integers(found, 1, "axes") or ()
    if len(axes) != 1 or eps <= 0:
        return None
    name, value = state.last(x, found.item_axis(axes[0], len(state.value(node).axes)))
    return Made(value, (name,), nn.L2Normalize(plainly(eps)))


@reads("Add", "Sum")
def _sum(node: Node, state: GraphState) -> Made:
    """A sum of values, or a bias after a product."""
    constants = [number for number, name in enumerate(node.inputs) if state.is_constant(name)]
    producer = state.producer(node.inputs[1 - constants[0]]) if len(constants) == 1 and len(node.inputs) == 2 else None
    if producer is not None and producer.operator in (*PRODUCTS, "Mul"):
        bias = state.weights(node, constants[0])
        if producer.operator == "Mul":
            made = group_norm_with_weights(node, producer, state, bias)
        else:
            made = _biased(producer, state, bias)
        if made is not None:
            return made
    return join(node, state)


def _biased(product: Node, state: GraphState, bias: NDArray) -> Made | None:
    """The product with that bias, if it has a number for each of its channels."""
    made = state.known[product.outputs[0]]
    free = isinstance(made, Made) and len(product.inputs) == 2 and not isinstance(made.layer, nn.Resample)
    spread = made.value.spread(bias) if isinstance(made, Made) and free else None
    if spread is None or any(size > 1 for size in spread.shape[:-1]):
        return None
    return PRODUCTS[product.operator](product, state, bias)


@reads("Mean")
def _mean(node: Node, state: GraphState) -> Made:
    """Of values: their sum, divided."""
    if len(node.inputs) == 1:
        return joined(node, state, node.inputs)
    made = joined(node, state, node.inputs)
    name = state.add(f"{node.name}_Add", made)
    channels = made.value.shape[-1]
    return Made(made.value, (name,), nn.Normalize([0.0] * channels, [float(len(node.inputs))] * channels))


def _bins_of_sequences(node: Node, state: GraphState) -> Made | None:
    """Adaptive pooling of sequences (N, C, L) as one product with the bins, x Bᵀ."""
    value, columns = state.value(node), state.optional(node, 1)
    if len(value.axes) != 2 or columns is None or columns.ndim != 2 or len(columns) != value.sizes[1]:
        return None
    length, out = columns.shape
    if not np.allclose(columns.T, bins(out, length), atol=1e-6):
        return None
    name, value = state.images(node)
    return Made(state.as_images(node, (1, out, value.shape[1])), (name,), nn.AdaptiveAvgPool1d(out))


@reads("MatMul")
def _matmul(node: Node, state: GraphState) -> Made:
    """A product with weights; or the second of two with the matrices of a separable layer, A (x Bᵀ)."""
    if not state.is_constant(node.inputs[0]):
        return _bins_of_sequences(node, state) or PRODUCTS["MatMul"](node, state, None)
    rows, producer = state.weights(node, 0), state.producer(node.inputs[1])
    if producer is not None and producer.operator == "MatMul" and state.is_constant(producer.inputs[1]):
        columns, value = state.required(producer, 1), state.value(producer)
        if len(value.axes) == 3 and (rows.shape[-1:], columns.shape[:1]) == (value.sizes[1:2], value.sizes[2:]) and (
            rows.ndim == columns.ndim == 2):  # fmt: skip
            name, images = state.images(producer)
            shape = (len(rows), columns.shape[1], images.shape[2])
            if (layer := layer_with_matrices(rows, columns.T)) is not None:
                return Made(state.as_images(producer, shape), (name,), layer)
    if len(state.value(node, 1).axes) < 2:
        raise node.refuse("weights as the second factor", "as the first")
    return linear(node, state, rows, None, axis=-2)
