"""Dice loss: one minus the overlap of predicted and true regions, for each class of each image, and its gradient.

With p the softmax of an image's outputs over its classes (or the sigmoid of each output), i the positions of an image,
m = 0 at the positions that are ignored, else 1, the weight v of each image (default 1), and D = K·Σ_n v[n] for the
reduction "mean" (K·N without weights), K for "sum":

    I[n,k] = Σ_i m·p·q,   S[n,k] = Σ_i m·(p + q)                                                     (1)
    L = Σ_{n,k} v[n]·(1 − (2·I + s) / (S + s)) / D                                                   (2)
    g[n,i,k] = dL/dp[n,i,k] = −v[n]·m·(2·q − (2·I + s) / (S + s)) / ((S + s)·D)                      (3)
    softmax   dL/dy[n,i,k] = p·(g − Σ_j g[n,i,j]·p[n,i,j])                                           (4)
    sigmoid   dL/dy[n,i,k] = p·(1 − p)·g                                                             (5)

s > 0 makes the overlap 1 where a class is neither predicted nor there, and keeps (3) finite. An image of weight 2
counts as two equal ones: (1) of `xpcnn.ops.item_weight`.

Sources
    F. Milletari et al., V-Net: fully convolutional neural networks for volumetric medical image segmentation, 2016,
        section 3, with S of squares
    C. Sudre et al., Generalised Dice overlap as a deep learning loss function, 2017, section 2.1     → (2)
"""

from __future__ import annotations

from ..errors import OptionError, ShapeError
from ..options import as_flag, as_number
from ..typing import Array, Cache
from .activation import sigmoid_forward
from .item_weight import item_weights, weighed
from .loss_elementwise import check_target, divisor
from .one_hot import check_scores, one_hot
from .softmax import softmax_forward


def dice_forward(
    y: Array,
    target: Array,
    *,
    sigmoid: bool = False,
    smooth: float = 1.0,
    ignore_index: int | None = None,
    item_weight: Array | None = None,
    reduction: str = "mean",
) -> tuple[Array, Cache]:
    """Dice loss of softmax(y), or of σ(y), (1) and (2).

    Parameters
        y : Array (N, …, K), float: logits at the positions of N images
        target : labels 0 … K−1, Array (N, …) of integers; or q, Array (N, …, K) of y's dtype in [0, 1]
        sigmoid : each of the K outputs is a question of its own, whose answer may be yes for several; the target is q
        smooth : s > 0
        ignore_index : the label of positions that do not count, such as 255; or None
        item_weight : v ≥ 0, Array (N,), the weight of each image; or None
        reduction : "mean" over images and classes; "sum" over images, of their means over classes
    Returns
        loss : Array ()
        cache : for `dice_backward`
    Raises
        ShapeError, DTypeError, OptionError
        DataError : a label is no class (NumPy labels; on a device the loss is NaN)

    >>> import numpy as np
    >>> y = np.array([[[8.0, -8.0], [8.0, -8.0], [-8.0, 8.0]]])  # an image of three pixels, of classes 0, 0 and 1
    >>> [round(float(dice_forward(y, np.array([labels]))[0]), 3) for labels in ([0, 0, 1], [0, 1, 1])]
    [0.0, 0.25]
    """
    who, smoothed = "DiceLoss", as_number("DiceLoss", "smooth", smooth, "(0, inf)")
    xp = check_scores(who, y, target)
    if y.ndim < 3:
        raise ShapeError(who, "outputs (N, …, K) with positions", str(tuple(y.shape)), "use CrossEntropyLoss")
    labelled = target.ndim == y.ndim - 1
    if as_flag(who, "sigmoid", sigmoid) and labelled:
        raise ShapeError(who, f"a target {tuple(y.shape)} with sigmoid", str(tuple(target.shape)))
    if not labelled:
        if tuple(target.shape) != tuple(y.shape):
            expected = f"labels {tuple(y.shape[:-1])} or a target {tuple(y.shape)}"
            raise ShapeError(who, expected, str(tuple(target.shape)), "reshape the target")
        check_target(who, y, target)
        if ignore_index is not None:
            raise OptionError(who, "no ignore_index for probabilities", str(ignore_index), "pass labels")
    q = one_hot(who, target, y, ignore_index) if labelled else target  # (N, …, K)
    v = item_weights(who, y, item_weight)  # (N, 1, …, 1)
    count = divisor(who, reduction, y.shape[0], v) * y.shape[-1]
    p, _ = (sigmoid_forward if sigmoid else softmax_forward)(y)  # (N, …, K)
    m = 1 if ignore_index is None else xp.sum(q, axis=-1, keepdims=True)  # (N, …, 1)
    along = tuple(range(1, y.ndim - 1))
    intersection = xp.sum(m * p * q, axis=along, keepdims=True)  # (N, 1, …, K)                     (1)
    total = xp.sum(m * (p + q), axis=along, keepdims=True) + smoothed  # (N, 1, …, K)
    dice = (2 * intersection + smoothed) / total
    loss = xp.sum(weighed(1 - dice, v)) / count  # ()                                               (2)
    return loss, (p, q, weighed(m, v), dice, total, count, sigmoid, xp)


def dice_backward(cache: Cache) -> Array:
    """The gradient of the loss that `dice_forward` returned, (3) to (5): dy (N, …, K).

    >>> import numpy as np
    >>> loss, cache = dice_forward(np.array([[[[0.9], [0.2]]]]), np.array([[[[1.0], [0.0]]]]))
    >>> dice_backward(cache)[0, :, :, 0].round(4)
    array([[0., 0.]])
    """
    p, q, vm, dice, total, count, sigmoid, xp = cache
    g = vm * (dice - 2 * q) / (total * count)  # (N, …, K)                                            (3)
    if sigmoid:
        dy: Array = p * (1 - p) * g  # (5)
    else:
        dy = p * (g - xp.sum(g * p, axis=-1, keepdims=True))  # (4)
    return dy
