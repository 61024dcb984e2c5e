"""Evaluate a model on labelled images, batch by batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import asarray, to_numpy
from ..data.dataset import Split
from ..data.loader import Loader, images_at_once
from ..distributed import Group
from ..errors import DataError, NonFiniteError, OptionError
from ..nn import CrossEntropyLoss, Layer
from ..nn.layer import check_layer
from ..nn.loss import Loss, check_loss
from ..ops.check import check_array
from ..ops.dispatch import one_blas_thread
from ..typing import Array
from .gradients import addends
from .metrics import confusion_matrix, top_k_accuracy


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on labelled images; in a regression only the loss, and the rest is NaN or empty."""

    loss: float
    accuracy: float
    top5_accuracy: float  # among 5 classes, or all if there are fewer
    confusion: np.ndarray[Any, np.dtype[np.int64]]  # (K, K): row = true class, column = predicted


@np.errstate(over="ignore", invalid="ignore")  # the results are checked
def evaluate(
    model: Layer,
    split: Split,
    criterion: Loss | None = None,
    batch_size: int | None = None,
    *,
    group: Group | None = None,
) -> Evaluation:
    """Loss and metrics of a model on labelled images, in inference; they do not depend on the batch size.

    Parameters
        model : returns logits (N, K), or for a regression values like the targets
        split : labelled images; if labels are probabilities of the classes (N, K), the most likely one is the true one
        criterion : None for cross-entropy
        batch_size : images at a time; None for as many as `data.loader.images_at_once` returns
        group : processes that share the batches; all must call this, and all get the result, which does not depend on
            their number
    Raises
        NonFiniteError : the model returns NaN or infinity
        DataError : the model has no output for a label
        OptionError : no split;  ShapeError, DTypeError : from the model and the criterion
    """
    check_layer("evaluate", model)
    if not isinstance(split, Split):
        raise OptionError("evaluate", "a Split, such as digits().test", type(split).__name__)
    criterion = CrossEntropyLoss() if criterion is None else criterion
    check_loss("evaluate", criterion)
    if batch_size is None:
        batch_size = images_at_once(split.input_shape)
    counts, loader = _Counts(criterion, split), Loader(split, batch_size)
    if group is None:
        for x, y in loader.epoch(0):
            counts.add(model(x), y)
    else:
        with one_blas_thread():
            for x, y in loader.epoch(0, min(group.rank, len(loader)), group.size):
                counts.add(model(x), y)
        counts.join(group.all(counts.addends), group.all((counts.images, counts.in_top5, counts.confusion)))
    return counts.result()


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def try_out(model: Layer, split: Split, criterion: Loss) -> int:
    """Use one image to find what `evaluate` would refuse; return the number of the model's outputs.

    Raises
        DataError, OptionError, ShapeError, DTypeError : as in `evaluate`
    """
    counts = _Counts(criterion, split)
    x, y = next(Loader(split, 1).epoch(0))
    logits = model(x)
    counts.add(logits, y, look=False)
    weighs = split.has_classes and getattr(criterion, "weight", None) is not None and criterion.reduction == "mean"
    if weighs and isinstance(split.labels, np.ndarray) and not float(criterion.items(logits, asarray(split.labels))):
        raise DataError("evaluate", "classes with a weight", "images of classes that all have the weight 0")
    return int(logits.shape[-1])


class _Counts:
    """The counts and sums of an evaluation."""

    def __init__(self, criterion: Loss, split: Split) -> None:
        self.criterion = criterion
        self.highest = split.highest_class if criterion.classifies else -1
        self.addends: list[tuple[float, float]] = []  # of each batch
        self.images = self.in_top5 = 0
        self.confusion = np.zeros((0, 0), np.int64)

    def add(self, logits: Array, y: Array, *, look: bool = True) -> None:
        """Add a batch; with `look`, refuse numbers that are not finite."""
        check_array("evaluate: the network's output", logits)
        criterion, scores = self.criterion, to_numpy(logits)
        if self.highest >= logits.shape[-1]:
            raise DataError("evaluate", f"labels below {logits.shape[-1]}, as the model has outputs", str(self.highest))
        loss, items = addends(criterion.reduction, criterion(logits, y), criterion.items(logits, y), len(scores))
        if look and not (np.isfinite(scores).all() and math.isfinite(loss)):
            raise _not_finite()
        self.addends.append((loss, items))
        self.images += len(scores)
        if criterion.classifies:
            target = to_numpy(y)
            labels = target if target.ndim == 1 else target.argmax(axis=1)  # (N,)
            confusion = confusion_matrix(scores, labels)
            self.confusion = self.confusion + confusion if self.confusion.size else confusion
            self.in_top5 += round(top_k_accuracy(scores, labels, k=min(5, scores.shape[1])) * len(scores))

    def join(self, addends: list[list[tuple[float, float]]], counts: list[tuple[int, int, Any]]) -> None:
        """Take those of all ranks, which have every so many batches each."""
        self.addends = [each[k] for k in range(len(addends[0])) for each in addends if k < len(each)]
        images, in_top5, confusions = zip(*counts, strict=True)
        self.images, self.in_top5 = sum(images), sum(in_top5)
        self.confusion = sum((each for each in confusions if each.size), np.zeros_like(confusions[0]))

    def result(self) -> Evaluation:
        total, counted = sum(loss for loss, _ in self.addends), sum(items for _, items in self.addends)
        if not (counted and math.isfinite(total)):
            raise _not_finite()
        loss = total / counted
        if not self.criterion.classifies:
            return Evaluation(loss, math.nan, math.nan, self.confusion)
        accuracy = int(np.trace(self.confusion)) / self.images
        return Evaluation(loss, accuracy, self.in_top5 / self.images, self.confusion)


def _not_finite() -> NonFiniteError:
    return NonFiniteError(
        "evaluate", "finite logits and loss", "NaN or infinity", "train again with a lower learning rate"
    )
