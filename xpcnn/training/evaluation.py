"""Evaluate a model on labelled images, batch by batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import html
from ..backend import asarray, to_numpy
from ..data.dataset import Split
from ..data.loader import Loader, images_at_once
from ..data.targets import highest_class
from ..distributed import Group
from ..errors import DataError, NonFiniteError, OptionError
from ..nn import CrossEntropyLoss, Layer
from ..nn.layer import check_layer
from ..nn.loss import Loss, check_loss
from ..ops.check import check_array
from ..ops.dispatch import one_blas_thread
from ..typing import Array
from .gradients import addends
from .metrics import confusion_matrix, iou, top_k_accuracy


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on labelled images; in a regression only the loss, and the rest is NaN or empty.

    With a class for each pixel, all of this is of pixels.

    >>> from xpcnn.data import digits
    >>> from xpcnn.models import mlp
    >>> result = evaluate(mlp((8, 8, 1), 10, rng=0), digits().test)
    >>> result.confusion.shape, int(result.confusion.sum())
    ((10, 10), 360)
    """

    loss: float
    accuracy: float
    top5_accuracy: float  # among 5 classes, or all if there are fewer
    confusion: np.ndarray[Any, np.dtype[np.int64]]  # (K, K): row = true class, column = predicted

    @property
    def mean_iou(self) -> float:
        """Intersection over union, the mean over the classes that are there or predicted; NaN in a regression."""
        return float(np.nanmean(iou(self.confusion))) if self.confusion.size else math.nan

    def __repr__(self) -> str:
        if not self.confusion.size:
            return f"Evaluation(loss={self.loss:z.4g})"
        shares = f"accuracy={self.accuracy:.4g}, top5_accuracy={self.top5_accuracy:.4g}"
        size, images = len(self.confusion), int(self.confusion.sum())
        return f"Evaluation(loss={self.loss:z.4g}, {shares}, confusion={size}×{size} of {images:,})"

    def _repr_html_(self) -> str:
        if not self.confusion.size:
            return html.panel(f"loss {self.loss:z.4f}")
        images, right = int(self.confusion.sum()), int(np.trace(self.confusion))
        said = {"accuracy": f"{self.accuracy:.2%}: {right:,} of {images:,}", "loss": f"{self.loss:z.4f}"}
        said |= {"among the first five": f"{self.top5_accuracy:.2%}"} if len(self.confusion) > 5 else {}
        return html.panel("Evaluation", html.facts(said), html.confusion(self.confusion))


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
        model : returns logits (N, …, K), or for a regression values like the targets
        split : labelled images, with a class (N,), or a class for each position (N, …); if labels are probabilities of
            the classes (N, …, K), the most likely one is the true one
        criterion : None for cross-entropy
        batch_size : images at a time; None for as many as `data.loader.images_at_once` returns
        group : processes that share the batches; all must call this, and all get the result, which does not depend on
            their number
    Raises
        NonFiniteError : the model returns NaN or infinity
        DataError : the model has no output for a label
        OptionError : no split;  ShapeError, DTypeError : from the model and the criterion

    >>> from xpcnn.data import digits
    >>> from xpcnn.models import mlp
    >>> print(evaluate(mlp((8, 8, 1), 10, rng=0), digits().test).confusion.shape)
    (10, 10)
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
        self.highest = highest_label(criterion, split) if criterion.classifies else -1
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
            labels = target if target.ndim < scores.ndim else target.argmax(axis=-1)  # (N, …)
            rows, labels = scores.reshape(-1, scores.shape[-1]), labels.reshape(-1)
            if (ignored := getattr(criterion, "ignore_index", None)) is not None:
                rows, labels = rows[labels != ignored], labels[labels != ignored]
            if len(labels):
                confusion = confusion_matrix(rows, labels)
                self.confusion = self.confusion + confusion if self.confusion.size else confusion
                self.in_top5 += round(top_k_accuracy(rows, labels, k=min(5, rows.shape[1])) * len(rows))

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
        labelled = int(self.confusion.sum())
        return Evaluation(loss, int(np.trace(self.confusion)) / labelled, self.in_top5 / labelled, self.confusion)


def highest_label(criterion: Loss, split: Split) -> int:
    """The highest class that the criterion compares with the network's outputs, or −1."""
    ignored = getattr(criterion, "ignore_index", None)
    return split.highest_class if ignored != split.highest_class else highest_class(split.labels, ignored)


def _not_finite() -> NonFiniteError:
    return NonFiniteError(
        "evaluate", "finite logits and loss", "NaN or infinity", "train again with a lower learning rate"
    )
