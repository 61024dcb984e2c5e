"""Activations on CuPy: one kernel forward, and one backward.

    y = f(x),   dx = dy · f′                                                                     (1)

f and f′ are those of `xpcnn.ops`: `rectifier`, `activation`, `gelu`, `hard_activation` and `soft_activation`, which say
where x is held within bounds, and why. What backward needs is made again from x or from y, so that the cache holds
nothing else.
"""

from __future__ import annotations

import math
from inspect import Parameter, Signature
from typing import Any

from ...ops import activation, soft_activation
from ...ops.check import check_gradient, check_items
from ...ops.dispatch import Implementation
from ...ops.rectifier import SELU_ALPHA, SELU_SCALE
from ...typing import Cache
from .kernel import Array, Kernel, refuses_kind
from .proof import proven


def _activation(op: str, who: str, y: str, dx: str, *, keeps: str = "x", **options: float) -> Implementation:
    """The implementation of an activation: C texts of (1), with the options and with x or y, whichever is kept."""
    numbers = "".join(f", T {name}" for name in options)
    kernel = Kernel(op, f"T x{numbers}", "T y", y)
    kernel_dx = Kernel(f"{op}_dx", f"T dy, T {keeps}{numbers}", "T dx", dx)

    def refuses(x: Any, **given: Any) -> str | None:
        for name, value in given.items():
            if type(value) not in (int, float) or value != value or (name == "alpha" and value < 0):
                return f"{name} is {value!r}"
        return refuses_kind(x)

    def forward(x: Array, **given: float) -> tuple[Array, Cache]:
        largest = float(check_items(who, x).finfo(x.dtype).max)
        asked = (options | given).values()
        values = [each if abs(each) <= largest else math.copysign(math.inf, each) for each in asked]
        made = kernel(x, *values)  # (N, …)                                                          (1)
        return made, (made if keeps == "y" else x, values)

    def backward(dy: Array, cache: Cache) -> Array:
        kept, values = cache
        check_gradient(who, dy, kept.shape, kept)
        return kernel_dx(dy, kept, *values)  # (1)

    named = [Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in options.items()]
    signature = Signature([Parameter("x", Parameter.POSITIONAL_OR_KEYWORD), *named])
    for function in (forward, refuses):
        vars(function)["__signature__"] = signature
    return proven(op, refuses, forward, backward)


def _within(low: float, high: float, name: str = "w") -> str:
    """C: x held within bounds; NaN stays."""
    return f"T {name} = x < T({low}) ? T({low}) : x > T({high}) ? T({high}) : x;"


_SIGMOID = "1 / (1 + exp(-x))"
_FAR = _within(-activation.FAR, activation.FAR)
_ABOVE = f"(x < T({-activation.FAR}) ? T({-activation.FAR}) : x)"
_GELU_T = f"T t = tanh(T({activation.GELU_A}) * (w + T({activation.GELU_B}) * (w * w * w)));"
_MISH = _within(soft_activation.LOW, soft_activation.HIGH) + " T e = exp(w), n = e * (e + 2);"
_FRACTION = f"{_within(-soft_activation.FAR, soft_activation.FAR)} T s = 1 / (1 + fabs(w));"
_BELOW = "T below = erfc(x * T(-0.7071067811865476)) / 2;"

RELU = _activation(
    "relu", "ReLU", "y = x < 0 ? T(0) : x;",  # NaN stays
    "dx = y > 0 ? dy : dy * T(0);", keeps="y",  # NaN and ∞ show
)  # fmt: skip
LEAKY_RELU = _activation(
    "leaky_relu", "LeakyReLU", "y = x > 0 ? x : x * negative_slope;",
    "dx = x > 0 ? dy : dy * negative_slope;", negative_slope=0.01,
)  # fmt: skip
ELU = _activation(
    "elu", "ELU", "y = x > 0 ? x : alpha * expm1(x);", "dx = x > 0 ? dy : dy * (alpha * exp(x));", alpha=1.0
)
SELU = _activation(
    "selu", "SELU", f"y = x > 0 ? T({SELU_SCALE}) * x : T({SELU_SCALE * SELU_ALPHA}) * expm1(x);",
    f"dx = dy * (x > 0 ? T({SELU_SCALE}) : T({SELU_SCALE * SELU_ALPHA}) * exp(x));",
)  # fmt: skip
SIGMOID = _activation("sigmoid", "Sigmoid", f"y = {_SIGMOID};", "dx = dy * (y * (1 - y));", keeps="y")
TANH = _activation("tanh", "Tanh", "y = tanh(x);", "dx = dy * (1 - y * y);", keeps="y")
GELU = _activation(
    "gelu", "GELU", f"{_BELOW} y = (x < -40 ? T(-40) : x) * below;",
    f"{_BELOW} {_within(-40, 40)} dx = dy * (below + w * (T(0.3989422804014327) * exp(x * x / -2)));",
)  # fmt: skip
GELU_TANH = _activation(
    "gelu_tanh", "GELU", f"{_FAR} {_GELU_T} y = T(0.5) * {_ABOVE} * (1 + t);",
    f"{_FAR} {_GELU_T} dx = dy * (T(0.5) * (1 + t + w * (1 - t * t) * (T({activation.GELU_A}) * "
    f"(1 + T({3 * activation.GELU_B}) * (w * w)))));",
)  # fmt: skip
SILU = _activation(
    "silu", "SiLU", f"y = {_ABOVE} * ({_SIGMOID});", f"{_FAR} T s = {_SIGMOID}; dx = dy * (s * (1 + w * (1 - s)));"
)
SOFTPLUS = _activation(
    "softplus", "Softplus", "y = (x < 0 ? T(0) : x) + log1p(exp(-fabs(x)));", f"dx = dy * ({_SIGMOID});"
)
CLIP = _activation(
    "clip",
    "Clip",
    "y = x < low ? low : x > high ? high : x;",
    "dx = dy * T(x >= low && x <= high);",
    low=-math.inf,
    high=math.inf,
)
RELU6 = _activation(
    "relu6", "ReLU6", f"{_within(0, 6)} y = w;", "dx = dy * T(y > 0 && y < 6);", keeps="y"
)  # fmt: skip
HARD_SIGMOID = _activation(
    "hard_sigmoid", "HardSigmoid", "T v = alpha * x + beta; y = v < 0 ? T(0) : v > 1 ? T(1) : v;",
    "dx = dy * (alpha * T(y > 0 && y < 1));", keeps="y", alpha=1 / 6, beta=0.5,
)  # fmt: skip
HARD_SWISH = _activation(
    "hard_swish", "HardSwish", f"{_within(-3, 3)} y = (x < -3 ? T(-3) : x) * ((w + 3) / 6);",
    "dx = dy * (x <= -3 ? T(0) : x >= 3 ? T(1) : x / 3 + T(0.5));",
)  # fmt: skip
MISH = _activation(
    "mish", "Mish", f"{_MISH} y = (x < T({soft_activation.LOW}) ? T({soft_activation.LOW}) : x) * (n / (n + 2));",
    f"{_MISH} dx = dy * ((n + w * (4 * e * (1 + e) / (n + 2))) / (n + 2));",
)  # fmt: skip
SOFTSIGN = _activation("softsign", "Softsign", f"{_FRACTION} y = w * s;", f"{_FRACTION} dx = dy * (s * s);")
CELU = _activation(
    "celu", "CELU", "y = x > 0 ? x : alpha * expm1(x / alpha);", "dx = x > 0 ? dy : dy * exp(x / alpha);", alpha=1.0
)
