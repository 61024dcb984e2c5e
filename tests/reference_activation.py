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


ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805

INF = math.inf


class Meaning(NamedTuple):
    """An activation, of one number.

    limits : y at −∞ and at ∞, then the slopes there; smooth : it has no corner, and the complex step applies
    """

    value: Callable[[float], float]
    slope: Callable[[float], float]
    limits: tuple[float, float, float, float]
    smooth: bool = False


# Every elementwise layer, with the options of its example in xpcnn/nn/layer_examples.py.
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
    "GELU": Meaning(gelu, gelu_slope, (0, INF, 0, 1), smooth=True),
    "SiLU": Meaning(
        lambda v: v * sigmoid(v), lambda v: sigmoid(v) + v * sigmoid(v) * sigmoid(-v), (0, INF, 0, 1), smooth=True
    ),
    "HardSwish": Meaning(
        lambda v: v * min(max(v + 3, 0.0), 6.0) / 6,
        lambda v: 0.0 if v <= -3 else 1.0 if v >= 3 else v / 3 + 0.5,
        (0, INF, 0, 1),
    ),
    "Softplus": Meaning(lambda v: math.log1p(math.exp(-abs(v))) + (v if v > 0 else 0.0), sigmoid, (0, INF, 0, 1)),
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
