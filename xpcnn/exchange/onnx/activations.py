"""Activations to operators."""

from __future__ import annotations

import math

from ... import nn
from ...backend import to_numpy
from ...ops.activation import GELU_A, GELU_B
from ...ops.rectifier import SELU_ALPHA, SELU_SCALE
from .layers import Place, translates


@translates(nn.ReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.HardSwish, nn.Softsign)
def _same_name(at: Place, layer: nn.Layer) -> str:
    return at.node(type(layer).__name__.replace("ReLU", "Relu"))


@translates(nn.LeakyReLU)
def _leaky_relu(at: Place, layer: nn.LeakyReLU) -> str:
    return at.node("LeakyRelu", alpha=layer.negative_slope)


@translates(nn.PReLU)
def _prelu(at: Place, layer: nn.PReLU) -> str:
    shape = (-1, *(1,) * (len(at.x.shape) - 1))  # (C, 1, 1)
    return at.node("PRelu", at.x.name, at.constant("weight", to_numpy(layer.weight).reshape(shape)))


@translates(nn.ELU)
def _elu(at: Place, layer: nn.ELU) -> str:
    return at.node("Elu", alpha=layer.alpha)


@translates(nn.SELU)
def _selu(at: Place, layer: nn.SELU) -> str:
    return at.node("Selu", alpha=SELU_ALPHA, gamma=SELU_SCALE)


@translates(nn.SiLU)
def _silu(at: Place, layer: nn.SiLU) -> str:
    return at.node("Mul", at.x.name, at.node("Sigmoid", part="Sigmoid"))


@translates(nn.GELU)
def _gelu(at: Place, layer: nn.GELU) -> str:
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


@translates(nn.Softmax, nn.LogSoftmax)
def _softmax(at: Place, layer: nn.Layer) -> str:
    return at.node(type(layer).__name__, axis=1)  # the channels


@translates(nn.Clip)
def _clip(at: Place, layer: nn.Clip) -> str:
    return _held(at, layer.min, layer.max)


@translates(nn.ReLU6)
def _relu6(at: Place, layer: nn.ReLU6) -> str:
    return _held(at, 0.0, 6.0)


def _held(at: Place, low: float | None, high: float | None) -> str:
    ends = (("min", low), ("max", high))
    return at.node("Clip", at.x.name, *("" if end is None else at.constant(name, end) for name, end in ends))


@translates(nn.HardSigmoid)
def _hard_sigmoid(at: Place, layer: nn.HardSigmoid) -> str:
    return at.node("HardSigmoid", alpha=layer.alpha, beta=layer.beta)


@translates(nn.Mish)
def _mish(at: Place, layer: nn.Mish) -> str:
    if at.graph.opset >= 18:
        return at.node("Mish")
    return at.node("Mul", at.x.name, at.node("Tanh", at.node("Softplus", part="Softplus"), part="Tanh"))


@translates(nn.CELU)
def _celu(at: Place, layer: nn.CELU) -> str:
    return at.node("Celu", alpha=layer.alpha)
