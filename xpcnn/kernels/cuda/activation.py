"""Activations on CuPy: one kernel forward, and one backward.

    y = f(x),   dx = dy · f′                                                                     (1)

A slope that is learned has one number, or one per channel:

    y = x where x > 0, else slope · x,   dslope = Σ dy · min(x, 0)                               (2)

f and f′ are those of `xpcnn.ops`: `rectifier`, `activation`, `gelu`, `hard_activation` and `soft_activation`, which say
where x is held within bounds, and why. What backward needs is made again from x or from y, so that the cache holds
nothing else.
"""

from __future__ import annotations

from ...ops import activation, soft_activation
from ...ops.check import check_gradient
from ...ops.implementations import Implementation
from ...ops.rectifier import SELU_ALPHA, SELU_SCALE, check_prelu
from ...typing import Cache
from ..activations import OPTIONS, checked
from .kernel import Array, Kernel, refuses_kind
from .proof import proven
from .sums import column_sums


def _activation(op: str, y: str, dx: str, *, keeps: str = "x") -> Implementation:
    """The implementation of an activation: C texts of (1), with the options and with x or y, whichever is kept."""
    numbers = "".join(f", T {name}" for name in OPTIONS.get(op, {}))
    kernel = Kernel(op, f"T x{numbers}", "T y", y)
    kernel_dx = Kernel(f"{op}_dx", f"T dy, T {keeps}{numbers}", "T dx", dx)
    return proven(op, *checked(op, refuses_kind, kernel, kernel_dx, keeps=keeps))  # (1)


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

SLOPED = Kernel("prelu", "T x, T slope", "T y", "y = x > 0 ? x : x * slope;")
SLOPED_DX = Kernel(
    "prelu_dx",
    "T dy, T x, T slope",
    "T dx, T part",
    "dx = x > 0 ? dy : dy * slope; part = dy * (x > 0 ? T(0) : x);",
)


def prelu_forward(x: Array, slope: Array) -> tuple[Array, Cache]:
    """`prelu_forward` of `xpcnn.ops.rectifier`."""
    check_prelu(x, slope)
    return SLOPED(x, slope), (x, slope)  # (2)


def prelu_backward(dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, Array]:
    """`prelu_backward` of `xpcnn.ops.rectifier`."""
    x, slope = cache
    check_gradient("PReLU", dy, x.shape, x)
    dx, part = SLOPED_DX(dy, x, slope)  # (N, …, C) each
    return dx if input_grad else None, column_sums(part if slope.size > 1 else part.reshape(-1, 1))  # (2)


RELU = _activation(
    "relu", "y = x < 0 ? T(0) : x;",  # NaN stays
    "dx = y > 0 ? dy : dy * T(0);", keeps="y",  # NaN and ∞ show
)  # fmt: skip
LEAKY_RELU = _activation(
    "leaky_relu", "y = x > 0 ? x : x * negative_slope;",
    "dx = x > 0 ? dy : dy * negative_slope;",
)  # fmt: skip
ELU = _activation("elu", "y = x > 0 ? x : alpha * expm1(x);", "dx = x > 0 ? dy : dy * (alpha * exp(x));")
SELU = _activation(
    "selu", f"y = x > 0 ? T({SELU_SCALE}) * x : T({SELU_SCALE * SELU_ALPHA}) * expm1(x);",
    f"dx = dy * (x > 0 ? T({SELU_SCALE}) : T({SELU_SCALE * SELU_ALPHA}) * exp(x));",
)  # fmt: skip
SIGMOID = _activation("sigmoid", f"y = {_SIGMOID};", "dx = dy * (y * (1 - y));", keeps="y")
TANH = _activation("tanh", "y = tanh(x);", "dx = dy * (1 - y * y);", keeps="y")
GELU = _activation(
    "gelu", f"{_BELOW} y = (x < -40 ? T(-40) : x) * below;",
    f"{_BELOW} {_within(-40, 40)} dx = dy * (below + w * (T(0.3989422804014327) * exp(x * x / -2)));",
)  # fmt: skip
GELU_TANH = _activation(
    "gelu_tanh", f"{_FAR} {_GELU_T} y = T(0.5) * {_ABOVE} * (1 + t);",
    f"{_FAR} {_GELU_T} dx = dy * (T(0.5) * (1 + t + w * (1 - t * t) * (T({activation.GELU_A}) * "
    f"(1 + T({3 * activation.GELU_B}) * (w * w)))));",
)  # fmt: skip
SILU = _activation(
    "silu", f"y = {_ABOVE} * ({_SIGMOID});", f"{_FAR} T s = {_SIGMOID}; dx = dy * (s * (1 + w * (1 - s)));"
)
SOFTPLUS = _activation("softplus", "y = (x < 0 ? T(0) : x) + log1p(exp(-fabs(x)));", f"dx = dy * ({_SIGMOID});")
CLIP = _activation(
    "clip",
    "y = x < low ? low : x > high ? high : x;",
    "dx = dy * T(x >= low && x <= high);",
)
RELU6 = _activation(
    "relu6", f"{_within(0, 6)} y = w;", "dx = dy * T(y > 0 && y < 6);", keeps="y"
)  # fmt: skip
HARD_SIGMOID = _activation(
    "hard_sigmoid", "T v = alpha * x + beta; y = v < 0 ? T(0) : v > 1 ? T(1) : v;",
    "dx = dy * (alpha * T(y > 0 && y < 1));", keeps="y",
)  # fmt: skip
HARD_SWISH = _activation(
    "hard_swish", f"{_within(-3, 3)} y = (x < -3 ? T(-3) : x) * ((w + 3) / 6);",
    "dx = dy * (x <= -3 ? T(0) : x >= 3 ? T(1) : x / 3 + T(0.5));",
)  # fmt: skip
MISH = _activation(
    "mish", f"{_MISH} y = (x < T({soft_activation.LOW}) ? T({soft_activation.LOW}) : x) * (n / (n + 2));",
    f"{_MISH} dx = dy * ((n + w * (4 * e * (1 + e) / (n + 2))) / (n + 2));",
)  # fmt: skip
SOFTSIGN = _activation("softsign", f"{_FRACTION} y = w * s;", f"{_FRACTION} dx = dy * (s * s);")
CELU = _activation("celu", "y = x > 0 ? x : alpha * expm1(x / alpha);", "dx = x > 0 ? dy : dy * exp(x / alpha);")
PRELU = proven("prelu", refuses_kind, prelu_forward, prelu_backward)
