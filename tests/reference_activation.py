"""The definition of each activation for one number, and its slope: plain Python, independent of the package."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


def sigmoid(v):
    return 1 / (1 + math.exp(-v)) if v >= 0 else math.exp(v) / (1 + math.exp(v))


def gelu(v):
    return 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))


def gelu_slope(v):
    inner = math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)
    sech = 1 / math.cosh(inner) if abs(inner) < 300 else 0.0
    return 0.5 * (1 + math.tanh(inner)) + 0.5 * v * sech**2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * v**2)


def exact_gelu(v):
    return v * math.erfc(-v / math.sqrt(2)) / 2


def exact_gelu_slope(v):
    return math.erfc(-v / math.sqrt(2)) / 2 + v * math.exp(-v * v / 2) / math.sqrt(2 * math.pi)


def softplus(v):
    return math.log1p(math.exp(-abs(v))) + (v if v > 0 else 0.0)


def mish(v):
    return v * math.tanh(softplus(v))


def mish_slope(v):
    t = math.tanh(softplus(v))
    return t + v * (1 - t * t) * sigmoid(v)


ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805

INF = math.inf


class Meaning(NamedTuple):
    """An activation, of one number.

    limits : y at −∞ and at ∞, then the slopes there; smooth : it has no corner, and the complex step applies; corners :
    where its slope is a matter of choice, which is PyTorch's
    """

    value: Callable[[float], float]
    slope: Callable[[float], float]
    limits: tuple[float, float, float, float]
    smooth: bool = False
    corners: tuple[float, ...] = (0.0,)


# Every elementwise layer, with the options of its example in xpcnn/nn/layer_examples.py, or of VARIANTS.
FUNCTIONS = {
    "ReLU": Meaning(lambda v: v if v > 0 else 0.0, lambda v: 1.0 if v > 0 else 0.0, (0, INF, 0, 1)),
    "LeakyReLU": Meaning(lambda v: v if v > 0 else 0.01 * v, lambda v: 1.0 if v > 0 else 0.01, (-INF, INF, 0.01, 1)),
    "ELU": Meaning(lambda v: v if v > 0 else math.expm1(v), lambda v: 1.0 if v > 0 else math.exp(v), (-1, INF, 0, 1)),
    "SELU": Meaning(
        lambda v: SCALE * v if v > 0 else SCALE * ALPHA * math.expm1(v),
        lambda v: SCALE if v > 0 else SCALE * ALPHA * math.exp(v),
        (-SCALE * ALPHA, INF, 0, SCALE),
    ),
    "Sigmoid": Meaning(sigmoid, lambda v: sigmoid(v) * sigmoid(-v), (0, 1, 0, 0), smooth=True),
    "Tanh": Meaning(math.tanh, lambda v: 1 - math.tanh(v) ** 2, (-1, 1, 0, 0), smooth=True),
    "GELU": Meaning(exact_gelu, exact_gelu_slope, (0, INF, 0, 1)),
    "GELU, tanh": Meaning(gelu, gelu_slope, (0, INF, 0, 1), smooth=True),
    "SiLU": Meaning(
        lambda v: v * sigmoid(v), lambda v: sigmoid(v) + v * sigmoid(v) * sigmoid(-v), (0, INF, 0, 1), smooth=True
    ),
    "Clip": Meaning(
        lambda v: -0.5 if v < -0.5 else 0.75 if v > 0.75 else v,
        lambda v: 1.0 if -0.5 <= v <= 0.75 else 0.0,
        (-0.5, 0.75, 0, 0),
        corners=(-0.5, 0.75),
    ),
    "ReLU6": Meaning(
        lambda v: 0.0 if v < 0 else 6.0 if v > 6 else v,
        lambda v: 1.0 if 0 < v < 6 else 0.0,
        (0, 6, 0, 0),
        corners=(0.0, 6.0),
    ),
    "HardSigmoid": Meaning(
        lambda v: 0.0 if v < -3 else 1.0 if v > 3 else v / 6 + 0.5,
        lambda v: 1 / 6 if -3 < v < 3 else 0.0,
        (0, 1, 0, 0),
        corners=(-3.0, 3.0),
    ),
    "Mish": Meaning(mish, mish_slope, (0, INF, 0, 1), smooth=True),
    "Softsign": Meaning(lambda v: v / (1 + abs(v)), lambda v: 1 / (1 + abs(v)) ** 2, (-1, 1, 0, 0)),
    "CELU": Meaning(
        lambda v: v if v > 0 else 0.5 * math.expm1(v / 0.5),
        lambda v: 1.0 if v > 0 else math.exp(v / 0.5),
        (-0.5, INF, 0, 1),
    ),
    "HardSwish": Meaning(
        lambda v: v * min(max(v + 3, 0.0), 6.0) / 6,
        lambda v: 0.0 if v <= -3 else 1.0 if v >= 3 else v / 3 + 0.5,
        (0, INF, 0, 1),
        corners=(-3.0, 3.0),
    ),
    "Softplus": Meaning(softplus, sigmoid, (0, INF, 0, 1)),
}


def each(function, x):
    return np.array([function(float(v)) for v in x.ravel()]).reshape(x.shape)


def prelu_gradients(x, slope, dy):
    dx, dslope = np.zeros_like(x), np.zeros_like(slope)
    for place in np.ndindex(*x.shape):
        which = place[-1] if len(slope) > 1 else 0
        if x[place] > 0:
            dx[place] = dy[place]
        else:
            dx[place] = dy[place] * slope[which]
            dslope[which] += dy[place] * x[place]
    return dx, dslope


def softmax_rows(x):
    """Probabilities of each row of (…, K), and the Jacobian ∂y_i/∂x_j of each row (…, K, K)."""
    y, jacobian = np.zeros_like(x), np.zeros((*x.shape, x.shape[-1]))
    for row in np.ndindex(*x.shape[:-1]):
        e = [math.exp(v - max(x[row])) for v in x[row]]
        for i in range(len(e)):
            y[(*row, i)] = e[i] / sum(e)
        for i in range(len(e)):
            for j in range(len(e)):
                jacobian[(*row, i, j)] = y[(*row, i)] * ((i == j) - y[(*row, j)])
    return y, jacobian
