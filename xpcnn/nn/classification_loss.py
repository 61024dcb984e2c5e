"""Criteria of networks with a score for each class; equations of `xpcnn.ops.loss_classification`, `loss_focal` and
`loss_dice`.

A score may be of an item, y (N, K), or of each position in an item, such as y (N, H, W, K) with a label for each pixel.
"""

from __future__ import annotations

from typing import Any

from ..backend import array_namespace
from ..ops import dispatch
from ..ops.item_weight import item_weights
from ..ops.loss_classification import (
    hinge_backward,
    hinge_forward,
    nll_backward,
    nll_forward,
)
from ..ops.loss_dice import dice_backward, dice_forward
from ..ops.loss_focal import focal_backward, focal_forward
from ..options import as_flag, as_label, as_number
from ..typing import Array
from .loss import Loss, as_weights


class CrossEntropyLoss(Loss):
    """Cross-entropy of softmax(y), for a network whose outputs are logits, one per class.

    Parameters
        weight : the weight of each class: K numbers or an array (K,); the mean is then weighted, too
        label_smoothing : ε, the part of each target that is spread evenly over all classes; 0 ≤ ε < 1
        ignore_index : the label of positions that do not count, such as 255 of a mask's border; None: all count
    Shapes
        y (N, …, K); target: integers (N, …), or probabilities (N, …, K) of y's dtype
    Raises
        OptionError; in forward also ShapeError, DTypeError, DataError

    >>> import numpy as np
    >>> round(float(CrossEntropyLoss()(np.zeros((8, 10), np.float32), np.arange(8))), 4)  # log 10
    2.3026
    """

    pair = dispatch.loss_pair("cross_entropy")
    classifies = True

    def __init__(
        self,
        *,
        weight: Any = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        reduction: str = "mean",
    ) -> None:
        self.weight = as_weights("CrossEntropyLoss", "weight", weight)
        self.label_smoothing = as_number("CrossEntropyLoss", "label_smoothing", label_smoothing, "[0, 1)")
        self.ignore_index = as_label("CrossEntropyLoss", ignore_index)
        super().__init__(reduction=reduction)

    def items(self, y: Array, target: Array, *, item_weight: Array | None = None) -> Any:
        soft = getattr(target, "ndim", y.ndim) == y.ndim  # what is no array, forward refuses
        if soft:
            return super().items(y, target, item_weight=item_weight)
        return _labelled(self, y, target, item_weight=item_weight)


class NLLLoss(Loss):
    """Negative log-likelihood, for a network that ends in log-softmax.

    Parameters
        weight, ignore_index : as in `CrossEntropyLoss`
    Shapes
        y (N, …, K) log-probabilities; target: integers (N, …)
    Raises
        OptionError; in forward also ShapeError, DTypeError, DataError

    >>> import numpy as np
    >>> float(NLLLoss()(np.array([[-3.0, -0.05]]), np.array([0])))
    3.0
    """

    pair = (nll_forward, nll_backward)
    classifies = True

    def __init__(self, *, weight: Any = None, ignore_index: int | None = None, reduction: str = "mean") -> None:
        self.weight = as_weights("NLLLoss", "weight", weight)
        self.ignore_index = as_label("NLLLoss", ignore_index)
        super().__init__(reduction=reduction)

    def items(self, y: Array, target: Array, *, item_weight: Array | None = None) -> Any:
        return _labelled(self, y, target, item_weight=item_weight)


class HingeLoss(Loss):
    """Multi-class hinge loss (Weston and Watkins); PyTorch's MultiMarginLoss with p = 1 and margin 1.

    Shapes
        y (N, …, K) scores; target: integers (N, …)

    >>> import numpy as np
    >>> float(HingeLoss()(np.array([[2.0, 1.5, 0.0, -1.0]]), np.array([0])))
    0.125
    """

    pair = (hinge_forward, hinge_backward)
    classifies = True


class FocalLoss(Loss):
    """Focal loss of softmax(y): cross-entropy times (1 − p)^γ, so that easy examples count less.

    Parameters
        gamma : γ ≥ 0; 0 is cross-entropy
        weight, ignore_index : as in `CrossEntropyLoss`
    Shapes
        y (N, …, K) logits; target: integers (N, …)
    Raises
        OptionError; in forward also ShapeError, DTypeError, DataError

    >>> import numpy as np
    >>> round(float(FocalLoss()(np.zeros((8, 10)), np.arange(8))), 4)  # 0.9² · log 10
    1.8651
    """

    pair = (focal_forward, focal_backward)
    classifies = True

    def __init__(
        self, gamma: float = 2.0, *, weight: Any = None, ignore_index: int | None = None, reduction: str = "mean"
    ) -> None:
        self.gamma = as_number("FocalLoss", "gamma", gamma, "[0, inf)")
        self.weight = as_weights("FocalLoss", "weight", weight)
        self.ignore_index = as_label("FocalLoss", ignore_index)
        super().__init__(reduction=reduction)

    def items(self, y: Array, target: Array, *, item_weight: Array | None = None) -> Any:
        return _labelled(self, y, target, item_weight=item_weight)


class DiceLoss(Loss):
    """One minus the overlap 2|A∩B| / (|A|+|B|) of predicted and true regions; mean over images and classes.

    Parameters
        sigmoid : each of the K outputs is a question of its own; without, they are classes that exclude each other
        smooth : s > 0, added to numerator and denominator
        ignore_index : as in `CrossEntropyLoss`
    Shapes
        y (N, …, K) logits; target: integers (N, …), or numbers in [0, 1] (N, …, K) of y's dtype
    Raises
        OptionError; in forward also ShapeError, DTypeError, DataError

    >>> import numpy as np
    >>> labels = np.array([[[0, 1], [1, 1]]])  # of an image of 2×2 pixels
    >>> round(float(DiceLoss(smooth=1e-9)(1e3 * np.eye(2)[1 - labels], labels)), 6)  # all wrong
    1.0
    """

    pair = (dice_forward, dice_backward)

    def __init__(
        self,
        *,
        sigmoid: bool = False,
        smooth: float = 1.0,
        ignore_index: int | None = None,
        reduction: str = "mean",
    ) -> None:
        self.sigmoid = as_flag("DiceLoss", "sigmoid", sigmoid)
        self.smooth = as_number("DiceLoss", "smooth", smooth, "(0, inf)")
        self.ignore_index = as_label("DiceLoss", ignore_index)
        super().__init__(reduction=reduction)

    @property
    def classifies(self) -> bool:
        return not self.sigmoid

    @property
    def binary(self) -> bool:
        return self.sigmoid


def _labelled(criterion: Any, y: Array, target: Array, *, item_weight: Array | None) -> Any:
    """The sum of the weights of the positions that count, or their number; that of items if all positions count."""
    weight, ignore_index = criterion.weight, criterion.ignore_index
    if weight is None and ignore_index is None:
        return Loss.items(criterion, y, target, item_weight=item_weight)
    xp = array_namespace(y, target)
    labels = xp.astype(target, xp.int64, copy=False)
    counts = None if ignore_index is None else labels != ignore_index  # (N, …)
    if weight is None:
        of_each = xp.astype(counts, y.dtype)  # (N, …)
    else:
        weights = xp.asarray(weight, dtype=y.dtype, device=y.device)
        known = labels if counts is None else xp.where(counts, labels, xp.zeros_like(labels))
        of_each = xp.reshape(xp.take(weights, xp.reshape(known, (-1,)), axis=0), labels.shape)
        of_each = of_each if counts is None else xp.where(counts, of_each, xp.zeros_like(of_each))
    v = item_weights(type(criterion).__name__, y, item_weight)  # (N, 1, …, 1)
    return xp.sum(of_each if v is None else of_each * v[..., 0])  # ()
