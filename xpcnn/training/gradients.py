"""The loss and the gradients of a batch, and their combination over several batches.

    L = Σ_b D_b·L_b / Σ_b D_b,   g = Σ_b D_b·g_b / Σ_b D_b          a mean over D_b items in batch b        (1)
    L = Σ_b L_b,                 g = Σ_b g_b                        a sum                                   (2)

The results equal those of one batch of all the images, except where a layer depends on the whole batch: batch norm
uses the mean and variance of each batch, and dropout draws anew for each. If all class weights of a batch are 0,
D_b = 0 and there is no mean: L_b and g_b are then the sums themselves, which smoothed labels may make positive, and
take the places of D_b·L_b and D_b·g_b. A step without any mean, D = 0, has g = 0.

The mean loss of an epoch, or of a split, is (1), too. For a criterion that sums, it is Σ_b L_b / Σ_b N_b, over N_b
images. `addends` returns the terms of a batch in both sums.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..backend import array_namespace, is_numpy
from ..nn import Layer, PartsPlan
from ..nn.loss import Loss, given
from ..typing import Array, Cache


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
        items : D, the divisor of the mean loss (see `Loss.items`): an int, or an Array (). If it is 0, loss and
            gradients are sums
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


def batch_gradients(
    model: Layer | PartsPlan, criterion: Loss, x: Array, y: Array, item_weight: Array | None = None
) -> Gradients:
    """Forward and backward of one batch; changes only what the model's forward changes."""
    logits, cache = model.forward(x)
    if is_numpy(logits):
        of, loss, loss_cache, items = loss_of(criterion, logits, y, item_weight)
        dy = of.backward(loss_cache)
    else:
        loss, dy, items = _without_waiting(criterion, logits, y, item_weight)
    _, grads = model.backward(dy, cache, input_grad=False)
    return Gradients(loss, correct_items(criterion, logits, y), items, grads)


def summed(criterion: Loss) -> Loss:
    """The criterion with the reduction "sum"."""
    other = copy(criterion)
    other.reduction = "sum"
    return other


def loss_of(
    criterion: Loss, logits: Array, y: Array, item_weight: Array | None = None
) -> tuple[Loss, Array, Cache, Any]:
    """The loss of a batch, the cache for the gradient, and the items; waits for a device.

    Returns
        and before them the criterion whose loss it is: of items without a mean, whose divisor is 0, the one that sums
    """
    weights = given(item_weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        loss, cache = criterion.forward(logits, y, **weights)
    items = criterion.items(logits, y, **weights)
    if criterion.reduction == "mean" and not float(items):
        criterion = summed(criterion)
        loss, cache = criterion.forward(logits, y, **weights)
    return criterion, loss, cache, items


def _without_waiting(criterion: Loss, logits: Array, y: Array, item_weight: Array | None) -> tuple[Array, Array, Any]:
    """The loss of a batch on a device, ∂L/∂logits, and the items; without a mean those of the sum."""
    weights = given(item_weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        loss, cache = criterion.forward(logits, y, **weights)
        dy, items = criterion.backward(cache), criterion.items(logits, y, **weights)
        if criterion.reduction == "mean" and not isinstance(items, int):
            xp, none = array_namespace(logits), items == 0
            other, cache = summed(criterion).forward(logits, y, **weights)
            loss, dy = xp.where(none, other, loss), xp.where(none, summed(criterion).backward(cache), dy)
    return loss, dy, items


def joined(one: Gradients, other: Gradients, reduction: str) -> Gradients:
    """The loss and gradients of both batches together, for a criterion with that reduction.

    >>> import numpy as np
    >>> one, other = (Gradients(np.float64(g), 0, n, {"w": np.array([g])}) for g, n in ((1.0, 3), (5.0, 1)))
    >>> joined(one, other, "mean").grads, joined(one, other, "sum").grads
    ({'w': array([2.])}, {'w': array([6.])})
    """
    if reduction == "mean":
        items = one.items + other.items
        a, b = (_or_one(each.items) / _or_one(items) for each in (one, other))  # (1)
    else:
        items, a, b = one.items + other.items, 1.0, 1.0  # (2)
    grads = {name: a * g + b * other.grads[name] for name, g in one.grads.items()}
    return Gradients(a * one.loss + b * other.loss, one.correct + other.correct, items, grads)


def step_gradients(total: Gradients, reduction: str) -> dict[str, Array]:
    """The gradients of a step: those in total, or 0 if there is no mean."""
    if reduction != "mean" or isinstance(total.items, int):
        return total.grads
    if isinstance(total.items, float) or is_numpy(total.loss):
        return total.grads if total.items else {name: g * 0 for name, g in total.grads.items()}
    xp = array_namespace(total.loss)
    return {name: xp.where(total.items == 0, xp.zeros_like(g), g) for name, g in total.grads.items()}


def addends(reduction: str, loss: Array, items: Any, images: int) -> tuple[float, float]:
    """The terms of a batch in the sum of the losses and in its divisor; waits for a device.

    >>> addends("mean", np.float32(0.5), 4, 4), addends("sum", np.float32(0.5), 4, 4)
    ((2.0, 4.0), (0.5, 4.0))
    """
    if reduction != "mean":
        return float(loss), float(images)
    count = float(items)
    return float(loss) * (count or 1.0), count


def _or_one(items: Any) -> Any:
    """The items, or 1 in the place of 0."""
    if isinstance(items, int | float):
        return items or 1
    xp = array_namespace(items)
    return xp.where(items == 0, xp.ones_like(items), items)


def correct_items(criterion: Loss, logits: Array, y: Array) -> Array:
    """The number of correctly classified items, an Array (); 0 if the criterion knows neither classes nor yes and no.

    An item of several positions, such as pixels, or of several yes-or-no questions counts as the fraction of right
    ones among all that count.
    """
    xp = array_namespace(logits)
    if not (criterion.classifies or criterion.binary):
        none: Array = xp.asarray(0, device=logits.device)
        return none
    labelled = y.ndim < logits.ndim
    if criterion.binary:
        yes = y[..., None] == xp.arange(logits.shape[-1], device=logits.device) if labelled else y > 0.5  # (N, …, K)
        right = xp.mean(xp.astype((logits > 0) == yes, xp.float32), axis=-1)  # (N, …)
    else:
        true = xp.astype(y, xp.int64, copy=False) if labelled else xp.argmax(y, axis=-1)  # (N, …)
        right = xp.argmax(logits, axis=-1) == true
    ignored = criterion.ignore_index if labelled else None
    if logits.ndim == 2 and ignored is None:
        count: Array = xp.sum(right if criterion.binary else xp.astype(right, xp.int64))
        return count
    right = xp.astype(right, xp.float32)
    counts = xp.ones_like(right) if ignored is None else xp.astype(y != ignored, xp.float32)
    of = xp.sum(counts)
    share = xp.sum(counts * right) / xp.where(of == 0, xp.ones_like(of), of)
    items: Array = share * logits.shape[0]
    return items
