"""Piecewise activations that replace smooth ones, and their gradients.

    hard swish   y = x · r / 6,  r = min(max(x + 3, 0), 6)        dx = dy · f,  f = 0 where x ≤ −3, 1 where x ≥ 3,
                                                                       else x / 3 + ½                            (1)

Each has corners. The slopes there are PyTorch's.

Sources
    A. Howard et al., Searching for MobileNetV3, 2019, section 5.2                     → (1)
"""

from __future__ import annotations

from typing import Any

from ..typing import Array, Cache
from .check import check_floats, check_gradient, check_items
from .clip import clip


def hard_swish_forward(x: Array) -> tuple[Array, Cache]:
    """Swish with a sigmoid of three linear pieces; (1).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `hard_swish_backward`; refers to x
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> hard_swish_forward(np.array([-4.0, -1.5, 0.0, 1.0, 4.0]))[0].round(4)
    array([-0.    , -0.375 ,  0.    ,  0.6667,  4.    ])
    """
    _check("HardSwish", x)
    y: Array = clip(x, -3.0) * (clip(x + 3, 0.0, 6.0) / 6)  # (N, …)       (1)
    return y, x


def hard_swish_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `hard_swish_forward`, (1): dy (N, …) → dx (N, …)."""
    x = cache
    xp = _check_backward("HardSwish", dy, x)
    bent = xp.astype((x > -3) & (x < 3), x.dtype) * (clip(x, -3.0, 3.0) / 3 + 0.5)
    dx: Array = dy * (bent + xp.astype(x >= 3, x.dtype))  # (1)
    return dx


def _check(who: str, x: Array) -> Any:
    check_items(who, x)
    return check_floats(who, x)


def _check_backward(who: str, dy: Array, like: Array) -> Any:
    check_gradient(who, dy, like.shape)
    return check_floats(f"{who} backward", dy, like)
