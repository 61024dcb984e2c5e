"""What a batch says: its loss and the gradients; and how those of several batches become those of all of them.

    L = Σ_b D_b·L_b / Σ_b D_b,   g = Σ_b D_b·g_b / Σ_b D_b          a mean over D_b items in batch b        (1)
    L = Σ_b L_b,                 g = Σ_b g_b                        a sum                                   (2)

These are the numbers of one batch of all the images, but for what depends on a batch as a whole: batch norm's mean
and variance are those of each batch, and dropout draws anew for each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import array_namespace, is_numpy
from ..nn import Layer
from ..nn.loss import Loss
from ..typing import Array


@dataclass(frozen=True, eq=False)
class Gradients:
    """A batch's loss and its gradients.

    Parameters
        loss : Array ()
        correct : how many items were classified rightly, an Array (); 0 where the criterion does not classify
        items : D, what the loss is the mean of (see `Loss.items`)
        grads : the gradient of every parameter, by its name
    """

    loss: Array
    correct: Array
    items: Any
    grads: dict[str, Array]

    def finite(self) -> bool:
        """Whether loss and gradients hold neither NaN nor infinity; on a device, this waits for it."""
        grads: Any = self.grads.values()
        with np.errstate(over="ignore", invalid="ignore"):
            if is_numpy(self.loss):  # a third of the time that sums take
                total = float(self.loss) + sum(float(np.vdot(g, g)) for g in grads)
            else:
                xp = array_namespace(self.loss)
                total = float(sum((xp.sum(g) for g in grads), self.loss))
        if math.isfinite(total):  # one number that is not would have made the sum so
            return True
        return not self.not_finite() and math.isfinite(float(self.loss))  # the sum itself may have overflowed

    def not_finite(self) -> list[str]:
        """The names of the gradients that hold NaN or infinity."""
        return [name for name, g in self.grads.items() if not is_finite(g)]


def is_finite(array: Array) -> bool:
    """Whether no element is NaN or infinite."""
    xp = array_namespace(array)
    return bool(xp.all(xp.isfinite(array)))


def batch_gradients(model: Layer, criterion: Loss, x: Array, y: Array) -> Gradients:
    """Forward and backward of one batch; nothing is written but what the model's forward itself does."""
    logits, cache = model.forward(x)
    loss, loss_cache = criterion.forward(logits, y)
    _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
    return Gradients(loss, _correct(criterion, logits, y), criterion.items(logits, y), grads)


def joined(one: Gradients, other: Gradients, reduction: str) -> Gradients:
    """What both batches together say, for a criterion with that reduction.

    >>> import numpy as np
    >>> one, other = (Gradients(np.float64(g), 0, n, {"w": np.array([g])}) for g, n in ((1.0, 3), (5.0, 1)))
    >>> joined(one, other, "mean").grads, joined(one, other, "sum").grads
    ({'w': array([2.])}, {'w': array([6.])})
    """
    items = one.items + other.items
    a, b = (one.items / items, other.items / items) if reduction == "mean" else (1.0, 1.0)  # (1), (2)
    grads = {name: a * g + b * other.grads[name] for name, g in one.grads.items()}
    return Gradients(a * one.loss + b * other.loss, one.correct + other.correct, items, grads)


def _correct(criterion: Loss, logits: Array, y: Array) -> Array:
    xp = array_namespace(logits)
    if not criterion.classifies:
        none: Array = xp.asarray(0, device=logits.device)
        return none
    true = xp.astype(y, xp.int64, copy=False) if y.ndim == 1 else xp.argmax(y, axis=1)  # (N,), of probabilities too
    count: Array = xp.sum(xp.astype(xp.argmax(logits, axis=1) == true, xp.int64))
    return count
