"""Criteria: the losses that training minimises.

    loss, cache = criterion.forward(y, target)      loss is an array (); its mean or sum over the batch
    dy          = criterion.backward(cache)         ∂loss/∂y, for the network's backward
    loss        = criterion(y, target)              for validation

Each call may have `item_weight=`, the weights (N,) of the items: one of weight 2 counts as two (equation of
`xpcnn.ops.item_weight`). All take `reduction="mean"` or "sum". Those of this file compare each output with its own
target (equations of `xpcnn.ops.loss_elementwise`); for those of classes see `classification_loss`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..backend import array_namespace, to_numpy
from ..errors import OptionError
from ..habits import CRITERION, Familiar
from ..ops.check import check_array, check_cache
from ..ops.item_weight import item_weights
from ..ops.loss_elementwise import (
    bce_with_logits_backward,
    bce_with_logits_forward,
    divisor,
    huber_backward,
    huber_forward,
    mae_backward,
    mae_forward,
    mse_backward,
    mse_forward,
)
from ..options import as_number
from ..typing import Array, Cache


class Loss(Familiar):
    """Base class of criteria: its attributes are the constructor's arguments, `pair` is the operation.

    Your own criterion names another pair, or defines `forward` and `backward`.

    Parameters
        reduction : "mean" or "sum" over the batch

    >>> import numpy as np
    >>> criterion = MSELoss()
    >>> loss, cache = criterion.forward(np.array([[3.0]]), np.array([[1.0]]))
    >>> float(loss), criterion.backward(cache)
    (4.0, array([[4.]]))
    """

    pair: ClassVar[tuple[Callable[..., tuple[Array, Cache]], Callable[[Cache], Array]]]
    ignore_index: int | None = None  # the label that does not count
    _elsewhere = CRITERION

    def __init__(self, *, reduction: str = "mean") -> None:
        divisor(type(self).__name__, reduction, 1)
        self.reduction = reduction

    @property
    def classifies(self) -> bool:
        """True if y has a score for each class, so that accuracy is defined; a subclass may just say True."""
        return False

    @property
    def binary(self) -> bool:
        """True if each output is the logit of a yes-or-no question of its own, as where an item has several labels."""
        return False

    def forward(self, y: Array, target: Array, *, item_weight: Array | None = None) -> tuple[Array, Cache]:
        """The loss, an array (), and a cache for the `backward` of this call.

        Parameters
            item_weight : Array (N,), the weight of each item, ≥ 0: one of weight 2 counts as two; None for 1
        """
        check_array(type(self).__name__, y)
        options = self.config()
        for name, value in options.items():
            if name in ("weight", "pos_weight") and value is not None:
                options[name] = array_namespace(y).asarray(value, dtype=y.dtype, device=y.device)
        return self.pair[0](y, target, **options, **given(item_weight))

    def backward(self, cache: Cache) -> Array:
        """∂loss/∂y, the exact gradient of the loss that forward returned."""
        own = type(self).__module__.startswith(f"{__package__}.")  # no own criterion's cache is one number
        check_cache(type(self).__name__, cache, not own or getattr(cache, "shape", None) != ())
        return self.pair[1](cache)

    def __call__(self, y: Array, target: Array, *, item_weight: Array | None = None) -> Array:
        """The loss alone."""
        return self.forward(y, target, **given(item_weight))[0]

    def items(self, y: Array, target: Array, *, item_weight: Array | None = None) -> Any:
        """The divisor of a batch's mean, to combine the means of several batches.

            mean of all = Σ items · mean / Σ items          over the batches

        It is the number of rows, or the sum of their weights. With class weights and labels, it is the sum of the
        weights; with labels that do not count, the number of those that do, weighted too: an Array ().
        """
        w = item_weights(type(self).__name__, y, item_weight)
        return y.shape[0] if w is None else array_namespace(w).sum(w)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values."""
        return dict(vars(self))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.config().items())
        return f"{type(self).__name__}({arguments})"


def given(item_weight: Any) -> dict[str, Any]:
    """The weights as an argument, or none: a criterion of one's own may be without them."""
    return {} if item_weight is None else {"item_weight": item_weight}


def check_loss(who: str, criterion: Loss) -> None:
    """Raise an error unless `criterion` is a criterion.

    Raises
        OptionError : it is something else, such as a class instead of an instance
    """
    if not isinstance(criterion, Loss):
        raise OptionError(who, "a criterion, such as CrossEntropyLoss()", repr(criterion)[:80])


class MSELoss(Loss):
    """Mean squared error over all elements: Σ (y − t)² / size, without a factor ½.

    Shapes
        y and target of the same shape and dtype

    >>> import numpy as np
    >>> criterion = MSELoss()
    >>> loss, cache = criterion.forward(np.array([[1.0, 5.0]]), np.array([[1.0, 2.0]]))
    >>> float(loss), criterion.backward(cache)
    (4.5, array([[0., 3.]]))
    """

    pair = (mse_forward, mse_backward)


class L1Loss(Loss):
    """Mean absolute error over all elements: Σ |y − t| / size; y and target of the same shape and dtype.

    >>> import numpy as np
    >>> float(L1Loss()(np.array([1.0, 5.0]), np.array([1.0, 2.0])))
    1.5
    """

    pair = (mae_forward, mae_backward)


class HuberLoss(Loss):
    """Squared error (halved) within δ of the target, absolute error (times δ) beyond; mean over all elements.

    Parameters
        delta : δ > 0
    Raises
        OptionError

    >>> import numpy as np
    >>> float(HuberLoss(reduction="sum")(np.array([1.5, 5.0]), np.array([1.0, 2.0])))
    2.625
    """

    pair = (huber_forward, huber_backward)

    def __init__(self, delta: float = 1.0, *, reduction: str = "mean") -> None:
        self.delta = as_number("HuberLoss", "delta", delta, "(0, inf)")
        super().__init__(reduction=reduction)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of σ(y), for independent yes-or-no questions; mean over all elements.

    Parameters
        pos_weight : the weight of positive targets: a number, K numbers or an array (K,)
    Shapes
        y (…, K); target of y's shape and dtype, in [0, 1]
    Raises
        OptionError; in forward also ShapeError, DTypeError

    >>> import numpy as np
    >>> round(float(BCEWithLogitsLoss(pos_weight=3)(np.zeros((8, 1)), np.ones((8, 1)))), 4)  # 3 · log 2
    2.0794
    """

    pair = (bce_with_logits_forward, bce_with_logits_backward)
    binary = True

    def __init__(self, *, pos_weight: Any = None, reduction: str = "mean") -> None:
        self.pos_weight = as_weights("BCEWithLogitsLoss", "pos_weight", pos_weight)
        super().__init__(reduction=reduction)


def as_weights(who: str, name: str, value: Any) -> Any:
    """Weights as Python numbers, which fit any namespace, any dtype and JSON: a float, a list of them, or None."""
    if value is None:
        return None
    try:
        host = np.asarray(to_numpy(value))
    except (TypeError, ValueError):
        host = np.empty(0)
    if host.dtype.kind not in "iuf" or host.ndim > 1 or not host.size or not (np.isfinite(host) & (host >= 0)).all():
        raise OptionError(who, f"{name}: numbers ≥ 0", repr(value))
    return host.astype(np.float64).tolist()
