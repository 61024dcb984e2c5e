"""Losses that compare each output with its own target, and their gradients.

With d = y − t, the weight v of each element's item (default 1), and D = Σ v over the elements for the reduction "mean"
(their number without weights), 1 for "sum":

    squared     L = Σ v·d² / D                              dL/dy = 2·v·d / D                    (1), (2)
    absolute    L = Σ v·|d| / D                             dL/dy = v·sign(d) / D                (3), (4)
    Huber       L = Σ v·c·(d − c/2) / D                     dL/dy = v·c / D                      (5), (6)
                with c = d clipped to ±δ: d²/2 within δ of the target, δ·(|d| − δ/2) beyond
    logistic    L = Σ v·[s·|y| + r·log1p(exp(−|y|))] / D    dL/dy = v·(1 − t − r·σ(−y)) / D      (7), (8)
                with r = 1 + (p − 1)·t, where p is the weight of the positive targets,
                and s = 1 − t where y > 0, else p·t                                              (9)

(7) is −p·t·log σ(y) − (1 − t)·log σ(−y), since −log σ(±y) is log1p(exp(−|y|)), plus |y| where ±y < 0. This form
neither overflows nor loses digits, as all terms are ≥ 0. A term with s = 0 is 0 even at y = ±∞. And

    σ(−y) = exp(−y) / (1 + exp(−y)) = [exp(−|y|) where y ≥ 0, else 1] / (1 + exp(−|y|))              (10)

(1) has no factor ½, hence the 2 in (2). At the kink of (3) the gradient is sign(0) = 0. An item of weight 2
counts as two equal ones: (1) of `xpcnn.ops.item_weight`.

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
from .item_weight import item_weights, weighed


def mse_forward(
    y: Array, target: Array, *, item_weight: Array | None = None, reduction: str = "mean"
) -> tuple[Array, Cache]:
    """Squared error, (1).

    Parameters
        y : Array of any shape, float
        target : Array of y's shape and dtype
        item_weight : v ≥ 0, Array (N,), the weight of each item; or None
        reduction : "mean" over all elements, weighted as they are, or "sum"
    Returns
        loss : Array ()
        cache : for `mse_backward`
    Raises
        ShapeError, DTypeError, OptionError
        DataError : a weight is negative or not finite (NumPy weights; on a device the loss is NaN)

    >>> import numpy as np
    >>> loss, cache = mse_forward(np.array([1.0, 5.0]), np.array([1.0, 2.0]))
    >>> float(loss), mse_backward(cache)
    (4.5, array([0., 3.]))
    """
    xp, v, count = check_targets("MSELoss", y, target, item_weight, reduction)
    d = y - target
    vd = weighed(d, v)
    return xp.sum(vd * d) / count, (vd, count)  # ()                                            (1)


def mse_backward(cache: Cache) -> Array:
    """The gradient of the loss that `mse_forward` returned, (2): dy, of y's shape.

    >>> import numpy as np
    >>> loss, cache = mse_forward(np.array([[3.0]]), np.array([[1.0]]))
    >>> mse_backward(cache).round(4)
    array([[4.]])
    """
    vd, count = cache
    dy: Array = vd * (2 / count)  # (2)
    return dy


def mae_forward(
    y: Array, target: Array, *, item_weight: Array | None = None, reduction: str = "mean"
) -> tuple[Array, Cache]:
    """Absolute error, (3). Parameters, returns and errors as in `mse_forward`.

    >>> import numpy as np
    >>> loss, cache = mae_forward(np.array([1.0, 5.0]), np.array([1.0, 2.0]))
    >>> float(loss), mae_backward(cache)
    (1.5, array([0. , 0.5]))
    """
    xp, v, count = check_targets("L1Loss", y, target, item_weight, reduction)
    d = y - target
    return xp.sum(weighed(xp.abs(d), v)) / count, (d, v, count)  # ()                           (3)


def mae_backward(cache: Cache) -> Array:
    """The gradient of the loss that `mae_forward` returned, (4): dy, of y's shape; 0 where y = target.

    >>> import numpy as np
    >>> loss, cache = mae_forward(np.array([[3.0]]), np.array([[1.0]]))
    >>> mae_backward(cache).round(4)
    array([[1.]])
    """
    d, v, count = cache
    dy: Array = weighed(sign(d), v) / count  # (4)
    return dy


def huber_forward(
    y: Array, target: Array, *, delta: float = 1.0, item_weight: Array | None = None, reduction: str = "mean"
) -> tuple[Array, Cache]:
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
    xp, v, count = check_targets("HuberLoss", y, target, item_weight, reduction)
    d = y - target
    c = clip(d, -delta, delta)
    vc = weighed(c, v)
    return xp.sum(vc * (d - c / 2)) / count, (vc, count)  # ()                                  (5)


def huber_backward(cache: Cache) -> Array:
    """The gradient of the loss that `huber_forward` returned, (6): dy, of y's shape.

    >>> import numpy as np
    >>> loss, cache = huber_forward(np.array([[3.0]]), np.array([[1.0]]))
    >>> huber_backward(cache).round(4)
    array([[1.]])
    """
    vc, count = cache
    dy: Array = vc / count  # (6)
    return dy


def bce_with_logits_forward(
    y: Array,
    target: Array,
    *,
    pos_weight: Array | None = None,
    item_weight: Array | None = None,
    reduction: str = "mean",
) -> tuple[Array, Cache]:
    """Binary cross-entropy of σ(y), (7): any number of independent yes-or-no questions.

    Parameters
        y : Array (…, K), float: logits, not probabilities
        target : Array of y's shape and dtype, in [0, 1]
        pos_weight : p, Array () or (K,) of y's dtype: the weight of positive targets; None for 1
        item_weight, reduction, errors : as in `mse_forward`
    Returns
        loss : Array ()
        cache : for `bce_with_logits_backward`

    >>> import numpy as np
    >>> loss, cache = bce_with_logits_forward(np.array([0.0, 800.0]), np.array([1.0, 1.0]))
    >>> round(float(loss), 4), bce_with_logits_backward(cache)
    (0.3466, array([-0.25,  0.  ]))
    """
    xp, v, count = check_targets("BCEWithLogitsLoss", y, target, item_weight, reduction)
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
    loss = xp.sum(weighed(linear + r * xp.log1p(e), v)) / count  # ()                            (7)
    return loss, (y, e, target, pos_weight, v, count, xp)


def bce_with_logits_backward(cache: Cache) -> Array:
    """The gradient of the loss that `bce_with_logits_forward` returned, (8): dy, of y's shape.

    >>> import numpy as np
    >>> loss, cache = bce_with_logits_forward(np.array([[0.5]]), np.array([[1.0]]))
    >>> bce_with_logits_backward(cache).round(4)
    array([[-0.3775]])
    """
    y, e, target, pos_weight, v, count, xp = cache
    sigmoid = xp.where(y >= 0, e, xp.ones_like(e)) / (1 + e)  # σ(−y)                            (10)
    if pos_weight is not None:
        sigmoid *= (pos_weight - 1) * target + 1
    dy: Array = weighed(1 - target - sigmoid, v) / count  # (8)
    return dy


def divisor(who: str, reduction: str, count: int, v: Array | None = None) -> Any:
    """D, the divisor of the summed loss: for "mean" the count, with the items' weights v, if any; 1 for "sum"."""
    if as_choice(who, "reduction", reduction, ("mean", "sum")) == "sum":
        return 1
    return count if v is None else array_namespace(v).sum(v) * (count // v.shape[0])


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


def check_targets(
    who: str, y: Array, target: Array, item_weight: Array | None, reduction: str
) -> tuple[Any, Array | None, Any]:
    """Check that y, target and weights fit together; return their namespace, v (N, 1, …, 1) or None, and D."""
    xp = check_target(who, y, target)
    if tuple(y.shape) != tuple(target.shape):
        raise ShapeError(
            who, f"a target {tuple(y.shape)}, as y", str(tuple(target.shape)), "reshape it; nothing is broadcast here"
        )
    if 0 in y.shape:
        raise ShapeError(who, "at least one item along every axis", str(tuple(y.shape)), "skip empty batches")
    v = item_weights(who, y, item_weight)
    return xp, v, divisor(who, reduction, math.prod(y.shape), v)
