"""Softmax and its logarithm along the last axis, and their gradients.

With K scores x₁ … x_K and m = max x,

    softmax        yᵢ = e^(xᵢ − m) / Σₖ e^(xₖ − m)                 dx = y · (dy − Σₖ dyₖ yₖ)               (1)
    log-softmax    yᵢ = (xᵢ − m) − log Σₖ e^(xₖ − m)               dx = dy − e^y · Σₖ dyₖ                  (2)

Subtracting m multiplies numerator and denominator by the same number, and leaves no exponent above 0: nothing
overflows, and the sum is at least 1. The gradients follow from ∂yᵢ/∂xⱼ = yᵢ ([i = j] − yⱼ) for (1) and
[i = j] − e^(yⱼ) for (2). The result does not depend on m, so the gradients do not either.

Source: J. Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990.
"""

from __future__ import annotations

from typing import Any

from ..typing import Array, Cache
from .check import check_array, check_batch, check_floats, check_gradient


def softmax_forward(x: Array) -> tuple[Array, Cache]:
    """Turn scores into probabilities, along the last axis; (1).

    Parameters
        x : Array (N, …, K), float
    Returns
        y : Array (N, …, K), with sum 1 along the last axis
        cache : for `softmax_backward`; refers to y
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> softmax_forward(np.array([[1000.0, 1000.0, -1000.0]]))[0]
    array([[0.5, 0.5, 0. ]])
    """
    xp = _check("Softmax", x)
    e = xp.exp(_shifted(x, xp))  # (N, …, K)
    y = e / xp.sum(e, axis=-1, keepdims=True)  # (N, …, K)                 (1)
    return y, y


def softmax_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `softmax_forward`, (1): dy (N, …, K) → dx (N, …, K).

    >>> import numpy as np
    >>> y, cache = softmax_forward(np.array([[1.0, 2.0, 4.0]]))
    >>> softmax_backward(np.ones_like(y), cache).round(4)
    array([[0., 0., 0.]])
    """
    y = cache
    xp = check_gradient("Softmax", dy, y.shape, y)
    dx: Array = y * (dy - xp.sum(dy * y, axis=-1, keepdims=True))  # (N, …, K)                             (1)
    return dx


def log_softmax_forward(x: Array) -> tuple[Array, Cache]:
    """Turn scores into logarithms of probabilities, along the last axis; (2).

    Parameters
        x : Array (N, …, K), float
    Returns
        y : Array (N, …, K)
        cache : for `log_softmax_backward`; refers to y
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> log_softmax_forward(np.array([[0.0, -1000.0]]))[0]
    array([[    0., -1000.]])
    """
    xp = _check("LogSoftmax", x)
    z = _shifted(x, xp)  # (N, …, K)
    y = z - xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True))  # (N, …, K)                                 (2)
    return y, y


def log_softmax_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `log_softmax_forward`, (2): dy (N, …, K) → dx (N, …, K).

    >>> import numpy as np
    >>> y, cache = log_softmax_forward(np.array([[1.0, 2.0, 4.0]]))
    >>> log_softmax_backward(np.ones_like(y), cache).round(4)
    array([[ 0.874 ,  0.6574, -1.5314]])
    """
    y = cache
    xp = check_gradient("LogSoftmax", dy, y.shape, y)
    dx: Array = dy - xp.exp(y) * xp.sum(dy, axis=-1, keepdims=True)  # (N, …, K)                           (2)
    return dx


def _check(who: str, x: Array) -> Any:
    check_array(who, x)
    check_batch(who, x, *(x.shape[1:] or ("K",)))
    return check_floats(who, x)


def _shifted(x: Array, xp: Any) -> Array:
    shifted: Array = x - xp.max(x, axis=-1, keepdims=True)  # (N, …, K) − (N, …, 1)
    return shifted
