"""The loss and the gradients of a batch, and their combination over several batches.

    L = Σ_b D_b·L_b / Σ_b D_b,   g = Σ_b D_b·g_b / Σ_b D_b          a mean over D_b items in batch b        (1)
    L = Σ_b L_b,                 g = Σ_b g_b                        a sum                                   (2)

The results equal those of one batch of all the images, except where a layer depends on the whole batch: batch norm
uses the mean and variance of each batch, and dropout draws anew for each. If all class weights of a batch are 0,
D_b = 0 and there is no mean: its loss and its gradients are then set to 0, and so it changes neither sum.

The mean loss of an epoch, or of a split, is (1), too. For a criterion that sums, it is Σ_b L_b / Σ_b N_b, over N_b
images. `addends` returns the terms of a batch in both sums.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..backend import array_namespace, is_numpy
from ..nn import Layer
from ..nn.loss import Loss
from ..typing import Array


class StepResult(NamedTuple):
    """What one step says of its batches.

    Parameters
        loss : Array (), before the step
        correct : the number of correctly classified items, an Array () (see `correct_items`)
        items : the divisor of the mean loss (see `Loss.items`): an int, or an Array ()

    >>> import numpy as np
    >>> float(StepResult(np.array(0.7), np.array(3), 4).loss)
    0.7
    """

    loss: Array
    correct: Array
    items: Any


@dataclass(frozen=True, eq=False)
class Gradients:
    """A batch's loss and its gradients.

    Parameters
        loss : Array ()
        correct : the number of correctly classified items, an Array () (see `correct_items`)
        items : D, the divisor of the mean loss (see `Loss.items`): an int, or an Array ()
        grads : the gradient of every parameter, by its name
    """

    loss: Array
    correct: Array
    items: Any
    grads: dict[str, Array]

    def finite(self) -> bool:
        """True if loss and gradients contain neither NaN nor infinity; waits for a device."""
        return not not_finite({"": self.loss} | self.grads)

    def not_finite(self) -> list[str]:
        """The names of the gradients that contain NaN or infinity."""
        return not_finite(self.grads)


def not_finite(arrays: Mapping[str, Array]) -> list[str]:
    """The names of the floating-point arrays that contain NaN or infinity; waits for a device."""
    each: Any = list(arrays.values())
    if not each:
        return []
    with np.errstate(over="ignore", invalid="ignore"):
        if is_numpy(each[0]):  # a third of the time of sums
            total = sum(float(np.vdot(a, a)) for a in each)
        else:
            total = float(sum(array_namespace(a).sum(a) for a in each))
    if math.isfinite(total):  # then so are all numbers
        return []
    return [name for name, a in arrays.items() if not is_finite(a)]  # the sum itself may have overflowed


def is_finite(array: Array) -> bool:
    """True if no element is NaN or infinite."""
    xp = array_namespace(array)
    return bool(xp.all(xp.isfinite(array)))


def batch_gradients(model: Layer, criterion: Loss, x: Array, y: Array) -> Gradients:
    """Forward and backward of one batch; changes only what the model's forward changes."""
    logits, cache = model.forward(x)
    loss, loss_cache = criterion.forward(logits, y)
    dy, items = criterion.backward(loss_cache), criterion.items(logits, y)
    if criterion.reduction == "mean" and not isinstance(items, int):  # class weights, which may all be 0
        xp = array_namespace(loss)
        none = xp.asarray(items, dtype=loss.dtype, device=loss.device) == 0
        loss, dy = (xp.where(none, xp.zeros_like(each), each) for each in (loss, dy))
    _, grads = model.backward(dy, cache, input_grad=False)
    return Gradients(loss, correct_items(criterion, logits, y), items, grads)


def joined(one: Gradients, other: Gradients, reduction: str) -> Gradients:
    """The loss and gradients of both batches together, for a criterion with that reduction.

    >>> import numpy as np
    >>> one, other = (Gradients(np.float64(g), 0, n, {"w": np.array([g])}) for g, n in ((1.0, 3), (5.0, 1)))
    >>> joined(one, other, "mean").grads, joined(one, other, "sum").grads
    ({'w': array([2.])}, {'w': array([6.])})
    """
    items = one.items + other.items
    divisor = items or 1 if isinstance(items, int | float) else _not_zero(items)
    a, b = (one.items / divisor, other.items / divisor) if reduction == "mean" else (1.0, 1.0)  # (1), (2)
    grads = {name: a * g + b * other.grads[name] for name, g in one.grads.items()}
    return Gradients(a * one.loss + b * other.loss, one.correct + other.correct, items, grads)


def addends(reduction: str, loss: Array, items: Any, images: int) -> tuple[float, float]:
    """The terms of a batch in the sum of the losses and in its divisor; waits for a device.

    >>> addends("mean", np.float32(0.5), 4, 4), addends("sum", np.float32(0.5), 4, 4)
    ((2.0, 4.0), (0.5, 4.0))
    """
    if reduction != "mean":
        return float(loss), float(images)
    count = float(items)
    return (float(loss) * count if count else 0.0), count


def _not_zero(items: Array) -> Array:
    xp = array_namespace(items)
    divisor: Array = xp.where(items == 0, xp.ones_like(items), items)
    return divisor


def correct_items(criterion: Loss, logits: Array, y: Array) -> Array:
    """The number of correctly classified items, an Array (); 0 if the criterion does not classify.

    An item of several positions, such as pixels, counts as the fraction of right ones among all that count.
    """
    xp = array_namespace(logits)
    if not criterion.classifies:
        none: Array = xp.asarray(0, device=logits.device)
        return none
    labelled = y.ndim < logits.ndim
    true = xp.astype(y, xp.int64, copy=False) if labelled else xp.argmax(y, axis=-1)  # (N, …)
    right = xp.argmax(logits, axis=-1) == true
    ignored = getattr(criterion, "ignore_index", None)
    if logits.ndim == 2 and ignored is None:
        count: Array = xp.sum(xp.astype(right, xp.int64))
        return count
    counts = xp.ones_like(right) if ignored is None else true != ignored
    of = xp.sum(xp.astype(counts, xp.float32))
    share = xp.sum(xp.astype(right & counts, xp.float32)) / xp.where(of == 0, xp.ones_like(of), of)
    items: Array = share * logits.shape[0]
    return items
