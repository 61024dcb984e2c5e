"""Losses that compare each output with its own target, and their gradients.

With d = y − t, and D the number of elements for the reduction "mean", 1 for "sum":

    squared     L = Σ d² / D                               dL/dy = 2·d / D                       (1), (2)
    absolute    L = Σ |d| / D                              dL/dy = sign(d) / D                   (3), (4)
    Huber       L = Σ c·(d − c/2) / D                      dL/dy = c / D                         (5), (6)
                with c = d clipped to ±δ: d²/2 within δ of the target, δ·(|d| − δ/2) beyond
    logistic    L = Σ [s·|y| + r·log1p(exp(−|y|))] / D     dL/dy = (1 − t − r·σ(−y)) / D         (7), (8)
                with r = 1 + (p − 1)·t, where p is the weight of the positive targets,
                and s = 1 − t where y > 0, else p·t                                              (9)

(7) is −p·t·log σ(y) − (1 − t)·log σ(−y), since −log σ(±y) is log1p(exp(−|y|)), plus |y| where ±y < 0. This form
neither overflows nor loses digits, as all terms are ≥ 0. A term with s = 0 is 0 even at y = ±∞. And

    σ(−y) = exp(−y) / (1 + exp(−y)) = [exp(−|y|) where y ≥ 0, else 1] / (1 + exp(−|y|))              (10)

(1) has no factor ½, hence the 2 in (2). At the kink of (3) the gradient is sign(0) = 0.

Sources
    P. Huber, Robust estimation of a location parameter, 1964                     → (5)
    C. Bishop, Pattern recognition and machine learning, 2006, section 4.3.2      → (7), (8)
"""

from __future__ import annotations

import math
from typing import Any

from ..backend import array_namespace, dtype_name
from ..errors import DTypeError, ShapeError
from ..options import as_choice, as_number
from ..typing import Array, Cache
from .check import check_array, check_floats
from .clip import clip, sign


def mse_forward(y: Array, target: Array, *, reduction: str = "mean") -> tuple[Array, Cache]:
    """Squared error, (1).

    Parameters
        y : Array of any shape, float
        target : Array of y's shape and dtype
        reduction : "mean" over all elements, or "sum"
    Returns
        loss : Array ()
        cache : for `mse_backward`
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> loss, cache = mse_forward(np.array([1.0, 5.0]), np.array([1.0, 2.0]))
    >>> float(loss), mse_backward(cache)
    (4.5, array([0., 3.]))
    """
    xp, count = check_targets("MSELoss", y, target, reduction)
    d = y - target
    return xp.sum(d * d) / count, (d, count)  # ()                                              (1)


def mse_backward(cache: Cache) -> Array:
    """The gradient of the loss that `mse_forward` returned, (2): dy, of y's shape.

    >>> import numpy as np
    >>> loss, cache = mse_forward(np.array([[3.0]]), np.array([[1.0]]))
    >>> mse_backward(cache).round(4)
    array([[4.]])
    """
    d, count = cache
    dy: Array = d * (2 / count)  # (2)
    return dy


def mae_forward(y: Array, target: Array, *, reduction: str = "mean") -> tuple[Array, Cache]:
    """Absolute error, (3). Parameters, returns and errors as in `mse_forward`.

    >>> import numpy as np
    >>> loss, cache = mae_forward(np.array([1.0, 5.0]), np.array([1.0, 2.0]))
    >>> float(loss), mae_backward(cache)
    (1.5, array([0. , 0.5]))
    """
    xp, count = check_targets("L1Loss", y, target, reduction)
    d = y - target
    return xp.sum(xp.abs(d)) / count, (d, count)  # ()                                          (3)


def mae_backward(cache: Cache) -> Array:
    """The gradient of the loss that `mae_forward` returned, (4): dy, of y's shape; 0 where y = target.

    >>> import numpy as np
    >>> loss, cache = mae_forward(np.array([[3.0]]), np.array([[1.0]]))
    >>> mae_backward(cache).round(4)
    array([[1.]])
    """
    d, count = cache
    dy: Array = sign(d) / count  # (4)
    return dy


def huber_forward(y: Array, target: Array, *, delta: float = 1.0, reduction: str = "mean") -> tuple[Array, Cache]:
    """Squared error near the target, absolute error further away, (5).

    Parameters
        delta : δ > 0, the distance at which the one becomes the other
        others, returns, errors : as in `mse_forward`

    >>> import numpy as np
    >>> loss, cache = huber_forward(np.array([1.5, 5.0]), np.array([1.0, 2.0]), reduction="sum")
    >>> float(loss), huber_backward(cache)
    (2.625, array([0.5, 1. ]))
    """
    delta = as_number("HuberLoss", "delta", delta, "(0, inf)")
    xp, count = check_targets("HuberLoss", y, target, reduction)
    d = y - target
    c = clip(d, -delta, delta)
    return xp.sum(c * (d - c / 2)) / count, (c, count)  # ()                                    (5)


def huber_backward(cache: Cache) -> Array:
    """The gradient of the loss that `huber_forward` returned, (6): dy, of y's shape.

    >>> import numpy as np
    >>> loss, cache = huber_forward(np.array([[3.0]]), np.array([[1.0]]))
    >>> huber_backward(cache).round(4)
    array([[1.]])
    """
    c, count = cache
    dy: Array = c / count  # (6)
    return dy


def bce_with_logits_forward(
    y: Array, target: Array, *, pos_weight: Array | None = None, reduction: str = "mean"
) -> tuple[Array, Cache]:
    """Binary cross-entropy of σ(y), (7): any number of independent yes-or-no questions.

    Parameters
        y : Array (…, K), float: logits, not probabilities
        target : Array of y's shape and dtype, in [0, 1]
        pos_weight : p, Array () or (K,) of y's dtype: the weight of positive targets; None for 1
        reduction : "mean" over all elements, or "sum"
    Returns
        loss : Array ()
        cache : for `bce_with_logits_backward`
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> loss, cache = bce_with_logits_forward(np.array([0.0, 800.0]), np.array([1.0, 1.0]))
    >>> round(float(loss), 4), bce_with_logits_backward(cache)
    (0.3466, array([-0.25,  0.  ]))
    """
    xp, count = check_targets("BCEWithLogitsLoss", y, target, reduction)
    if pos_weight is not None:
        check_floats("BCEWithLogitsLoss", y, pos_weight)
        if tuple(pos_weight.shape) not in ((), tuple(y.shape[-1:])):
            raise ShapeError(
                "BCEWithLogitsLoss", f"pos_weight () or {tuple(y.shape[-1:])}", str(tuple(pos_weight.shape))
            )
    size = xp.abs(y)
    e = xp.exp(-size)
    r = 1 if pos_weight is None else (pos_weight - 1) * target + 1
    s = xp.where(y > 0, 1 - target, target if pos_weight is None else pos_weight * target)  # (9)
    linear = s * xp.where(s == 0, xp.zeros_like(y), size)
    return xp.sum(linear + r * xp.log1p(e)) / count, (y, e, target, pos_weight, count, xp)  # ()            (7)


def bce_with_logits_backward(cache: Cache) -> Array:
    """The gradient of the loss that `bce_with_logits_forward` returned, (8): dy, of y's shape.

    >>> import numpy as np
    >>> loss, cache = bce_with_logits_forward(np.array([[0.5]]), np.array([[1.0]]))
    >>> bce_with_logits_backward(cache).round(4)
    array([[-0.3775]])
    """
    y, e, target, pos_weight, count, xp = cache
    sigmoid = xp.where(y >= 0, e, xp.ones_like(e)) / (1 + e)  # σ(−y)                            (10)
    if pos_weight is not None:
        sigmoid *= (pos_weight - 1) * target + 1
    dy: Array = (1 - target - sigmoid) / count  # (8)
    return dy


def divisor(who: str, reduction: str, count: int) -> int:
    """The divisor of the summed loss: the count for "mean", 1 for "sum"."""
    return count if as_choice(who, "reduction", reduction, ("mean", "sum")) == "mean" else 1


def check_target(who: str, y: Array, target: Array) -> Any:
    """Check that y and its target have the same floating dtype; return their namespace."""
    check_array(who, y)
    check_array(who, target)
    xp = array_namespace(y, target)
    check_floats(who, y)
    if target.dtype != y.dtype:
        name = dtype_name(y)
        remedy = f"xpcnn.asarray(target, dtype='{name}')"
        raise DTypeError(who, f"a target of y's dtype {name}", dtype_name(target), remedy)
    return xp


def check_targets(who: str, y: Array, target: Array, reduction: str) -> tuple[Any, int]:
    """Check that y and target fit together; return their namespace and D."""
    xp = check_target(who, y, target)
    if tuple(y.shape) != tuple(target.shape):
        raise ShapeError(
            who, f"a target {tuple(y.shape)}, as y", str(tuple(target.shape)), "reshape it; nothing is broadcast here"
        )
    if 0 in y.shape:
        raise ShapeError(who, "at least one item along every axis", str(tuple(y.shape)), "skip empty batches")
    return xp, divisor(who, reduction, math.prod(y.shape))
