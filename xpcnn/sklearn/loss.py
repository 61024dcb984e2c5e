"""The loss of a batch with a weight for each item.

    L = Σ_i w_i·L_i / Σ_i w_i                                     (1)
    ∂L/∂y_i = w_i / Σ_j w_j · ∂L_i/∂y_i                           (2)

An item of weight 2 counts as two items.
"""

from __future__ import annotations

from typing import Any

from ..backend import array_namespace
from ..nn.loss import Loss
from ..typing import Array, Cache


class Weighted(Loss):
    """A criterion whose targets are pairs (targets, weights (N,)).

    Parameters
        criterion : a mean over items without weights of its own
    """

    def __init__(self, criterion: Loss) -> None:
        super().__init__()
        self.criterion = criterion

    def forward(self, y: Array, target: Any) -> tuple[Array, Cache]:
        t, weights = target
        xp = array_namespace(y)
        w = xp.astype(weights, y.dtype)
        rows = [self.criterion.forward(y[i : i + 1, ...], t[i : i + 1, ...]) for i in range(y.shape[0])]
        total = xp.sum(w) if self.reduction == "mean" else 1.0
        loss = xp.sum(xp.stack([each for each, _ in rows]) * w) / total  # (1)
        return loss, ([cache for _, cache in rows], w / total)

    def backward(self, cache: Cache) -> Array:
        rows, shares = cache
        xp = array_namespace(shares)
        dy = xp.concat([self.criterion.backward(each) for each in rows])  # (N, K)
        weighted: Array = dy * xp.reshape(shares, (-1, *[1] * (dy.ndim - 1)))  # (2)
        return weighted

    def items(self, y: Array, target: Any) -> Any:
        return array_namespace(y).sum(target[1])
