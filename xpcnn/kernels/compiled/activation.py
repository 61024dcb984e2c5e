"""Activations in compiled loops: one pass forward, and one backward.

    y = f(x),   dx = dy · f′                                                                     (1)

f and f′ are those of `xpcnn.ops`: `rectifier`, `activation`, `gelu`, `hard_activation` and `soft_activation`, which say
where x is held within bounds, and why. What backward needs is made again from x or from y, so that the cache holds
nothing else. Arrays are runs of numbers in any order of their axes, as in `xpcnn.kernels.relu`. A NaN stays one.
tanh is missing: NumPy's own is as fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops import activation, gelu, normal_distribution, soft_activation
from ...ops.implementations import Implementation
from ...ops.rectifier import SELU_ALPHA, SELU_SCALE
from ...typing import NDArray
from ..activations import OPTIONS, checked
from ..elementwise import refuses_run
from .elementary import exp, expm1, log1p, polynomial, tanh
from .loop import NAME, In1, Out1, exact, loop_with, refuses_numbers
from .runs import made_by


def formula(x: Any, a: Any, b: Any) -> Any:
    """f or f′, of x or y and the activation's options; each loop has its own."""


def values(x: In1, first: int, last: int, y: Out1, a: float, b: float) -> None:
    """(1), y."""
    x, y = x[first:last], y[first:last]
    for k in range(len(x)):
        y[k] = formula(x[k], a, b)  # (1)


def gradients(dy: In1, kept: In1, first: int, last: int, dx: Out1, a: float, b: float) -> None:
    """(1), dx."""
    dy, kept, dx = dy[first:last], kept[first:last], dx[first:last]
    for k in range(len(dx)):
        dx[k] = dy[k] * formula(kept[k], a, b)  # (1)


INFINITY = math.inf


@exact
def held(x: Any, low: Any, high: Any) -> Any:
    """x within bounds; NaN stays."""
    w = low if x < low else x
    return high if w > high else w


@exact
def sigmoid(x: Any) -> Any:
    """σ of `xpcnn.ops.activation`."""
    return 1.0 / (1.0 + exp(-x))


TIMES = 4  # so many times as many numbers as NumPy's forms need until they pay


GELU_A, GELU_B, FAR = activation.GELU_A, activation.GELU_B, activation.FAR


@exact
def gelu_t(w: Any) -> Any:
    """t of GELU's approximation, for x within ±FAR."""
    return tanh(GELU_A * (w + GELU_B * (w * w * w)))


@exact
def gelu_tanh_slope(x: Any) -> Any:
    """f′ of GELU's approximation."""
    w = held(x, -FAR, FAR)
    t = gelu_t(w)
    return 0.5 * (1.0 + t + w * (1.0 - t * t) * (GELU_A * (1.0 + 3.0 * GELU_B * (w * w))))


@exact
def silu_slope(x: Any) -> Any:
    """f′ of SiLU."""
    s = sigmoid(x)
    return s * (1.0 + held(x, -FAR, FAR) * (1.0 - s))


MISH_LOW, MISH_HIGH = soft_activation.LOW, soft_activation.HIGH


@exact
def mish(x: Any) -> Any:
    """f of Mish."""
    e = exp(held(x, MISH_LOW, MISH_HIGH))
    n = e * (e + 2.0)
    return held(x, MISH_LOW, INFINITY) * (n / (n + 2.0))


@exact
def mish_slope(x: Any) -> Any:
    """f′ of Mish."""
    w = held(x, MISH_LOW, MISH_HIGH)
    e = exp(w)
    n = e * (e + 2.0)
    return (n + w * (4.0 * e * (1.0 + e) / (n + 2.0))) / (n + 2.0)


SIGN_FAR = soft_activation.FAR


@exact
def softsign_share(x: Any) -> Any:
    """1 / (1 + |x|) of softsign."""
    return 1.0 / (1.0 + abs(held(x, -SIGN_FAR, SIGN_FAR)))


A, B, C, D, E, F = (getattr(normal_distribution, f"_{letter}") for letter in "ABCDEF")
NEAR, MIDDLE, NORMAL_FAR = normal_distribution._NEAR, normal_distribution._MIDDLE, normal_distribution._FAR
ROOT_HALF, PER_ROOT_PI, PER_ROOT_2PI = math.sqrt(0.5), 1 / math.sqrt(math.pi), 1 / math.sqrt(2 * math.pi)
GELU_FAR = gelu._FAR


@exact
def falling(size: Any) -> Any:
    """e^(−x²/2) of |x|, in two parts as in `xpcnn.ops.normal_distribution`."""
    t = np.floor(16.0 * size) / 16.0
    return exp(-0.5 * (t * t)) * exp(-0.5 * ((size - t) * (size + t)))


@exact
def normal(x: Any) -> Any:
    """Φ of `xpcnn.ops.normal_distribution`."""
    size = held(abs(x), 0.0, NORMAL_FAR)
    z = size * ROOT_HALF
    near, middle, far = held(z, 0.0, NEAR), held(z, NEAR, MIDDLE), held(z, MIDDLE, NORMAL_FAR)
    half_erf = 0.5 * near * (polynomial(A, near * near) / polynomial(B, near * near))
    in_middle = 0.5 * (polynomial(C, middle) / polynomial(D, middle))
    inverse = 1.0 / (far * far)
    beyond = 0.5 * ((PER_ROOT_PI - inverse * (polynomial(E, inverse) / polynomial(F, inverse))) / far)
    q = falling(size) * (beyond if z > MIDDLE else in_middle) if z > NEAR else 0.5 - half_erf
    return 1.0 - q if x > 0.0 else q


@exact
def gelu_slope(x: Any) -> Any:
    """f′ of GELU."""
    density = PER_ROOT_2PI * falling(held(abs(x), 0.0, NORMAL_FAR))
    return normal(x) + held(x, -GELU_FAR, GELU_FAR) * density


LAMBDA, LAMBDA_ALPHA = SELU_SCALE, SELU_SCALE * SELU_ALPHA
FORMULAS: dict[str, tuple[Callable[..., Any], Callable[..., Any], str]] = {  # f, f′, and of which that is, x or y
    # `rectifier`
    "relu": (lambda x, a, b: 0.0 if x <= 0.0 else x, lambda y, a, b: 1.0 if y > 0.0 else 0.0, "y"),
    "leaky_relu": (lambda x, a, b: x if x > 0.0 else a * x, lambda y, a, b: 1.0 if y > 0.0 else a, "y"),  # a ≥ 0
    "elu": (lambda x, a, b: x if x > 0.0 else a * expm1(x), lambda x, a, b: 1.0 if x > 0.0 else a * exp(x), "x"),
    "selu": (
        lambda x, a, b: LAMBDA * x if x > 0.0 else LAMBDA_ALPHA * expm1(x),
        lambda x, a, b: LAMBDA if x > 0.0 else LAMBDA_ALPHA * exp(x),
        "x",
    ),
    # `activation`
    "sigmoid": (lambda x, a, b: sigmoid(x), lambda y, a, b: y * (1.0 - y), "y"),
    "gelu_tanh": (
        lambda x, a, b: 0.5 * held(x, -FAR, INFINITY) * (1.0 + gelu_t(held(x, -FAR, FAR))),
        lambda x, a, b: gelu_tanh_slope(x),
        "x",
    ),
    "silu": (lambda x, a, b: held(x, -FAR, INFINITY) * sigmoid(x), lambda x, a, b: silu_slope(x), "x"),
    "softplus": (lambda x, a, b: held(x, 0.0, INFINITY) + log1p(exp(-abs(x))), lambda x, a, b: sigmoid(x), "x"),
    # `gelu`
    "gelu": (lambda x, a, b: held(x, -GELU_FAR, INFINITY) * normal(x), lambda x, a, b: gelu_slope(x), "x"),
    # `hard_activation`
    "clip": (
        lambda x, a, b: held(x, a, b),
        lambda x, a, b: 1.0 if a <= x <= b else 0.0,
        "x",
    ),
    "relu6": (lambda x, a, b: held(x, 0.0, 6.0), lambda y, a, b: 1.0 if 0.0 < y < 6.0 else 0.0, "y"),
    "hard_sigmoid": (
        lambda x, a, b: held(a * x + b, 0.0, 1.0),
        lambda y, a, b: a if 0.0 < y < 1.0 else 0.0,
        "y",
    ),
    "hard_swish": (
        lambda x, a, b: held(x, -3.0, INFINITY) * (held(x + 3.0, 0.0, 6.0) / 6.0),
        lambda x, a, b: 0.0 if x <= -3.0 else 1.0 if x >= 3.0 else x / 3.0 + 0.5,
        "x",
    ),
    # `soft_activation`
    "mish": (lambda x, a, b: mish(x), lambda x, a, b: mish_slope(x), "x"),
    "softsign": (
        lambda x, a, b: held(x, -SIGN_FAR, SIGN_FAR) * softsign_share(x),
        lambda x, a, b: softsign_share(x) * softsign_share(x),
        "x",
    ),
    "celu": (
        lambda x, a, b: x if x > 0.0 else a * expm1(x / a),
        lambda x, a, b: 1.0 if x > 0.0 else exp(x / a),
        "x",
    ),
}


def _implementation(op: str) -> Implementation:
    f, slope, keeps = FORMULAS[op]
    unused = (0.0,) * (2 - len(OPTIONS.get(op, {})))
    forward, backward = loop_with(values, op, formula=f), loop_with(gradients, op, formula=slope)

    def value(x: NDArray, *numbers: float) -> NDArray:
        return made_by(forward, x, x, options=numbers + unused)  # (1)

    def gradient(dy: NDArray, kept: NDArray, *numbers: float) -> NDArray:
        return made_by(backward, kept, dy, kept, options=numbers + unused)  # (1)

    return Implementation(NAME, *checked(op, _refuses_relu if op == "relu" else refuses, value, gradient, keeps=keeps))


def refuses(x: Any) -> str | None:
    """The reason why these implementations refuse the array, or None."""
    return refuses_numbers(x) or refuses_run(x, times=TIMES)


def _refuses_relu(x: Any) -> str | None:
    return refuses_numbers(x) or refuses_run(x)  # NumPy's form takes as long to begin


def _refuses_leaky(x: Any, *, negative_slope: float = 0.01) -> str | None:
    reason = _LEAKY.refuses(x, negative_slope=negative_slope)
    return reason or ("y > 0 does not say whether x > 0" if negative_slope < 0 else None)


(
    RELU, _LEAKY, ELU, SELU, SIGMOID, GELU_TANH, SILU, SOFTPLUS, GELU, CLIP, RELU6, HARD_SIGMOID, HARD_SWISH,
    MISH, SOFTSIGN, CELU,
) = map(_implementation, FORMULAS)  # fmt: skip
LEAKY_RELU = Implementation(NAME, _refuses_leaky, _LEAKY.forward, _LEAKY.backward)
