"""How good a model is on labelled images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..data.dataset import Split
from ..data.loader import Loader
from ..errors import DataError, NonFiniteError, OptionError
from ..nn import CrossEntropyLoss, Layer
from ..nn.layer import check_layer
from ..nn.loss import Loss, check_loss
from ..typing import Host
from .metrics import confusion_matrix, top_k_accuracy


@dataclass(frozen=True)
class Evaluation:
    """How a model does on labelled images; in a regression, by the loss alone: the rest is NaN and empty."""

    loss: float
    accuracy: float
    top5_accuracy: float  # of 5 or, with fewer, all classes
    confusion: np.ndarray[Any, np.dtype[np.int64]]  # (K, K): row = true class, column = predicted


@np.errstate(over="ignore", invalid="ignore")  # what becomes of them is looked at
def evaluate(model: Layer, split: Split, criterion: Loss | None = None, *, batch_size: int = 256) -> Evaluation:
    """Loss and metrics of a model on labelled images, in inference; the batches' size makes no difference.

    Parameters
        model : gives logits (N, K); for a regression what the targets are
        split : labelled images
        criterion : None for cross-entropy
    Raises
        NonFiniteError : the model gives NaN or infinity
        DataError : labels that the model has no output for
        OptionError : no split;  ShapeError, DTypeError : of the model and the criterion
    """
    check_layer("evaluate", model)
    if not isinstance(split, Split):
        raise OptionError("evaluate", "a Split, such as digits().test", type(split).__name__)
    criterion = CrossEntropyLoss() if criterion is None else criterion
    check_loss("evaluate", criterion)
    scores: list[Host] = []
    total = counted = 0.0
    for x, y in Loader(split, batch_size).epoch(0):
        logits = model(x)
        scores.append(to_numpy(logits))
        if criterion.classifies and int(split.labels.max()) >= logits.shape[-1]:
            raise DataError(
                "evaluate", f"labels below {logits.shape[-1]}, as the model has outputs", str(int(split.labels.max()))
            )
        items = float(criterion.items(logits, y)) if criterion.reduction == "mean" else x.shape[0]
        loss = float(criterion(logits, y)) if items else 0.0  # of classes that weigh nothing there is no mean
        total += loss * (items if criterion.reduction == "mean" else 1)
        counted += items
    all_scores = np.concatenate(scores)  # (N, K)
    if not (np.isfinite(all_scores).all() and math.isfinite(total) and counted):
        raise NonFiniteError(
            "evaluate", "finite logits and loss", "NaN or infinity", "train again with a lower learning rate"
        )
    loss = total / counted
    if not criterion.classifies:
        return Evaluation(loss, math.nan, math.nan, np.zeros((0, 0), np.int64))
    return Evaluation(
        loss=loss,
        accuracy=top_k_accuracy(all_scores, split.labels, k=1),
        top5_accuracy=top_k_accuracy(all_scores, split.labels, k=min(5, all_scores.shape[1])),
        confusion=confusion_matrix(all_scores, split.labels),
    )
