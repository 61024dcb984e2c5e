"""Losses of classification, and their gradients.

A row of outputs y[n,0…K−1] is compared with its class c_n, written as q[n,k] = 1 for k = c_n, else 0. For images,
n counts the pixels of all of them. With class weights w and weights v of the items (default 1), and D = Σ_n v[n]·w[c_n]
for the reduction "mean" (N without weights), 1 for "sum":

    softmax      log p[n,k] = z[n,k] − log Σ_j exp z[n,j],       z[n,k] = y[n,k] − max_j y[n,j]               (1)
    entropy      L = −Σ a[n,k]·log p[n,k] / D,                   a[n,k] = v[n]·w[k]·((1 − ε)·q[n,k] + ε/K)    (2), (3)
                 dL/dy[n,k] = (p[n,k]·Σ_j a[n,j] − a[n,k]) / D                                                (4)
    likelihood   L = −Σ v[n]·w[k]·q[n,k]·y[n,k] / D,             y log-probabilities                          (5)
                 dL/dy[n,k] = −v[n]·w[k]·q[n,k] / D                                                           (6)
    hinge        L = Σ_n v[n]·Σ_{k≠c_n} max(0, m[n,k]) / (K·D),  m[n,k] = 1 + y[n,k] − y[n,c_n]               (7)
                 dL/dy[n,k] = h[n,k] − q[n,k]·Σ_j h[n,j],        h[n,k] = v[n]·[k ≠ c_n, m[n,k] > 0] / (K·D)  (8)

The shift in (1) changes nothing in exact arithmetic. It keeps every exponent at or below 0, so that no logit is
too large for exp. Softmax and its loss are one operation because (4) is so simple: for ε = 0 and w = 1 it is
(p − q)/N, as the Jacobian of softmax cancels against the derivative of the logarithm. In (2), (5) and (7), a term with
a factor 0 is 0 even if the other factor is −∞. The hinge's gradient at its kinks m = 0 is 0. A row whose label is
`ignore_index` has a = q = 0, and D does not count it. If that leaves no row, the mean is NaN. An item of weight 2
counts as two equal ones: (1) of `xpcnn.ops.item_weight`.

Sources
    J. Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990       → (1), (4)
    C. Szegedy et al., Rethinking the Inception architecture, 2015, section 7                         → (3)
    J. Weston and C. Watkins, Support vector machines for multi-class pattern recognition, 1999       → (7)
"""

from __future__ import annotations

from typing import Any

from ..errors import OptionError, ShapeError
from ..options import as_number
from ..typing import Array, Cache
from .item_weight import item_weights, weighed
from .loss_elementwise import check_target, divisor
from .one_hot import check_scores, label_count, one_hot, position_weights, positions


def cross_entropy_forward(
    y: Array,
    target: Array,
    *,
    weight: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    item_weight: Array | None = None,
    reduction: str = "mean",
) -> tuple[Array, Cache]:
    """Softmax and the cross-entropy of its probabilities in one operation, (1) to (3).

    Parameters
        y : Array (N, …, K), float: logits, not probabilities
        target : labels 0 … K−1, Array (N, …) of integers; or probabilities, Array (N, …, K) of y's dtype, as q
        weight : w, Array (K,) of y's dtype, the weight of each class; or None
        label_smoothing : ε, 0 ≤ ε < 1
        ignore_index : the label of positions that do not count, such as 255; or None
        item_weight : v ≥ 0, Array (N,), the weight of each item; or None
        reduction : "mean", which divides by D above, for probabilities without class weights; or "sum"
    Returns
        loss : Array ()
        cache : for `cross_entropy_backward`
    Raises
        ShapeError, DTypeError, OptionError
        DataError : a label is no class (NumPy labels; on a device the loss is NaN)

    >>> import numpy as np
    >>> loss, cache = cross_entropy_forward(np.array([[1000.0, 1000.0]]), np.array([0]))
    >>> round(float(loss), 4), cross_entropy_backward(cache)
    (0.6931, array([[-0.5,  0.5]]))
    """
    who = "CrossEntropyLoss"
    smoothing = as_number(who, "label_smoothing", label_smoothing, "[0, 1)")
    xp = check_scores(who, y, target, weight)
    v = item_weights(who, y, item_weight)  # (N, 1, …, 1)
    weights = position_weights(v, weight)
    if target.ndim == y.ndim:
        if tuple(target.shape) != tuple(y.shape):
            labels = f"({y.shape[0]},)" if y.ndim == 2 else str(tuple(y.shape[:-1]))
            expected = f"labels {labels} or probabilities {tuple(y.shape)}"
            raise ShapeError(who, expected, str(tuple(target.shape)), "reshape the target")
        check_target(who, y, target)
        if ignore_index is not None:
            raise OptionError(who, "no ignore_index for probabilities", str(ignore_index), "pass labels")
        q, count = target, divisor(who, reduction, positions(y), v)  # (N, …, K)
    else:
        q = one_hot(who, target, y, ignore_index)  # (N, …, K)
        count = label_count(who, reduction, q, weights, ignore_index)
    a = q  # (N, …, K)
    if smoothing:
        one = 1 if ignore_index is None else xp.sum(q, axis=-1, keepdims=True)  # 0 where the label is ignored
        a = a * (1 - smoothing) + one * (smoothing / y.shape[-1])
    a = weighed(a, weights)  # (3)
    log_p = log_probabilities(y, xp)  # (N, …, K)                                                 (1)
    return (0 - _dot(a, log_p, xp)) / count, (log_p, a, count, xp)  # ()                                (2)


def cross_entropy_backward(cache: Cache) -> Array:
    """The gradient of the loss that `cross_entropy_forward` returned, (4): dy (N, …, K).

    >>> import numpy as np
    >>> loss, cache = cross_entropy_forward(np.array([[1.0, 2.0, 4.0]]), np.array([2]))
    >>> cross_entropy_backward(cache).round(4)
    array([[ 0.042 ,  0.1142, -0.1562]])
    """
    log_p, a, count, xp = cache
    dy: Array = (xp.exp(log_p) * xp.sum(a, axis=-1, keepdims=True) - a) / count  # (N, …, K)      (4)
    return dy


def nll_forward(
    y: Array,
    target: Array,
    *,
    weight: Array | None = None,
    ignore_index: int | None = None,
    item_weight: Array | None = None,
    reduction: str = "mean",
) -> tuple[Array, Cache]:
    """Negative log-likelihood, (5), which is cross-entropy for a network that ends in log-softmax.

    Parameters
        y : Array (N, …, K), float: log-probabilities
        target : labels 0 … K−1, Array (N, …) of integers
        weight, ignore_index, item_weight, reduction : as in `cross_entropy_forward`
    Returns
        loss : Array ()
        cache : for `nll_backward`
    Raises
        ShapeError, DTypeError, OptionError
        DataError : a label is no class (NumPy labels; on a device the loss is NaN)

    >>> import numpy as np
    >>> loss, cache = nll_forward(np.array([[-3.0, -0.05]]), np.array([0]))
    >>> float(loss), nll_backward(cache)
    (3.0, array([[-1., -0.]]))
    """
    xp = check_scores("NLLLoss", y, target, weight)
    q = one_hot("NLLLoss", target, y, ignore_index)  # (N, …, K)
    weights = position_weights(item_weights("NLLLoss", y, item_weight), weight)
    a, count = weighed(q, weights), label_count("NLLLoss", reduction, q, weights, ignore_index)
    return (0 - _dot(a, y, xp)) / count, (a, count)  # ()                                              (5)


def nll_backward(cache: Cache) -> Array:
    """The gradient of the loss that `nll_forward` returned, (6): dy (N, …, K).

    >>> import numpy as np
    >>> loss, cache = nll_forward(np.log(np.array([[0.2, 0.8]])), np.array([1]))
    >>> nll_backward(cache).round(4)
    array([[-0., -1.]])
    """
    a, count = cache
    dy: Array = -a / count  # (6)
    return dy


def hinge_forward(
    y: Array, target: Array, *, item_weight: Array | None = None, reduction: str = "mean"
) -> tuple[Array, Cache]:
    """Multi-class hinge loss, (7): Weston and Watkins' sum over the wrong classes, divided by K.

    Same as PyTorch's MultiMarginLoss with p = 1 and margin 1.

    Parameters
        y : Array (N, …, K), float: scores
        target : labels 0 … K−1, Array (N, …) of integers
        item_weight : as in `cross_entropy_forward`
        reduction : "mean" over N, weighted as they are, or "sum"
    Returns
        loss : Array ()
        cache : for `hinge_backward`
    Raises
        ShapeError, DTypeError, OptionError
        DataError : a label is no class (NumPy labels; on a device the loss is NaN)

    >>> import numpy as np
    >>> loss, cache = hinge_forward(np.array([[2.0, 1.5, 0.0, -1.0]]), np.array([0]))
    >>> float(loss), hinge_backward(cache)
    (0.125, array([[-0.25,  0.25,  0.  ,  0.  ]]))
    """
    xp = check_scores("HingeLoss", y, target)
    v = item_weights("HingeLoss", y, item_weight)
    count = divisor("HingeLoss", reduction, positions(y), v) * y.shape[-1]
    q = one_hot("HingeLoss", target, y)  # (N, …, K)
    margins = 1 + y - xp.sum(_products(q, y, xp), axis=-1, keepdims=True)  # (N, …, K)
    h = weighed(xp.astype(margins > 0, y.dtype) * (1 - q), v)  # (N, …, K); NaN in rows without a class
    return xp.sum(_products(h, margins, xp)) / count, (h, q, count, xp)  # ()                     (7)


def hinge_backward(cache: Cache) -> Array:
    """The gradient of the loss that `hinge_forward` returned, (8): dy (N, …, K).

    >>> import numpy as np
    >>> loss, cache = hinge_forward(np.array([[1.0, 2.0, 4.0]]), np.array([1]))
    >>> hinge_backward(cache).round(4)
    array([[ 0.    , -0.3333,  0.3333]])
    """
    h, q, count, xp = cache
    dy: Array = (h - q * xp.sum(h, axis=-1, keepdims=True)) / count  # (N, …, K)                  (8)
    return dy


def log_probabilities(y: Array, xp: Any) -> Array:
    """log p of logits (N, …, K), (1)."""
    z = y - xp.max(y, axis=-1, keepdims=True)  # (N, …, K)
    log_p: Array = z - xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True))  # (1)
    return log_p


def _dot(a: Array, log_p: Array, xp: Any) -> Array:
    """Σ a·log p, with 0·log 0 = 0; a loss is 0 less this, which is never −0."""
    total: Array = xp.sum(_products(a, log_p, xp))
    return total


def _products(a: Array, b: Array, xp: Any) -> Array:
    """a·b, which is 0 where a is 0, even if b is infinite."""
    products: Array = a * xp.where(a == 0, xp.zeros_like(b), b)
    return products
