"""Smooth activations, and their gradients: the sigmoids, and what is made of one of them.

Activations are cut by shape: smooth ones made of a sigmoid here, of the normal distribution in `gelu`, of neither in
`soft_activation`; two branches that meet at x = 0 in `rectifier`; straight pieces between bounds in `hard_activation`.

    sigmoid     y = σ(x) = 1 / (1 + e⁻ˣ)                              dx = dy · y (1 − y)                    (1)
    tanh        y = tanh(x)                                           dx = dy · (1 − y²)                     (2)
    GELU        y = ½ x (1 + t),  t = tanh(a (x + b x³)),             dx = dy · ½ (1 + t
                a = √(2/π),  b = 0.044715                                  + x (1 − t²) · a (1 + 3 b x²))    (3)
    SiLU        y = x σ(x)                                            dx = dy · σ(x) (1 + x (1 − σ(x)))      (4)
    softplus    y = log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|)         dx = dy · σ(x)                         (5)

Where e⁻ˣ in (1) overflows to ∞, y = 0 is right. (½ (1 + tanh(x/2)) does not overflow, but in float32 it has lost all
its digits at x = −17.) The right-hand form of (5) never overflows. In (3) and (4), x multiplies a factor that is
exactly 0 for |x| ≥ 10⁴. So x is clipped to ±10⁴ there: x² and x³ do not overflow, and at ±∞ the results are the
limits, 0 and x with slopes 0 and 1, not 0·∞. (3) is the tanh approximation, with an error of at
most 5e-4; the exact GELU is in `xpcnn.ops.gelu`.

Sources
    Y. LeCun et al., Efficient backprop, 1998, section 4.4                             → (1), (2)
    D. Hendrycks and K. Gimpel, Gaussian error linear units, 2016, section 2           → (3), (4)
    S. Elfwing et al., Sigmoid-weighted linear units for neural networks, 2018         → (4)
    C. Dugas et al., Incorporating second-order functional knowledge, 2000             → (5)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..typing import Array, Cache
from .check import check_gradient, check_items
from .clip import held
from .formula import Formula

GELU_A = math.sqrt(2 / math.pi)
GELU_B = 0.044715
FAR = 1e4


def sigmoid_forward(x: Array) -> tuple[Array, Cache]:
    """The logistic function, between 0 and 1; (1).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `sigmoid_backward`; refers to y
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> sigmoid_forward(np.array([-1000.0, 0.0, 1000.0]))[0]
    array([0. , 0.5, 1. ])
    """
    xp = check_items("Sigmoid", x)
    y = _sigmoid(x, xp)  # (N, …)
    return y, y


def sigmoid_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `sigmoid_forward`, (1): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = sigmoid_forward(np.array([[-1.0, 2.0]]))
    >>> sigmoid_backward(np.ones_like(y), cache).round(4)
    array([[0.1966, 0.105 ]])
    """
    y = cache
    check_gradient("Sigmoid", dy, y.shape, y)
    dx: Array = dy * (y * (1 - y))  # (1)
    return dx


SIGMOID = Formula("activation", 1, "1 / (1 + exp(−{x}))", "{y}·(1 − {y})")


def tanh_forward(x: Array) -> tuple[Array, Cache]:
    """The hyperbolic tangent, between −1 and 1; (2).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `tanh_backward`; refers to y
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> tanh_forward(np.array([-1000.0, 0.0, 1000.0]))[0]
    array([-1.,  0.,  1.])
    """
    xp = check_items("Tanh", x)
    y = xp.tanh(x)  # (N, …)                                               (2)
    return y, y


def tanh_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `tanh_forward`, (2): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = tanh_forward(np.array([[-1.0, 2.0]]))
    >>> tanh_backward(np.ones_like(y), cache).round(4)
    array([[0.42  , 0.0707]])
    """
    y = cache
    check_gradient("Tanh", dy, y.shape, y)
    dx: Array = dy * (1 - y * y)  # (2)
    return dx


TANH = Formula("activation", 2, "tanh({x})", "1 − {y}·{y}")


def gelu_tanh_forward(x: Array) -> tuple[Array, Cache]:
    """The Gaussian error linear unit in its tanh approximation; (3).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `gelu_tanh_backward`; holds x clipped to ±10⁴, and t
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> gelu_tanh_forward(np.array([-1.0, 0.0, 1.0]))[0].round(4)
    array([-0.1588,  0.    ,  0.8412])
    """
    xp = check_items("GELU", x)
    within = held(x, -FAR, FAR)
    t = xp.tanh(GELU_A * (within + GELU_B * (within * within * within)))  # (N, …) (3)
    return 0.5 * _larger(x, within, xp) * (1 + t), (within, t)


def gelu_tanh_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `gelu_tanh_forward`, (3): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = gelu_tanh_forward(np.array([[-1.0, 2.0]]))
    >>> gelu_tanh_backward(np.ones_like(y), cache).round(4)
    array([[-0.083 ,  1.0861]])
    """
    x, t = cache
    check_gradient("GELU", dy, x.shape, x)
    dx: Array = dy * (0.5 * (1 + t + x * (1 - t * t) * (GELU_A * (1 + 3 * GELU_B * (x * x)))))  # (3)
    return dx


GELU_TANH = Formula(
    "activation",
    3,
    "½·{x}·(1 + t), t = tanh({a}·({x} + {b}·{x}·{x}·{x}))",
    "½·(1 + t + {x}·(1 − t·t)·{a}·(1 + {3b}·{x}·{x})), t = tanh({a}·({x} + {b}·{x}·{x}·{x}))",
    {"a": GELU_A, "b": GELU_B, "3b": 3 * GELU_B},
)


def silu_forward(x: Array) -> tuple[Array, Cache]:
    """The sigmoid linear unit, also called swish; (4).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `silu_backward`; holds x clipped to ±10⁴, and σ(x)
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> silu_forward(np.array([-1.0, 0.0, 1.0]))[0].round(4)
    array([-0.2689,  0.    ,  0.7311])
    """
    xp = check_items("SiLU", x)
    within, s = held(x, -FAR, FAR), _sigmoid(x, xp)  # (N, …)
    return _larger(x, within, xp) * s, (within, s)  # (4)


def silu_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `silu_forward`, (4): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = silu_forward(np.array([[-1.0, 2.0]]))
    >>> silu_backward(np.ones_like(y), cache).round(4)
    array([[0.0723, 1.0908]])
    """
    x, s = cache
    check_gradient("SiLU", dy, x.shape, x)
    dx: Array = dy * (s * (1 + x * (1 - s)))  # (4)
    return dx


SILU = Formula("activation", 4, "{x} / (1 + exp(−{x}))", "σ·(1 + {x}·(1 − σ)), σ = 1 / (1 + exp(−{x}))")


def softplus_forward(x: Array) -> tuple[Array, Cache]:
    """A smooth maximum of x and 0; (5).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `softplus_backward`; refers to x
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> softplus_forward(np.array([-1000.0, 0.0, 1000.0]))[0].round(4)
    array([0.000e+00, 6.931e-01, 1.000e+03])
    """
    xp = check_items("Softplus", x)
    zero = xp.zeros((), dtype=x.dtype, device=x.device)
    return xp.maximum(x, zero) + xp.log1p(xp.exp(-xp.abs(x))), x  # (N, …)                                 (5)


def softplus_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `softplus_forward`, (5): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = softplus_forward(np.array([[-1.0, 2.0]]))
    >>> softplus_backward(np.ones_like(y), cache).round(4)
    array([[0.2689, 0.8808]])
    """
    x = cache
    xp = check_gradient("Softplus", dy, x.shape, x)
    return dy * _sigmoid(x, xp)  # (5)


SOFTPLUS = Formula("activation", 5, "log(1 + exp({x}))", "1 / (1 + exp(−{x}))")


def _sigmoid(x: Array, xp: Any) -> Array:
    with np.errstate(over="ignore"):
        y: Array = 1 / (1 + xp.exp(-x))  # (1)
    return y


def _larger(x: Array, within: Array, xp: Any) -> Array:
    """max(x, −10⁴), given x within ±10⁴."""
    larger: Array = x if within is x else xp.maximum(x, within)
    return larger
