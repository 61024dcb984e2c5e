"""The Gaussian error linear unit, and its gradient.

    y = x Φ(x)                                        dx = dy · (Φ(x) + x φ(x))                     (1)

Φ and φ are the normal distribution function and its density, of `xpcnn.ops.normal_distribution`; the approximation by
tanh is in `xpcnn.ops.activation`. x is held within ±40 where it multiplies φ, and above −40 where it multiplies Φ, both
of which are 0 there: so the limits at ±∞ come out, and not ∞·0.

Source
    D. Hendrycks and K. Gimpel, Gaussian error linear units, 2016, section 2           → (1)
"""

from __future__ import annotations

import math

from ..backend import dtype_name
from ..errors import DTypeError
from ..typing import Array, Cache
from .check import check_gradient, check_items
from .clip import clip
from .formula import Formula
from .normal_distribution import normal_distribution

_FAR = 40.0


def gelu_forward(x: Array) -> tuple[Array, Cache]:
    """x times the probability that a normally distributed number is below it; (1).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `gelu_backward`; holds the slope
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> gelu_forward(np.array([-1.0, 0.0, 1.0]))[0].round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    xp = check_items("GELU", x)
    if dtype_name(x).startswith("complex"):
        raise DTypeError("GELU", "real numbers", dtype_name(x), "GELU('tanh') takes complex ones")
    below, density = normal_distribution(x, xp)  # (N, …)
    return clip(x, -_FAR) * below, below + clip(x, -_FAR, _FAR) * density  # (1)


GELU = Formula(
    "gelu",
    1,
    "½·{x}·(1 + erf({x} / √(2)))",
    "½·(1 + erf({x} / √(2))) + {x}·exp(−½·{x}·{x}) / √({tau})",
    {"tau": 2 * math.pi},
)


def gelu_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `gelu_forward`, (1): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = gelu_forward(np.array([[-1.0, 2.0]]))
    >>> gelu_backward(np.ones_like(y), cache).round(4)
    array([[-0.0833,  1.0852]])
    """
    check_gradient("GELU", dy, cache.shape, cache)
    dx: Array = dy * cache  # (1)
    return dx
