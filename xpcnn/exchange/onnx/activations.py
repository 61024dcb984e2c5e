"""Functions of one number, and softmax: to operators, and from them."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from ... import nn
from ...nn.activation import GELU_FORMS
from ...ops.activation import GELU_A, GELU_B
from ...ops.rectifier import SELU_ALPHA, SELU_SCALE
from .file import Node
from .graph_state import GraphState, same
from .layers import Place, translates
from .operators import give, per_channel, plainly, reads
from .value import Made

# The operator, and its attributes: the layer's options, and what they are where the file does not say
_SAME: dict[type[nn.Layer], tuple[str, dict[str, tuple[str, float]]]] = {
    nn.ReLU: ("Relu", {}),
    nn.Sigmoid: ("Sigmoid", {}),
    nn.Tanh: ("Tanh", {}),
    nn.Softplus: ("Softplus", {}),
    nn.HardSwish: ("HardSwish", {}),
    nn.Softsign: ("Softsign", {}),
    nn.Abs: ("Abs", {}),
    nn.Exp: ("Exp", {}),
    nn.Log: ("Log", {}),
    nn.LeakyReLU: ("LeakyRelu", {"alpha": ("negative_slope", 0.01)}),
    nn.ELU: ("Elu", {"alpha": ("alpha", 1.0)}),
    nn.CELU: ("Celu", {"alpha": ("alpha", 1.0)}),
    nn.HardSigmoid: ("HardSigmoid", {"alpha": ("alpha", 0.2), "beta": ("beta", 0.5)}),
}
_KINDS: dict[str, Any] = {operator: (kind, options) for kind, (operator, options) in _SAME.items()} | {
    "Mish": (nn.Mish, {}),
    "Sqrt": (partial(nn.Power, 0.5), {}),
    "Reciprocal": (partial(nn.Power, -1.0), {}),
}


@translates(*_SAME)
def _to_operator(at: Place, layer: nn.Layer) -> str:
    operator, options = _SAME[type(layer)]
    return at.node(operator, **{name: getattr(layer, own) for name, (own, _) in options.items()})


def elementwise(node: Node, state: GraphState, layer: nn.Layer) -> Made:
    return Made(state.value(node), node.inputs[:1], layer)


@reads(*_KINDS)
def _from_operator(node: Node, state: GraphState) -> Made:
    kind, options = _KINDS[node.operator]
    given = {own: plainly(node.number(name, default)) for name, (own, default) in options.items()}
    if kind is nn.HardSigmoid and abs(given["alpha"] - 1 / 6) < 1e-7:
        given["alpha"] = 1 / 6
    return elementwise(node, state, kind(**given))


@translates(nn.Power)
def _to_power(at: Place, layer: nn.Power) -> str:
    return at.node("Pow", at.x.name, at.constant("exponent", layer.exponent))


@reads("Pow")
def _power(node: Node, state: GraphState) -> Made:
    exponent = state.required(node, 1)
    if exponent.size != 1 or exponent.ndim > len(state.value(node).axes) + 1:
        raise node.refuse("one exponent", str(exponent.shape))
    return elementwise(node, state, nn.Power(plainly(float(exponent.reshape(())))))


@translates(nn.PReLU)
def _to_prelu(at: Place, layer: nn.PReLU) -> str:
    return at.node("PRelu", at.x.name, at.per_channel("weight", layer.weight))


@reads("PRelu")
def _prelu(node: Node, state: GraphState) -> Made:
    slope = state.weights(node, 1)
    slope = slope.reshape(-1) if slope.size == 1 else per_channel(slope, state.value(node), node)
    return elementwise(node, state, give(nn.PReLU(len(slope)), node, state, weight=slope))


@translates(nn.SELU)
def _to_selu(at: Place, layer: nn.SELU) -> str:
    return at.node("Selu", alpha=SELU_ALPHA, gamma=SELU_SCALE)


@reads("Selu")
def _selu(node: Node, state: GraphState) -> Made:
    given = [node.number("alpha", SELU_ALPHA), node.number("gamma", SELU_SCALE)]
    if not np.allclose(given, [SELU_ALPHA, SELU_SCALE], rtol=1e-6):
        raise node.refuse("the constants of Klambauer et al.", str(given))
    return elementwise(node, state, nn.SELU())


@translates(nn.SiLU)
def _to_silu(at: Place, layer: nn.SiLU) -> str:
    return at.node("Mul", at.x.name, at.node("Sigmoid", part="Sigmoid"))


@translates(nn.Mish)
def _to_mish(at: Place, layer: nn.Mish) -> str:
    if at.graph.opset >= 18:
        return at.node("Mish")
    return at.node("Mul", at.x.name, at.node("Tanh", at.node("Softplus", part="Softplus"), part="Tanh"))


@translates(nn.GELU)
def _to_gelu(at: Place, layer: nn.GELU) -> str:
    """x · (½ (1 + erf(x/√2))), or ½ x (1 + tanh(a (x + b x³)))."""
    if at.graph.opset >= 20:
        return at.node("Gelu", approximate=layer.approximate)
    x = at.x.name
    if layer.approximate == "none":
        erf = at.node("Erf", at.node("Div", x, at.constant("root", math.sqrt(2)), part="divided"), part="Erf")
        gate = at.node("Add", erf, at.constant("one", 1.0), part="gate")
        return at.node("Mul", at.node("Mul", x, gate, part="gated"), at.constant("half", 0.5))
    cube = at.node("Mul", x, at.node("Mul", x, x, part="square"), part="cube")
    scaled = at.node("Mul", at.constant("b", GELU_B), cube, part="scaled_cube")
    inner = at.node("Mul", at.constant("a", GELU_A), at.node("Add", x, scaled, part="inner"), part="scaled")
    gate = at.node("Add", at.constant("one", 1.0), at.node("Tanh", inner, part="Tanh"), part="gate")
    return at.node("Mul", at.constant("half", 0.5), at.node("Mul", x, gate, part="gated"))


@reads("Gelu")
def _gelu(node: Node, state: GraphState) -> Made:
    if (approximate := node.text("approximate", "none")) not in GELU_FORMS:
        raise node.refuse(f"approximate {' or '.join(GELU_FORMS)}", approximate)
    return elementwise(node, state, nn.GELU(approximate))


@translates(nn.Clip, nn.ReLU6)
def _to_clip(at: Place, layer: nn.Clip | nn.ReLU6) -> str:
    low, high = (layer.min, layer.max) if isinstance(layer, nn.Clip) else (0.0, 6.0)
    ends = (("min", low), ("max", high))
    return at.node("Clip", at.x.name, *("" if end is None else at.constant(name, end) for name, end in ends))


@reads("Clip")
def _clip(node: Node, state: GraphState) -> Made:
    ends: list[float] = []
    for number, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        given = state.optional(node, number)
        ends.append(float(node.number(name, default) if given is None else given.reshape(())))
    return held(node, state, node.inputs[0], *ends)


def held(node: Node, state: GraphState, name: str, low: float, high: float) -> Made:
    """The value within these bounds. ReLU and ReLU6 are those of the clips that have a name of their own."""
    if low > high:
        raise node.refuse("min ≤ max", f"{low} and {high}")
    ends = tuple(plainly(end) if abs(end) < np.finfo(np.float32).max else None for end in (low, high))
    named: dict[Any, type[nn.Layer]] = {(0.0, None): nn.ReLU, (0.0, 6.0): nn.ReLU6, (None, None): nn.Identity}
    return Made(state.made(name, node).value, (name,), named[ends]() if ends in named else nn.Clip(*ends))


@translates(nn.Softmax, nn.LogSoftmax)
def _to_softmax(at: Place, layer: nn.Layer) -> str:
    return at.node(type(layer).__name__, axis=1)  # the channels


@reads("Softmax", "LogSoftmax")
def _softmax(node: Node, state: GraphState) -> Made:
    """Over one axis; before opset 13, over all from it on."""
    value, name = state.value(node), node.inputs[0]
    rank = len(value.axes)
    axis = node.item_axis(node.integer("axis", -1 if state.opset >= 13 else 1), rank)
    if old := state.opset < 13 and axis < rank - 1:
        flat = value.with_sizes((*value.sizes[:axis], math.prod(value.sizes[axis:])))
        assert flat is not None
        name = state.add(f"{node.name}_axes", same(flat, name))
    name, made = state.last(name, axis)
    layer = nn.Softmax() if node.operator == "Softmax" else nn.LogSoftmax()
    if old and (back := made.with_sizes(value.sizes)) is not None:
        made = back
    return Made(made, (name,), layer)


@reads("Identity")
def _identity(node: Node, state: GraphState) -> Made:
    return same(state.value(node), node.inputs[0])


@reads("Cast", "CastLike")
def _cast(node: Node, state: GraphState) -> Made:
    """From one floating type to another: a network has one."""
    node.ignore("saturate", "round_mode")
    to = node.integer("to", 1)
    if node.operator == "CastLike" and state.is_constant(node.inputs[1]):
        to = {"float32": 1, "float64": 11}.get(str(state.required(node, 1).dtype), 0)
    if to not in (1, 11):
        raise node.refuse("a floating type", f"type {to}")
    return same(state.value(node), node.inputs[0])


@reads("Dropout")
def _dropout(node: Node, state: GraphState) -> Made:
    node.ignore("seed")
    ratio, training = state.optional(node, 1), state.optional(node, 2)
    p = node.number("ratio", 0.5) if ratio is None else float(ratio.reshape(()))
    if p > 0 and training is not None and bool(training.reshape(())):
        raise node.refuse("inference", "training_mode", "export the network for inference")
    return elementwise(node, state, nn.Dropout(plainly(p)))
