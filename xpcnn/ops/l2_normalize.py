"""Vectors of length 1, and the gradient: each place's channels divided by their Euclidean norm.

    d = max(‖x‖, ε),   ‖x‖ = m √(Σ_c (x_c/m)²),   m = max_c |x_c|            (1)
    y_c = x_c / d                                                           (2)
    dx_c = (dy_c − y_c · Σ_e dy_e y_e) / d   where ‖x‖ > ε, else dy_c / ε    (3)

By m, neither the squares of large numbers overflow, nor do those of small ones vanish. (3) is dy without its part along
y: a vector that grows in its own direction has the same y.

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
    largest = xp.max(xp.abs(x), axis=-1, keepdims=True)  # (N, …, 1)
    largest = largest + xp.astype(largest == 0, largest.dtype)
    scaled = x / largest
    norm = largest * xp.sqrt(xp.sum(scaled * scaled, axis=-1, keepdims=True))  # (1)
    longer = xp.astype(norm > eps, x.dtype)
    d = xp.maximum(norm, xp.full((), eps, dtype=x.dtype, device=x.device))  # (N, …, 1)                    (1)
    y = x / d  # (N, …, C)                                                  (2)
    return y, (y, d, longer)


def l2_normalize_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `l2_normalize_forward`, (3): dy (N, …, C) → dx (N, …, C)."""
    y, d, longer = cache
    xp = check_gradient("L2Normalize", dy, y.shape, y)
    dx: Array = (dy - y * (longer * xp.sum(dy * y, axis=-1, keepdims=True))) / d  # (3)
    return dx
