"""Smooth activations that need no sigmoid, and their gradients. (Those that do: `xpcnn.ops.activation`.)

    Mish        y = x t,  t = tanh(log(1 + eˣ)) = n / (n + 2)         dx = dy · (t + x · 4 e (1 + e) / (n + 2)²)
                with e = eˣ and n = e (e + 2)                                                                    (1)
    softsign    y = x / (1 + |x|)                                     dx = dy / (1 + |x|)²                       (2)
    CELU        y = max(x, 0) + α (e^(min(x, 0)/α) − 1)               dx = dy · e^(min(x, 0)/α)                  (3)

In (1), tanh(log u) = (u² − 1) / (u² + 1) with u = 1 + e, so that one exponential is enough. x is held within −10⁴ and
20 where e is made of it, beyond which t is 0 and 1 to the last digit, and its slope as well. In (2), x is held within
±10³⁰, beyond which y is ±1. (3) is an ELU whose slope at 0 is 1 for every α.

Sources
    D. Misra, Mish: a self regularized non-monotonic activation function, 2019, equation 1             → (1)
    X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward networks, 2010  → (2)
    J. Barron, Continuously differentiable exponential linear units, 2017                  → (3)
"""

from __future__ import annotations

from ..typing import Array, Cache
from .check import check_gradient, check_items
from .clip import held
from .formula import Formula

LOW, HIGH = -1e4, 20.0  # beyond these Mish is a straight line
FAR = 1e30


def mish_forward(x: Array) -> tuple[Array, Cache]:
    """x times the tanh of its softplus; (1).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `mish_backward`; holds x within −10⁴ and 20
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> mish_forward(np.array([-1.0, 0.0, 1.0]))[0].round(4)
    array([-0.3034,  0.    ,  0.8651])
    """
    xp = check_items("Mish", x)
    within = held(x, LOW, HIGH)
    e = xp.exp(within)  # (N, …)
    n = e * (e + 2)
    larger = x if within is x else xp.maximum(x, within)  # x where it is not below −10⁴
    return larger * (n / (n + 2)), within  # (1)


def mish_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `mish_forward`, (1): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = mish_forward(np.array([[-1.0, 2.0]]))
    >>> mish_backward(np.ones_like(y), cache).round(4)
    array([[0.0592, 1.0693]])
    """
    x = cache
    xp = check_gradient("Mish", dy, x.shape, x)
    e = xp.exp(x)
    n = e * (e + 2)
    dx: Array = dy * ((n + x * (4 * e * (1 + e) / (n + 2))) / (n + 2))  # (1)
    return dx


MISH = Formula(
    "soft_activation",
    1,
    "{x}·tanh(log(1 + exp({x})))",
    "t + {x}·(1 − t·t) / (1 + exp(−{x})), t = tanh(log(1 + exp({x})))",
)


def softsign_forward(x: Array) -> tuple[Array, Cache]:
    """A curve from −1 to 1 that nears them slowly; (2).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `softsign_backward`
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> softsign_forward(np.array([-3.0, 0.0, 1.0]))[0]
    array([-0.75,  0.  ,  0.5 ])
    """
    xp = check_items("Softsign", x)
    within = held(x, -FAR, FAR)
    s = 1 / (1 + xp.abs(within))  # (N, …)
    return within * s, s  # (2)


def softsign_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `softsign_forward`, (2): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = softsign_forward(np.array([[-1.0, 2.0]]))
    >>> softsign_backward(np.ones_like(y), cache).round(4)
    array([[0.25  , 0.1111]])
    """
    s = cache
    check_gradient("Softsign", dy, s.shape, s)
    dx: Array = dy * (s * s)  # (2)
    return dx


SOFTSIGN = Formula("soft_activation", 2, "{x} / (1 + abs({x}))", "1 / ((1 + abs({x}))·(1 + abs({x})))")


def celu_forward(x: Array, *, alpha: float = 1.0) -> tuple[Array, Cache]:
    """A rectifier that bends smoothly towards −α; (3).

    Parameters
        x : Array (N, …), float
        alpha : α > 0
    Returns
        y : Array (N, …)
        cache : for `celu_backward`
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> celu_forward(np.array([-1.0, 0.0, 2.0]), alpha=2.0)[0].round(4)
    array([-0.7869,  0.    ,  2.    ])
    """
    xp = check_items("CELU", x)
    zero = xp.zeros((), dtype=x.dtype, device=x.device)
    below = xp.minimum(x, zero) / alpha  # (N, …)
    return xp.maximum(x, zero) + alpha * xp.expm1(below), below  # (3)


def celu_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `celu_forward`, (3): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = celu_forward(np.array([[-1.0, 2.0]]))
    >>> celu_backward(np.ones_like(y), cache).round(4)
    array([[0.3679, 1.    ]])
    """
    below = cache
    xp = check_gradient("CELU", dy, below.shape, below)
    dx: Array = dy * xp.exp(below)  # (3)
    return dx


CELU = Formula(
    "soft_activation",
    3,
    ("{x}, as {x} > 0", "{alpha}·(exp({x} / {alpha}) − 1)"),
    ("1, as {x} > 0", "exp({x} / {alpha})"),
)
