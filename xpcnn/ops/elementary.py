"""Magnitude, exponential, logarithm and powers, number by number, and their gradients.

    magnitude       y = |x|             dx = dy · sign x                                    (1)
    exponential     y = eˣ              dx = dy · y                                         (2)
    logarithm       y = log x           dx = dy / x                                         (3)
    power           y = xᵖ              dx = dy · p xᵖ⁻¹                                    (4)

The slope of (1) at 0 is 0, as in PyTorch. With p = ½, (4) is the square root, with p = −1 the reciprocal. Where a
function has no value or slope, it is NaN or infinite, as in PyTorch.

Source: A. Griewank and A. Walther, Evaluating derivatives, 2008, table 2.3
"""

from __future__ import annotations

import numpy as np

from ..typing import Array, Cache
from .check import check_gradient, check_items
from .clip import sign


def abs_forward(x: Array) -> tuple[Array, Cache]:
    """The magnitude; (1).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `abs_backward`; refers to x
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> abs_forward(np.array([-2.0, 0.0, 3.0]))[0]
    array([2., 0., 3.])
    """
    xp = check_items("Abs", x)
    return xp.abs(x), x  # (1)


def abs_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `abs_forward`, (1): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = abs_forward(np.array([[-1.0, 2.0]]))
    >>> abs_backward(np.ones_like(y), cache).round(4)
    array([[-1.,  1.]])
    """
    x = cache
    check_gradient("Abs", dy, x.shape, x)
    dx: Array = dy * sign(x)  # (1)
    return dx


def exp_forward(x: Array) -> tuple[Array, Cache]:
    """The exponential function; (2).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `exp_backward`; refers to y
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> exp_forward(np.array([0.0, 1.0]))[0].round(4)
    array([1.    , 2.7183])
    """
    xp = check_items("Exp", x)
    y = xp.exp(x)  # (N, …)                                                     (2)
    return y, y


def exp_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `exp_forward`, (2): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = exp_forward(np.array([[-1.0, 2.0]]))
    >>> exp_backward(np.ones_like(y), cache).round(4)
    array([[0.3679, 7.3891]])
    """
    y = cache
    check_gradient("Exp", dy, y.shape, y)
    dx: Array = dy * y  # (2)
    return dx


def log_forward(x: Array) -> tuple[Array, Cache]:
    """The natural logarithm; (3).

    Parameters
        x : Array (N, …), float, numbers > 0
    Returns
        y : Array (N, …)
        cache : for `log_backward`; refers to x
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> log_forward(np.array([1.0, np.e]))[0]
    array([0., 1.])
    """
    xp = check_items("Log", x)
    with np.errstate(divide="ignore", invalid="ignore"):
        return xp.log(x), x  # (3)


def log_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `log_forward`, (3): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = log_forward(np.array([[1.0, 2.0]]))
    >>> log_backward(np.ones_like(y), cache).round(4)
    array([[1. , 0.5]])
    """
    x = cache
    check_gradient("Log", dy, x.shape, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        dx: Array = dy / x  # (3)
    return dx


def power_forward(x: Array, *, exponent: float) -> tuple[Array, Cache]:
    """A power with the same exponent for all numbers; (4).

    Parameters
        x : Array (N, …), float
        exponent : p
    Returns
        y : Array (N, …)
        cache : for `power_backward`; refers to x
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> power_forward(np.array([4.0, 9.0]), exponent=0.5)[0]
    array([2., 3.])
    """
    check_items("Power", x)
    with np.errstate(divide="ignore", invalid="ignore"):
        return x**exponent, (x, exponent)  # (4)


def power_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `power_forward`, (4): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = power_forward(np.array([[1.0, 2.0]]), exponent=3.0)
    >>> power_backward(np.ones_like(y), cache).round(4)
    array([[ 3., 12.]])
    """
    x, exponent = cache
    check_gradient("Power", dy, x.shape, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        dx: Array = dy * (exponent * x ** (exponent - 1))  # (4)
    return dx
