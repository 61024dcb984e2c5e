"""Evaluate a model on labelled images, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import html
from ..backend import asarray, to_numpy
from ..data.loader import Loader, images_at_once
from ..data.source import blocks
from ..data.split import Split
from ..data.targets import highest_class
from ..distributed import Group
from ..errors import DataError, NonFiniteError, OptionError
from ..nn import CrossEntropyLoss, Layer
from ..nn.layer import check_layer
from ..nn.loss import Loss, check_loss
from ..nn.predicting import Predictor
from ..ops.check import check_array
from ..ops.dispatch import one_blas_thread
from ..typing import Array
from .gradients import addends, loss_of
from .metrics import iou
from .tallies import Tally, in_turn, joined, tally


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on labelled images.

    With a class for each pixel, all of this is of pixels. With several labels an item, accuracy is the fraction of
    right yes and no.

    >>> from xpcnn.data import digits
    >>> from xpcnn.models import mlp
    >>> result = evaluate(mlp((8, 8, 1), 10, rng=0), digits().test)
    >>> result.confusion.shape, int(result.confusion.sum())
    ((10, 10), 360)
    """

    loss: float
    accuracy: float  # NaN in a regression
    top5_accuracy: float  # among 5 classes, or all if there are fewer; NaN without classes
    confusion: np.ndarray[Any, np.dtype[np.int64]]  # (K, K): row = true, column = predicted; of labels (K, 2, 2)
    metrics: Mapping[str, float] = field(default_factory=dict)  # all those of the task, see `training.tallies`

    @property
    def mean_iou(self) -> float:
        """Intersection over union, the mean over the classes that are there or predicted; NaN in a regression."""
        return float(np.nanmean(iou(self.confusion))) if self.confusion.size else math.nan

    def __repr__(self) -> str:
        numbers = "".join(f", {name}={value:z.4g}" for name, value in self._metrics().items())
        size = "×".join(map(str, self.confusion.shape))
        counted = f", confusion={size} of {int(self.confusion.sum()):,}" if self.confusion.size else ""
        return f"Evaluation(loss={self.loss:z.4g}{numbers}{counted})"

    def _repr_html_(self) -> str:
        said = {name.replace("_", " "): f"{value:z.4g}" for name, value in self._metrics().items()}
        if self.confusion.ndim != 2 or not self.confusion.size:
            return html.panel(f"loss {self.loss:z.4f}", html.facts(said))
        images, right = int(self.confusion.sum()), int(np.trace(self.confusion))
        said |= {"accuracy": f"{self.accuracy:.2%}: {right:,} of {images:,}", "loss": f"{self.loss:z.4f}"}
        return html.panel("Evaluation", html.facts(said), html.confusion(self.confusion))

    def _metrics(self) -> dict[str, float]:
        return dict(self.metrics) or ({} if math.isnan(self.accuracy) else {"accuracy": self.accuracy})


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

    The metrics are those of the task, see `training.tallies`: of classes, of several labels, of numbers or of images.

    Parameters
        model : returns logits (N, …, K), or for a regression values like the targets
        split : labelled images, with a class (N,), or a class for each position (N, …); if labels are probabilities of
            the classes (N, …, K), the most likely one is the true one
        criterion : None for cross-entropy, without pixels of the split's `ignore_index`
        batch_size : images at a time; None for as many as `data.loader.images_at_once` returns
        group : processes that share the batches; all must call this, and all get the result, which does not depend on
            their number
    Raises
        NonFiniteError : the model returns NaN or infinity
        DataError : the model has no output for a label, or no label counts
        OptionError : no split;  ShapeError, DTypeError : from the model and the criterion

    >>> from xpcnn.data import digits
    >>> from xpcnn.models import mlp
    >>> print(evaluate(mlp((8, 8, 1), 10, rng=0), digits().test).confusion.shape)
    (10, 10)
    """
    check_layer("evaluate", model)
    if not isinstance(split, Split):
        raise OptionError("evaluate", "a Split, such as digits().test", type(split).__name__)
    criterion = CrossEntropyLoss(ignore_index=split.ignore_index) if criterion is None else criterion
    check_loss("evaluate", criterion)
    if batch_size is None:
        batch_size = images_at_once(split.input_shape)
    counts, loader, network = _Counts(criterion, split), Loader(split, batch_size), Predictor(model, split.input_shape)
    if group is None:
        for x, y in loader.epoch(0):
            counts.add(network(x), y)
    else:
        with one_blas_thread():
            for x, y in loader.epoch(0, min(group.rank, len(loader)), group.size):
                counts.add(network(x), y)
        counts.addends, counts.tally = in_turn(group.all(counts.addends)), joined(group.all(counts.tally))
    return counts.result()


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def try_out(model: Layer, split: Split, criterion: Loss) -> tuple[int, tuple[str, ...]]:
    """Use one image to find what `evaluate` would refuse.

    Returns
        the number of the model's outputs, and the names of the metrics that an evaluation may state
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
    return int(logits.shape[-1]), tally(criterion, logits, y).names


class _Counts:
    """The counts and sums of an evaluation."""

    def __init__(self, criterion: Loss, split: Split) -> None:
        self.criterion = criterion
        check_probabilities("evaluate", criterion, split)
        self.highest = highest_label(criterion, split) if criterion.classifies else -1
        self.addends: list[tuple[float, float]] = []  # of each batch
        self.tally: Tally | None = None  # from the first batch on

    def add(self, logits: Array, y: Array, *, look: bool = True) -> None:
        """Add a batch; with `look`, refuse numbers that are not finite."""
        check_array("evaluate: the network's output", logits)
        criterion, scores = self.criterion, to_numpy(logits)
        if self.highest >= logits.shape[-1]:
            raise DataError("evaluate", f"labels below {logits.shape[-1]}, as the model has outputs", str(self.highest))
        _, loss_of_batch, _, counted = loss_of(criterion, logits, y)
        loss, items = addends(criterion.reduction, loss_of_batch, counted, len(scores))
        if look and not (np.isfinite(scores).all() and math.isfinite(loss)):
            raise _not_finite()
        self.addends.append((loss, items))
        if look or criterion.classifies:
            target = to_numpy(y)
            self.tally = self.tally or tally(criterion, scores, target)
            self.tally.add(scores, target)

    def result(self) -> Evaluation:
        total, counted = sum(loss for loss, _ in self.addends), sum(items for _, items in self.addends)
        if self.tally is not None and self.criterion.classifies and not self.tally.counts.any():
            raise DataError("evaluate", "a label that counts", "none but ignore_index")
        if not (counted and math.isfinite(total) and self.tally is not None):
            raise _not_finite()
        metrics = self.tally.metrics()
        top5 = metrics.get("top5_accuracy", 1.0) if self.criterion.classifies else math.nan
        return Evaluation(total / counted, metrics.get("accuracy", math.nan), top5, self.tally.counts, metrics)


def highest_label(criterion: Loss, split: Split) -> int:
    """The highest class that the criterion compares with the network's outputs, or −1."""
    ignored = criterion.ignore_index
    known = ignored == split.ignore_index or (split.ignore_index is None and ignored != split.highest_class)
    return split.highest_class if known else highest_class(split.labels, ignored)


def check_probabilities(who: str, criterion: Loss, split: Split) -> None:
    """Refuse numbers to predict, of which a criterion of classes would make a loss and an accuracy without a meaning.

    Parameters
        split : its labels are classes, or probabilities of classes, (N, …, K), whose sum is 1; the first are looked at
    """
    if not criterion.classifies or split.has_classes or len(split.labels.shape) < 2:  # (N,): forward refuses it
        return
    first = next(blocks(split.labels))
    sums = first.sum(axis=-1)
    if not (first.min() >= 0 and np.allclose(sums, 1, atol=1e-3)):
        got = f"numbers from {first.min():.4g} to {first.max():.4g}, and sums from {sums.min():.4g} to {sums.max():.4g}"
        remedy = "for numbers to predict, pass criterion=nn.MSELoss(); for several labels, nn.BCEWithLogitsLoss()"
        raise DataError(who, f"classes, or their probabilities, for {type(criterion).__name__}", got, remedy)


def _not_finite() -> NonFiniteError:
    return NonFiniteError(
        "evaluate", "finite logits and loss", "NaN or infinity", "train again with a lower learning rate"
    )
