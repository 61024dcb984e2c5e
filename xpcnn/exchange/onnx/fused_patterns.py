"""Layers that are several operators in a graph.

A template is an operator with templates for its inputs; "x" stands for the layer's input, a number for a constant of
that value. Sums and products match in either order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ... import nn
from ...ops.activation import GELU_A, GELU_B
from ...ops.bilinear import weights
from ...typing import NDArray
from .file import Node
from .graph_state import GraphState
from .joins import join
from .operators import gemm, give, matmul, per_channel, plainly, reads
from .pooling import bins
from .scaling import scaled
from .value import Made, Value
from .windows import conv, conv_transpose, images

Template: TypeAlias = Any  # "x", a number, or (operator, template, …)

_TANH: list[Template] = [
    ("Add", 1.0, ("Tanh", ("Mul", GELU_A, ("Add", "x", ("Mul", GELU_B, cube)))))
    for cube in (("Mul", "x", ("Mul", "x", "x")), ("Pow", "x", 3.0))
]
_PRODUCTS: dict[str, Callable[[Node, GraphState, NDArray | None], Made]] = {
    "Gemm": gemm,
    "MatMul": matmul,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
}
_GATES: list[tuple[str, Template]] = [
    ("none", ("Add", 1.0, ("Erf", ("Div", "x", math.sqrt(2))))),
    ("none", ("Add", 1.0, ("Erf", ("Mul", "x", math.sqrt(0.5))))),
    *(("tanh", gate) for gate in _TANH),
]
_LAYERS: list[tuple[Template, Callable[[], nn.Layer]]] = [
    (("Mul", "x", ("Sigmoid", "x")), nn.SiLU),
    (("Mul", "x", ("Tanh", ("Softplus", "x"))), nn.Mish),
    (("Where", ("Greater", "x", 20.0), "x", ("Softplus", "x")), nn.Softplus),  # PyTorch's: above 20 it is x
    *((("Mul", 0.5, ("Mul", "x", gate)), partial(nn.GELU, form)) for form, gate in _GATES),
    *((("Mul", ("Mul", 0.5, "x"), gate), partial(nn.GELU, form)) for form, gate in _GATES),
    *((("Mul", "x", ("Mul", 0.5, gate)), partial(nn.GELU, form)) for form, gate in _GATES),
]


def _operators(template: Template) -> set[str]:
    if not isinstance(template, tuple):
        return set()
    return {template[0]}.union(*map(_operators, template[1:]))


PARTS = set[str]().union(*(_operators(template) for template, _ in _LAYERS))


def match(template: Template, name: str, state: GraphState, x: str = "") -> str | None:
    """The name that stands for "x" where the value of that name is computed as the template says; else None.

    Parameters
        x : what "x" stands for already; "" for nothing yet
    """
    if template == "x":
        return name if x in ("", name) and not state.is_constant(name) else None
    if isinstance(template, float):
        array = state.constant(name, "a pattern")
        return x if array is not None and array.size == 1 and np.allclose(array, template, rtol=1e-5) else None
    operator, *parts = template
    node = state.producer(name)
    if node is None or node.operator != operator or len(node.inputs) != len(parts):
        return None
    orders = [node.inputs, node.inputs[::-1]] if operator in ("Add", "Mul") else [node.inputs]
    for order in orders:
        found: str | None = x
        for part, each in zip(parts, order, strict=True):
            found = match(part, each, state, found or "") if found is not None else None
        if found is not None:
            return found
    return None


@reads("Mul", "Where")
def _pattern(node: Node, state: GraphState) -> Made:
    for template, layer in _LAYERS:
        if template[0] == node.operator:
            x = match(template, node.outputs[0], state)
            if x:
                return Made(state.value_of(x, node), (x,), layer())
    if node.operator == "Mul":
        return join(node, state)
    state.blame(node)
    raise node.refuse("an operator of Softplus", f"another {node.operator}")


@reads("Div")
def _normalize(node: Node, state: GraphState) -> Made:
    """(x − mean) / std, with a number for each channel; or a quotient by itself."""
    producer = state.producer(node.inputs[0])
    if producer is None or producer.operator != "Sub" or not state.is_constant(producer.inputs[1]):
        return scaled(node, state)
    value = state.value(producer)
    plain = plainly if state.dtype == "float32" else float
    mean, std = (list(map(plain, per_channel(state.weights(each, 1), value, each))) for each in (producer, node))
    return Made(value, producer.inputs[:1], nn.Normalize(mean, std)) if min(std) > 0 else scaled(node, state)


@reads("Add", "Sum")
def _add(node: Node, state: GraphState) -> Made:
    """A sum of values, or a bias after a product."""
    constants = [number for number, name in enumerate(node.inputs) if state.is_constant(name)]
    return _biased(node, state, constants[0]) if constants and len(node.inputs) == 2 else join(node, state)


def _biased(node: Node, state: GraphState, constant: int) -> Made:
    bias = state.weights(node, constant)
    producer = state.producer(node.inputs[1 - constant])
    if producer is not None and producer.operator in _PRODUCTS and not any(producer.inputs[2:]):
        return _PRODUCTS[producer.operator](producer, state, bias)
    affine = _affine(node, producer, state, bias) if producer is not None and producer.operator == "Mul" else None
    return scaled(node, state) if affine is None else affine


def _affine(node: Node, product: Node, state: GraphState, bias: NDArray) -> Made | None:
    """γ and β of a GroupNorm that was left without them so far."""
    for number in (0, 1):
        made = state.known.get(product.inputs[number])
        if isinstance(made, Made) and isinstance(made.layer, nn.GroupNorm) and not made.layer.affine:
            weight = per_channel(state.weights(product, 1 - number), made.value, product)
            layer = nn.GroupNorm(made.layer.num_groups, made.layer.num_channels, eps=made.layer.eps)
            arrays = {"weight": weight, "bias": per_channel(bias, made.value, node)}
            return Made(made.value, made.inputs, give(layer, node, state, **arrays))
    return None


def _bins_of_sequences(node: Node, state: GraphState) -> Made | None:
    """Adaptive pooling of sequences (N, C, L) as one product with the bins, x Bᵀ."""
    value, columns = state.value(node), state.optional(node, 1)
    if value.axes != (1, 0) or columns is None or columns.ndim != 2 or len(columns) != value.shape[0]:
        return None
    length, out = columns.shape
    if not np.allclose(columns.T, bins(out, length), atol=1e-6):
        return None
    return Made(Value((out, value.shape[1]), (1, 0)), node.inputs[:1], nn.AdaptiveAvgPool1d(out))


@reads("MatMul")
def _matmul(node: Node, state: GraphState) -> Made:
    """A product with weights; or the second of two with the bins of adaptive pooling, A (x Bᵀ)."""
    if not state.is_constant(node.inputs[0]):
        return _bins_of_sequences(node, state) or matmul(node, state)
    producer = state.producer(node.inputs[1])
    if producer is None or producer.operator != "MatMul" or state.is_constant(producer.inputs[0]):
        raise node.refuse("weights as the second factor", "as the first")
    value, rows, columns = state.images(producer), state.required(node, 0), state.required(producer, 1)
    height, width, channels = value.shape
    if rows.shape[1:] != (height,) or columns.shape[:1] != (width,) or columns.ndim != 2:
        raise node.refuse("weights as the second factor", "as the first")
    oh, ow = len(rows), columns.shape[1]
    y = images((oh, ow, channels), node)
    layers: list[tuple[Any, Any, nn.Layer]] = [(bins(oh, height), bins(ow, width), nn.AdaptiveAvgPool2d((oh, ow)))]
    for corners in (False, True):
        r, c = (weights(out, size, None, corners, np.zeros(()), np) for out, size in ((oh, height), (ow, width)))
        layers.append((r, c, nn.Upsample(size=(oh, ow), mode="bilinear", align_corners=corners)))
    for expected_rows, expected_columns, layer in layers:
        if np.allclose(rows, expected_rows, atol=1e-6) and np.allclose(columns.T, expected_columns, atol=1e-6):
            return Made(y, producer.inputs[:1], layer)
    raise node.refuse("the bins of adaptive average pooling, or bilinear weights", "other factors")
