"""Activations that treat positive and negative numbers differently, and their gradients.

    ReLU          y = max(x, 0)                                  dx = dy · [x > 0]                        (1)
    leaky ReLU    y = x · f,  f = 1 where x > 0, else s          dx = dy · f                              (2)
    PReLU         as (2) with s learned, one for all or one      ds = Σ dy · min(x, 0),                   (3)
                  per channel                                         over all that s multiplies
    ELU           y = max(x, 0) + α (e^min(x,0) − 1)             dx = dy · f,  f = 1 where x > 0,
                                                                      else α eˣ                           (4)
    SELU          y = λ · ELU(x)                                 dx = dy · f,  f = λ where x > 0,
                                                                      else λ α eˣ                         (5)

Each has a corner at x = 0, except ELU with α = 1. The slope there is the left one, as in PyTorch: 0, s, s, α and λα.
y + α equals α eˣ, but loses all its digits where y is near −α.

Sources
    V. Nair and G. Hinton, Rectified linear units improve restricted Boltzmann machines, 2010          → (1)
    A. Maas et al., Rectifier nonlinearities improve neural network acoustic models, 2013              → (2)
    K. He et al., Delving deep into rectifiers, 2015, equations 1 to 3                                 → (3)
    D.-A. Clevert et al., Fast and accurate deep network learning by exponential linear units, 2016    → (4)
    G. Klambauer et al., Self-normalizing neural networks, 2017, equation 2; α and λ in full           → (5)
"""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from ..options import as_number
from ..typing import Array, Cache
from .broadcast import sum_to
from .check import check_array, check_floats, check_gradient, check_items
from .formula import Formula

SELU_ALPHA = 1.6732632423543772848170429916717  # with λ: the fixed point of mean 0 and variance 1
SELU_SCALE = 1.0507009873554804934193349852946


def relu_forward(x: Array) -> tuple[Array, Cache]:
    """Keep positive numbers, set others to 0; (1).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `relu_backward`; refers to y
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> relu_forward(np.array([-1.0, 0.0, 2.0]))[0]
    array([0., 0., 2.])
    """
    xp = check_items("ReLU", x)
    y = xp.maximum(x, _zero(x, xp))  # (N, …)                              (1)
    return y, y


def relu_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `relu_forward`, (1): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = relu_forward(np.array([[-1.0, 2.0]]))
    >>> relu_backward(np.ones_like(y), cache).round(4)
    array([[0., 1.]])
    """
    y = cache
    xp = check_gradient("ReLU", dy, y.shape, y)
    return dy * _positive(y, dy, xp)  # y > 0 where x > 0                  (1)


RELU = Formula("rectifier", 1, "max({x}, 0)", ("1, as {x} > 0", "0, as {x} ≤ 0"))


def leaky_relu_forward(x: Array, *, negative_slope: float = 0.01) -> tuple[Array, Cache]:
    """Keep positive numbers, multiply others by `negative_slope`; (2).

    Parameters
        x : Array (N, …), float
        negative_slope : s
    Returns
        y : Array (N, …)
        cache : for `leaky_relu_backward`; holds a boolean array and s
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> leaky_relu_forward(np.array([-1.0, 0.0, 2.0]), negative_slope=0.1)[0]
    array([-0.1,  0. ,  2. ])
    """
    slope = as_number("LeakyReLU", "negative_slope", negative_slope)
    xp = check_items("LeakyReLU", x)
    positive = x > 0  # (N, …), boolean: an eighth of the memory of a float64 x
    return x * _factor(positive, slope, x, xp), (positive, slope)  # (2)


def leaky_relu_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `leaky_relu_forward`, (2): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = leaky_relu_forward(np.array([[-1.0, 2.0]]))
    >>> leaky_relu_backward(np.ones_like(y), cache).round(4)
    array([[0.01, 1.  ]])
    """
    positive, slope = cache
    xp = check_gradient("LeakyReLU", dy, positive.shape)
    return dy * _factor(positive, slope, dy, xp)  # (2)


LEAKY_RELU = Formula(
    "rectifier",
    2,
    ("{x}, as it is > 0", "{negative_slope}·{x}"),
    ("1, as {x} > 0", "{negative_slope}, as {x} ≤ 0"),
)


def prelu_forward(x: Array, slope: Array) -> tuple[Array, Cache]:
    """Keep positive numbers, multiply others by a learned slope; (2).

    Parameters
        x : Array (N, …) or (N, …, C), float
        slope : Array (1,), or (C,) with one number per channel; of x's dtype
    Returns
        y : Array, of x's shape
        cache : for `prelu_backward`; refers to x and slope
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> prelu_forward(np.array([[-1.0, -1.0], [2.0, 2.0]]), np.array([0.25, 0.5]))[0]
    array([[-0.25, -0.5 ],
           [ 2.  ,  2.  ]])
    """
    check_items("PReLU", x)
    check_array("PReLU", slope)
    channels = x.shape[-1] if x.ndim > 1 else 1
    if tuple(slope.shape) not in ((1,), (channels,)):
        raise ShapeError(
            "PReLU",
            f"a slope (1,) or ({channels},) for input {tuple(x.shape)}",
            str(tuple(slope.shape)),
            "pass num_parameters=1 or the number of channels",
        )
    xp = check_floats("PReLU", x, slope)
    return x * _factor(x > 0, slope, x, xp), (x, slope)  # (2)


def prelu_backward(dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, Array]:
    """The gradients of `prelu_forward`, (2) and (3).

    Parameters
        dy : Array (N, …) or (N, …, C)
        input_grad : False leaves dx out
    Returns
        dx : Array of dy's shape, or None
        dslope : Array (1,) or (C,)

    >>> import numpy as np
    >>> y, cache = prelu_forward(np.array([[-1.0, 2.0]]), np.array([0.1, 0.1]))
    >>> dx, dalpha = prelu_backward(np.ones_like(y), cache)
    >>> dx.round(4)
    array([[0.1, 1. ]])
    >>> dalpha.round(4)
    array([-1.,  0.])
    """
    x, slope = cache
    xp = check_gradient("PReLU", dy, x.shape, x)
    dslope = sum_to(dy * xp.minimum(x, _zero(x, xp)), tuple(slope.shape))  # (1,) or (C,)                  (3)
    dx = dy * _factor(x > 0, slope, dy, xp) if input_grad else None  # (N, …)                              (2)
    return dx, dslope


def elu_forward(x: Array, *, alpha: float = 1.0) -> tuple[Array, Cache]:
    """Keep positive numbers; others approach −α exponentially; (4).

    Parameters
        x : Array (N, …), float
        alpha : α ≥ 0
    Returns
        y : Array (N, …)
        cache : for `elu_backward`; refers to x
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> elu_forward(np.array([-100.0, 0.0, 2.0]))[0]
    array([-1.,  0.,  2.])
    """
    return _exponential_forward("ELU", x, as_number("ELU", "alpha", alpha, "[0, inf)"), 1.0)


def elu_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `elu_forward`, (4): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = elu_forward(np.array([[-1.0, 2.0]]))
    >>> elu_backward(np.ones_like(y), cache).round(4)
    array([[0.3679, 1.    ]])
    """
    return _exponential_backward("ELU", dy, cache)


ELU = Formula("rectifier", 4, ("{x}", "{alpha}·(exp({x}) − 1)"), ("1, as {x} > 0", "{alpha}·exp({x})"))


def selu_forward(x: Array) -> tuple[Array, Cache]:
    """ELU with the two constants that preserve mean 0 and variance 1; (5).

    Parameters
        x : Array (N, …), float
    Returns
        y : Array (N, …)
        cache : for `selu_backward`; refers to x
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> selu_forward(np.array([-100.0, 0.0, 1.0]))[0].round(4)
    array([-1.7581,  0.    ,  1.0507])
    """
    return _exponential_forward("SELU", x, SELU_ALPHA, SELU_SCALE)


def selu_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `selu_forward`, (5): dy (N, …) → dx (N, …).

    >>> import numpy as np
    >>> y, cache = selu_forward(np.array([[-1.0, 2.0]]))
    >>> selu_backward(np.ones_like(y), cache).round(4)
    array([[0.6468, 1.0507]])
    """
    return _exponential_backward("SELU", dy, cache)


SELU = Formula(
    "rectifier",
    5,
    ("{λ}·{x}", "{λα}·(exp({x}) − 1)"),
    ("{λ}, as {x} > 0", "{λα}·exp({x})"),
    {"λ": SELU_SCALE, "λα": SELU_SCALE * SELU_ALPHA},
)


def _exponential_forward(who: str, x: Array, alpha: float, scale: float) -> tuple[Array, Cache]:
    xp = check_items(who, x)
    zero = _zero(x, xp)
    y = scale * xp.maximum(x, zero) + scale * alpha * xp.expm1(xp.minimum(x, zero))  # (N, …)              (4, 5)
    return y, (x, alpha, scale)


def _exponential_backward(who: str, dy: Array, cache: Cache) -> Array:
    x, alpha, scale = cache
    xp = check_gradient(who, dy, x.shape, x)
    positive = _positive(x, dy, xp)
    negative = scale * alpha * xp.exp(xp.minimum(x, _zero(x, xp)))
    dx: Array = dy * (scale * positive + (1 - positive) * negative)  # (4, 5)
    return dx


def _factor(positive: Array, slope: Array | float, like: Array, xp: Any) -> Array:
    """f of (2): exactly 1 where `positive`, exactly the slope elsewhere; in the dtype of `like`."""
    one = xp.astype(positive, like.dtype)  # sums of products: NumPy's `where` takes ten times as long
    factor: Array = one + slope * (1 - one)
    return factor


def _positive(y: Array, like: Array, xp: Any) -> Array:
    positive: Array = xp.astype(y > 0, like.dtype)
    return positive


def _zero(x: Array, xp: Any) -> Array:
    zero: Array = xp.zeros((), dtype=x.dtype, device=x.device)
    return zero
