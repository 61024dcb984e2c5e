"""Focal loss: cross-entropy in which examples that are already easy count less, and its gradient.

For a position n of class c_n, with its probability p = p[n,c_n] and log p from equation 1 of
`xpcnn.ops.loss_classification`, weights w of classes and v of items (default 1) and D as there:

    L = −Σ_n v[n]·w[c_n]·(1 − p)^γ·log p / D                                                         (1)
    dL/dy[n,k] = v[n]·w[c_n]·(q[n,k] − p[n,k])·(γ·p·(1 − p)^(γ−1)·log p − (1 − p)^γ) / D             (2)

γ = 0 is cross-entropy. At p = 1, (1 − p)^(γ−1)·log p is infinity times 0 for γ < 1. With u = 1 − p = −(e^(log p) − 1),
that product is

    u^γ·r,   r = log p / u,   r → −1 as u → 0                                                        (3)

Source: T.-Y. Lin et al., Focal loss for dense object detection, 2017, equation 5; there w is α, and each of two classes
has an output of its own.
"""

from __future__ import annotations

from ..options import as_number
from ..typing import Array, Cache
from .item_weight import item_weights, weighed
from .loss_classification import log_probabilities
from .one_hot import check_scores, label_count, one_hot, position_weights


def focal_forward(
    y: Array,
    target: Array,
    *,
    gamma: float = 2.0,
    weight: Array | None = None,
    ignore_index: int | None = None,
    item_weight: Array | None = None,
    reduction: str = "mean",
) -> tuple[Array, Cache]:
    """Focal loss of softmax(y), (1).

    Parameters
        y : Array (N, …, K), float: logits
        target : labels 0 … K−1, Array (N, …) of integers
        gamma : γ ≥ 0
        weight, ignore_index, item_weight, reduction : as in `cross_entropy_forward`
    Returns
        loss : Array ()
        cache : for `focal_backward`
    Raises
        ShapeError, DTypeError, OptionError
        DataError : a label is no class (NumPy labels; on a device the loss is NaN)

    >>> import numpy as np
    >>> loss, cache = focal_forward(np.zeros((1, 2)), np.array([0]))  # log 2 / 4
    >>> round(float(loss), 4), focal_backward(cache).round(4)
    (0.1733, array([[-0.2983,  0.2983]]))
    """
    gamma = as_number("FocalLoss", "gamma", gamma, "[0, inf)")
    xp = check_scores("FocalLoss", y, target, weight)
    q = one_hot("FocalLoss", target, y, ignore_index)  # (N, …, K)
    weights = position_weights(item_weights("FocalLoss", y, item_weight), weight)
    count = label_count("FocalLoss", reduction, q, weights, ignore_index)
    log_p = log_probabilities(y, xp)  # (N, …, K)
    own = xp.sum(xp.where(q == 0, xp.zeros_like(y), q * log_p), axis=-1, keepdims=True)  # log p, (N, …, 1)
    w = xp.sum(weighed(q, weights), axis=-1, keepdims=True)  # (N, …, 1), 0 where ignored
    u = 0 - xp.expm1(own)
    easy = u**gamma
    losses = xp.where(w == 0, xp.zeros_like(w), w * easy * (0 - own))
    return xp.sum(losses) / count, (log_p, own, q, w, u, easy, gamma, count, xp)  # ()            (1)


def focal_backward(cache: Cache) -> Array:
    """The gradient of the loss that `focal_forward` returned, (2): dy (N, …, K).

    >>> import numpy as np
    >>> loss, cache = focal_forward(np.array([[1.0, 2.0, 4.0]]), np.array([1]))
    >>> focal_backward(cache).round(4)
    array([[ 0.0514, -1.0839,  1.0325]])
    """
    log_p, own, q, w, u, easy, gamma, count, xp = cache
    p = xp.exp(own)  # (N, …, 1)
    own = xp.where(p == 0, xp.zeros_like(own), own)  # p·log p → 0
    r = xp.where(u == 0, xp.full_like(u, -1.0), own / xp.where(u == 0, xp.ones_like(u), u))  # (3)
    slope = gamma * p * easy * r - easy
    dy: Array = w * (q - xp.exp(log_p)) * slope / count  # (2)
    return dy
