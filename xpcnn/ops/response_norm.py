"""Local response normalisation, across neighbouring channels, and its gradient.

    s_c = k + α/n · Σ_d x_d²,   d from c − ⌊n/2⌋ to c + ⌊(n − 1)/2⌋, where there is such a channel      (1)
    y_c = x_c · s_c^−β                                                                                 (2)
    dx_c = dy_c · s_c^−β − 2αβ/n · x_c · Σ_d dy_d x_d s_d^(−β−1),                                      (3)
           d from c − ⌊(n − 1)/2⌋ to c + ⌊n/2⌋: the channels that c is a neighbour of

As in PyTorch and ONNX, α is divided by n; the paper's is not. Where s overflows, y is NaN. In (3), y_d / s_d takes the
place of x_d s_d^(−β−1), which vanishes earlier.

Source
    A. Krizhevsky, I. Sutskever and G. Hinton, ImageNet classification, 2012, section 3.3    → (1), (2)
"""

from __future__ import annotations

from ..options import as_count, as_number
from ..typing import Array, Cache
from . import dispatch
from .check import check_batch, check_floats, check_gradient


def local_response_norm_forward(
    x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> tuple[Array, Cache]:
    """Each channel divided by what its neighbours come to; (1), (2).

    Parameters
        x : Array (N, H, W, C), float
        size : n, how many neighbours
        alpha, beta, k : α ≥ 0, β ≥ 0 and k > 0
    Returns
        y : Array (N, H, W, C)
        cache : for `local_response_norm_backward`; refers to x, holds s
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> local_response_norm_forward(np.ones((1, 1, 1, 3)), size=3, alpha=3.0, beta=1.0)[0].ravel().round(3)
    array([0.333, 0.25 , 0.333])
    """
    who = "LocalResponseNorm"
    size = as_count(who, "size", size)
    alpha, beta = as_number(who, "alpha", alpha, "[0, inf)"), as_number(who, "beta", beta, "[0, inf)")
    check_batch(who, x, "H", "W", "C")
    check_floats(who, x)
    s = as_number(who, "k", k, "(0, inf)") + alpha / size * _neighbours(x * x, size // 2, (size - 1) // 2)  # (1)
    factor = s**-beta + 0 * s  # 0·∞ is NaN
    return x * factor, (x, s, factor, size, alpha, beta)  # (N, H, W, C)                               (2)


def local_response_norm_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `local_response_norm_forward`, (3): dy (N, H, W, C) → dx (N, H, W, C).

    >>> import numpy as np
    >>> y, cache = local_response_norm_forward(np.arange(4.0).reshape(1, 2, 2, 1), size=1)
    >>> local_response_norm_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[1.    , 0.9998],
           [0.9991, 0.998 ]])
    """
    x, s, factor, size, alpha, beta = cache
    check_gradient("LocalResponseNorm", dy, x.shape, x)
    near = _neighbours(dy * (x * factor / s), (size - 1) // 2, size // 2)
    dx: Array = dy * factor - 2 * alpha * beta / size * x * near  # (3)
    return dx


def _neighbours(x: Array, before: int, after: int) -> Array:
    """The sum over each channel, those `before` it and those `after` it."""
    channels = x.shape[-1]
    before, after = min(before, channels - 1), min(after, channels - 1)
    padded = dispatch.forward("zero_pad", x, [(0, 0), (0, 0), (before, after)])[0]  # (N, H, W, before + C + after)
    total: Array = padded[..., :channels]
    for start in range(1, before + after + 1):
        total = total + padded[..., start : start + channels]
    return total
