"""The metrics of each task, from the batches of an evaluation: none depends on the batch size.

    classes            accuracy, top-5 accuracy of more than 5 classes, F1 (the mean over classes); mean IoU of pixels
    several labels     accuracy (the fraction of right yes and no), exact match (of items with all labels right), F1,
                       ROC AUC and average precision (means over labels); for pixels mean IoU instead of these two
    numbers            mean absolute error, R²
    images in [0, 1]   mean absolute error, PSNR, SSIM

Counts are added over batches. ROC AUC and average precision are exact: the scores of all items are kept. Means and
squared deviations of targets are combined as by Chan et al.; PSNR and SSIM are means over images.

Source: T. Chan, G. Golub and R. LeVeque, Updating formulae and a pairwise algorithm for computing sample variances,
1979, equations 2.1
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, ClassVar

import numpy as np

from ..nn.loss import Loss
from ..typing import Array, NDArray
from .metrics import (
    average_precision,
    confusion_matrix,
    f1,
    iou,
    label_confusion,
    mean_absolute_error,
    psnr,
    roc_auc,
    ssim,
    top_k_accuracy,
)
from .metrics.regression import r2_of

_LEAST_SSIM = 11  # pixels on a side, the size of its window


class Tally(ABC):
    """What has been counted of the outputs and targets of batches.

    Attributes
        counts : sums over batches, which are whole numbers;  batches : what is kept of each batch, in order
        names : of the metrics that there may be
    """

    names: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.counts: NDArray = np.zeros((0, 0), np.int64)
        self.batches: list[Any] = []

    @abstractmethod
    def add(self, outputs: NDArray, targets: NDArray) -> None:
        """Count a batch."""

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """The metrics that are defined, by name."""

    def _count(self, counts: NDArray) -> None:
        self.counts = self.counts + counts if self.counts.size else counts


def in_turn(parts: Sequence[list[Any]]) -> list[Any]:
    """The first of each, the second of each, and so on.

    >>> in_turn([[1, 4, 7], [2, 5], [3, 6]])
    [1, 2, 3, 4, 5, 6, 7]
    """
    end = object()
    return [each for turn in zip_longest(*parts, fillvalue=end) for each in turn if each is not end]


def tally(criterion: Loss, outputs: Array, targets: Array) -> Tally:
    """That of the criterion's task, for outputs and targets of these shapes."""
    if criterion.classifies:
        return Classes(criterion.ignore_index)
    if criterion.binary:
        return Labels(criterion.ignore_index)
    if outputs.shape != targets.shape or outputs.ndim < 2:
        return Nothing()
    return Images() if outputs.ndim == 4 else Numbers()


def joined(tallies: Sequence[Tally | None]) -> Tally:
    """That of all ranks, which have every so many batches each; the first has one at least."""
    total, *others = tallies
    assert total is not None
    for other in others:
        if other is not None and other.counts.size:
            total._count(other.counts)
    total.batches = in_turn([each.batches if each is not None else [] for each in tallies])
    return total


class Nothing(Tally):
    """For a loss whose outputs are not compared with targets of their shape: no metrics."""

    def add(self, outputs: NDArray, targets: NDArray) -> None:
        pass

    def metrics(self) -> dict[str, float]:
        return {}


class Classes(Tally):
    """A class for each item or position; `counts` is a confusion matrix (K, K), row = true, column = predicted."""

    names = ("accuracy", "top5_accuracy", "mean_iou", "f1")

    def __init__(self, ignore_index: int | None) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.positions = False

    def add(self, outputs: NDArray, targets: NDArray) -> None:
        labels = targets if targets.ndim < outputs.ndim else targets.argmax(axis=-1)  # (N, …)
        self.positions = outputs.ndim > 2
        scores, labels = outputs.reshape(-1, outputs.shape[-1]), labels.reshape(-1)
        if self.ignore_index is not None:
            scores, labels = scores[labels != self.ignore_index], labels[labels != self.ignore_index]
        if len(labels):
            self._count(confusion_matrix(scores, labels))
            k = min(5, scores.shape[1])
            self.batches.append(round(top_k_accuracy(scores, labels, k=k) * len(labels)))

    def metrics(self) -> dict[str, float]:
        counted = int(self.counts.sum())
        if not counted:
            return {}
        found = {"accuracy": int(np.trace(self.counts)) / counted}
        found |= {"top5_accuracy": sum(self.batches) / counted} if len(self.counts) > 5 else {}
        found |= {"mean_iou": float(np.nanmean(iou(self.counts)))} if self.positions else {}
        return found | {"f1": float(np.nanmean(f1(self.counts)))}


class Labels(Tally):
    """Yes-or-no questions; `counts` are their confusion matrices (K, 2, 2). Targets above ½ are yes."""

    names = ("accuracy", "exact_match", "f1", "mean_iou", "roc_auc", "average_precision")

    def __init__(self, ignore_index: int | None) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.positions = False

    def add(self, outputs: NDArray, targets: NDArray) -> None:
        k = outputs.shape[-1]
        labelled, self.positions = targets.ndim < outputs.ndim, outputs.ndim > 2
        scores = outputs.reshape(-1, k)
        yes = targets.reshape(-1)[:, None] == np.arange(k) if labelled else targets.reshape(-1, k) > 0.5  # (M, K)
        if labelled and self.ignore_index is not None:
            kept = targets.reshape(-1) != self.ignore_index
            scores, yes = scores[kept], yes[kept]
        if len(scores):
            self._count(label_confusion(scores, yes))
            right = int(((scores > 0) == yes).all(axis=1).sum())
            self.batches.append((right, None, None) if self.positions else (right, scores, yes))

    def metrics(self) -> dict[str, float]:
        total = int(self.counts.sum())
        if not total:
            return {}
        right, scores, yes = zip(*self.batches, strict=True)
        found = {
            "accuracy": int(self.counts[:, 0, 0].sum() + self.counts[:, 1, 1].sum()) / total,
            "exact_match": sum(right) / int(self.counts[0].sum()),
            "f1": _mean(f1(self.counts)),
        }
        if self.positions:
            found["mean_iou"] = _mean(iou(self.counts))
        else:
            kept = np.concatenate(scores), np.concatenate(yes)
            found |= {"roc_auc": _mean(roc_auc(*kept)), "average_precision": _mean(average_precision(*kept))}
        return {name: value for name, value in found.items() if not math.isnan(value)}


class Numbers(Tally):
    """Numbers (N, K) or (N, …): of each batch how many, Σ|y − t|, Σ(y − t)², the mean of t and Σ(t − mean)²."""

    names = ("mean_absolute_error", "r2")

    def add(self, outputs: NDArray, targets: NDArray) -> None:
        y, t = (array.reshape(len(array), -1).astype(np.float64) for array in (outputs, targets))  # (N, K)
        mean = t.mean(axis=0)
        self.batches.append(
            (len(y), np.abs(y - t).sum(), ((y - t) ** 2).sum(axis=0), mean, ((t - mean) ** 2).sum(axis=0))
        )

    def metrics(self) -> dict[str, float]:
        n, distances, errors, mean, spread = self.batches[0]
        for m, more, squares, its_mean, its_spread in self.batches[1:]:
            distances, errors, apart = distances + more, errors + squares, its_mean - mean
            spread = spread + its_spread + apart**2 * (n * m / (n + m))
            mean, n = mean + apart * (m / (n + m)), n + m
        found = {"mean_absolute_error": float(distances / (n * len(mean)))}
        return found | ({"r2": r2_of(errors, spread)} if n > 1 else {})


class Images(Tally):
    """Images (N, H, W, C): of each batch how many, the mean distance, and of those in [0, 1] PSNR and SSIM."""

    names = ("mean_absolute_error", "psnr", "ssim")

    def add(self, outputs: NDArray, targets: NDArray) -> None:
        found = [float(len(outputs)), mean_absolute_error(outputs, targets)]
        if targets.min() >= 0 and targets.max() <= 1:
            found.append(psnr(outputs, targets))
            found += [ssim(outputs, targets)] if min(targets.shape[1:3]) >= _LEAST_SSIM else []
        self.batches.append(found)

    def metrics(self) -> dict[str, float]:
        known = min(map(len, self.batches))  # not of targets that are outside [0, 1] in any batch
        images, *columns = zip(*(each[:known] for each in self.batches), strict=True)
        means = (sum(n * value for n, value in zip(images, column, strict=True)) / sum(images) for column in columns)
        return dict(zip(self.names, means, strict=False))


def _mean(rates: NDArray) -> float:
    """The mean over those that are defined; NaN if none is."""
    defined = rates[~np.isnan(rates)]
    return float(defined.mean()) if defined.size else math.nan


_WORDS = {"top5_accuracy": "top-5 accuracy", "f1": "F1", "mean_iou": "mean IoU", "roc_auc": "ROC AUC"}
_WORDS |= {"r2": "R²", "psnr": "PSNR", "ssim": "SSIM"}


def metrics_in_words(metrics: Mapping[str, float]) -> str:
    """A line of them.

    >>> metrics_in_words({"accuracy": 0.5, "roc_auc": 0.75, "psnr": 30.0})
    'accuracy 50.00%  ROC AUC 0.75  PSNR 30 dB'
    """
    said = []
    for name, value in metrics.items():
        share = name.endswith("accuracy") or name == "exact_match"
        number = f"{value:.2%}" if share else f"{value:z.4g} dB" if name == "psnr" else f"{value:z.4g}"
        said.append(f"{_WORDS.get(name, name.replace('_', ' '))} {number}")
    return "  ".join(said)
