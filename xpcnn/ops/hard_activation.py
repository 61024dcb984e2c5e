"""Piecewise activations that replace smooth ones, and their gradients.

    clip           y = min(max(x, a), b)                        dx = dy · [a ≤ x ≤ b]                         (1)
    ReLU6          y = min(max(x, 0), 6)                        dx = dy · [0 < x < 6]                         (2)
    hard sigmoid   y = min(max(α x + β, 0), 1)                  dx = dy · α [0 < α x + β < 1]                 (3)
    hard swish     y = x · r / 6,  r = min(max(x + 3, 0), 6)    dx = dy · f,  f = 0 where x ≤ −3,
                                                                     1 where x ≥ 3, else x / 3 + ½            (4)

Each has corners. The slopes there are PyTorch's: its `clamp` passes the gradient at both ends, its `relu6` does not.
With α = 1/6 and β = ½, (4) is x times (3). In (4), x is clipped to −3 before it is multiplied by 0.

Sources
    A. Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010                → (2)
    M. Courbariaux et al., BinaryConnect, 2015, equation 3 (with α = ½)                → (3)
    A. Howard et al., Searching for MobileNetV3, 2019, section 5.2                     → (3), (4)
"""

from __future__ import annotations

import math

from ..typing import Array, Cache
from .check import check_gradient, check_items
from .clip import clip
from .formula import Formula


def clip_forward(x: Array, *, low: float = -math.inf, high: float = math.inf) -> tuple[Array, Cache]:
    """Numbers held between two bounds; (1).

    Parameters
        x : Array (N, …), float
        low, high : a and b, a ≤ b
    Returns
        y : Array (N, …)
        cache : for `clip_backward`; refers to x
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> y, cache = clip_forward(np.array([-3.0, 0.5, 3.0]), low=-1.0, high=1.0)
    >>> y, clip_backward(np.ones(3), cache)
    (array([-1. ,  0.5,  1. ]), array([0., 1., 0.]))
    """
    check_items("Clip", x)
    return clip(x, low, high), (x, low, high)  # (N, …)                    (1)


def clip_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `clip_forward`, (1): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = clip_forward(np.array([[-1.0, 2.0]]), low=0.0)
    >>> clip_backward(np.ones_like(y), cache).round(4)
    array([[0., 1.]])
    """
    x, low, high = cache
    xp = check_gradient("Clip", dy, x.shape, x)
    dx: Array = dy * xp.astype((x >= low) & (x <= high), x.dtype)  # (1)
    return dx


CLIP = Formula("hard_activation", 1, "min(max({x}, {low}), {high})", "1·({low} ≤ {x} ≤ {high})")


def relu6_forward(x: Array) -> tuple[Array, Cache]:
    """Numbers held between 0 and 6; (2).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `relu6_backward`; refers to y
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> relu6_forward(np.array([-1.0, 2.0, 7.0]))[0]
    array([0., 2., 6.])
    """
    check_items("ReLU6", x)
    y = clip(x, 0.0, 6.0)  # (N, …)                                        (2)
    return y, y


def relu6_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `relu6_forward`, (2): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = relu6_forward(np.array([[-1.0, 2.0]]))
    >>> relu6_backward(np.ones_like(y), cache).round(4)
    array([[0., 1.]])
    """
    y = cache
    xp = check_gradient("ReLU6", dy, y.shape, y)
    dx: Array = dy * xp.astype((y > 0) & (y < 6), y.dtype)  # (2)
    return dx


RELU6 = Formula("hard_activation", 2, "min(max({x}, 0), 6)", "1·(0 < {x} < 6)")


def hard_sigmoid_forward(x: Array, *, alpha: float = 1 / 6, beta: float = 0.5) -> tuple[Array, Cache]:
    """A sigmoid of three straight pieces; (3).

    Parameters
        x : Array (N, …), float
        alpha, beta : α and β
    Returns
        y : Array (N, …)
        cache : for `hard_sigmoid_backward`; refers to y
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> hard_sigmoid_forward(np.array([-4.0, 0.0, 1.5, 4.0]))[0]
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    check_items("HardSigmoid", x)
    y = clip(alpha * x + beta, 0.0, 1.0)  # (N, …)                         (3)
    return y, (y, alpha)


def hard_sigmoid_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `hard_sigmoid_forward`, (3): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = hard_sigmoid_forward(np.array([[-1.0, 2.0]]))
    >>> hard_sigmoid_backward(np.ones_like(y), cache).round(4)
    array([[0.1667, 0.1667]])
    """
    y, alpha = cache
    xp = check_gradient("HardSigmoid", dy, y.shape, y)
    dx: Array = dy * (alpha * xp.astype((y > 0) & (y < 1), y.dtype))  # (3)
    return dx


HARD_SIGMOID = Formula(
    "hard_activation", 3, "min(max({alpha}·{x} + {beta}, 0), 1)", "{alpha}·(0 < {alpha}·{x} + {beta} < 1)"
)


def hard_swish_forward(x: Array) -> tuple[Array, Cache]:
    """Swish with a sigmoid of three linear pieces; (4).

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
    check_items("HardSwish", x)
    y: Array = clip(x, -3.0) * (clip(x + 3, 0.0, 6.0) / 6)  # (N, …)       (4)
    return y, x


def hard_swish_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `hard_swish_forward`, (4): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = hard_swish_forward(np.array([[-1.0, 2.0]]))
    >>> hard_swish_backward(np.ones_like(y), cache).round(4)
    array([[0.1667, 1.1667]])
    """
    x = cache
    xp = check_gradient("HardSwish", dy, x.shape, x)
    bent = xp.astype((x > -3) & (x < 3), x.dtype) * (clip(x, -3.0, 3.0) / 3 + 0.5)
    dx: Array = dy * (bent + xp.astype(x >= 3, x.dtype))  # (4)
    return dx


HARD_SWISH = Formula(
    "hard_activation", 4, "{x}·min(max({x} + 3, 0), 6) / 6", "(−3 < {x} < 3)·({x} / 3 + ½) + ({x} ≥ 3)"
)
