"""Vectors of length 1, and the gradient: each place's channels divided by their Euclidean norm.

    ‖x‖ = m r,   m = max_c |x_c|,   r = √(Σ_c (x_c/m)²)                       (1)
    y_c = x_c / m / r   where ‖x‖ > ε, else x_c / ε                           (2)
    dx_c = (dy_c − y_c · Σ_e dy_e y_e) / m / r   where ‖x‖ > ε, else dy_c / ε  (3)

By m, neither the squares of large numbers overflow, nor do those of small ones vanish; ‖x‖ itself may overflow. (3) is
dy without its part along y: a vector that grows in its own direction has the same y.

Source: W. Liu, A. Rabinovich and A. Berg, ParseNet: looking wider to see better, 2015, section 3.3
"""

from __future__ import annotations

from ..options import as_number
from ..typing import Array, Cache
from .check import check_gradient, check_items


def l2_normalize_forward(x: Array, *, eps: float = 1e-12) -> tuple[Array, Cache]:
    """Each place's channels divided by their norm; (1), (2).

    Parameters
        x : Array (N, …, C), float
        eps : ε > 0
    Returns
        y : Array (N, …, C)
        cache : for `l2_normalize_backward`; refers to y
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> l2_normalize_forward(np.array([[3.0, 4.0], [0.0, 0.0]]))[0]
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    eps = as_number("L2Normalize", "eps", eps, "(0, inf)")
    xp = check_items("L2Normalize", x)
    m = xp.max(xp.abs(x), axis=-1, keepdims=True)  # (N, …, 1)
    zeros = xp.astype(m == 0, x.dtype)
    scaled = x / (m + zeros)
    r = xp.sqrt(xp.sum(scaled * scaled, axis=-1, keepdims=True)) + zeros  # (N, …, 1), 1 or more           (1)
    short = m <= eps / r  # False where there is a NaN
    m = xp.where(short, xp.full((), eps, dtype=x.dtype, device=x.device), m)
    r = xp.where(short, xp.ones((), dtype=x.dtype, device=x.device), r)
    y = x / m / r  # (N, …, C)                                              (2)
    return y, (y, m, r, xp.astype(~short, x.dtype))


def l2_normalize_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `l2_normalize_forward`, (3): dy (N, …, C) → dx (N, …, C).

    >>> import numpy as np
    >>> y, cache = l2_normalize_forward(np.array([[3.0, 4.0]]))
    >>> l2_normalize_backward(np.ones_like(y), cache).round(4)
    array([[ 0.032, -0.024]])
    """
    y, m, r, longer = cache
    xp = check_gradient("L2Normalize", dy, y.shape, y)
    dx: Array = (dy - y * (longer * xp.sum(dy * y, axis=-1, keepdims=True))) / m / r  # (3)
    return dx
