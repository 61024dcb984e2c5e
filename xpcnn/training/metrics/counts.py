"""Rates from counts. Counts of batches can be added, so that no rate depends on the batch size.

The counts are a confusion matrix (K, K), row = true class, column = predicted; or, of K yes-or-no questions, the K
matrices (2, 2) that `label_confusion` returns. For each class or question, with TP right positives, FP wrong
positives and FN wrong negatives:

    precision = TP / (TP + FP)                        (1)
    recall    = TP / (TP + FN)                        (2)
    F1        = 2·TP / (2·TP + FP + FN)               (3)
    IoU       = TP / (TP + FP + FN)                   (4)

A rate is NaN where its denominator is 0, as for a class that is neither there nor predicted. `np.nanmean` of a rate is
its macro average over the others; of (4) it is the mean intersection over union.

>>> import numpy as np
>>> counts = np.array([[8, 2], [1, 9]])
>>> precision(counts).round(3), f1(counts).round(3), float(np.nanmean(iou(counts)).round(3))
(array([0.889, 0.818]), array([0.842, 0.857]), 0.739)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import NonFiniteError, ShapeError
from ...typing import NDArray
from .numbers import real, yes_or_no


def label_confusion(scores: Any, targets: Any, *, threshold: float = 0.0) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Counts (K, 2, 2) of K yes-or-no questions: row = the truth, column = whether the score is above the threshold.

    Parameters
        scores : Array (N, …, K), real;  targets : 0 or 1, of the same shape
        threshold : 0 for logits, 0.5 for probabilities
    Raises
        ShapeError, DTypeError;  NonFiniteError : scores contain NaN

    >>> label_confusion([[2.0, -1.0], [-3.0, 1.0]], [[1, 0], [1, 1]]).tolist()
    [[[0, 0], [1, 1]], [[1, 0], [0, 1]]]
    """
    scores, targets = real("scores", scores), real("targets", targets)
    if scores.shape != targets.shape or scores.ndim < 2 or not scores.size:
        got = f"{scores.shape} and {targets.shape}"
        raise ShapeError("metrics", "scores and targets of one shape (N, …, K)", got)
    if np.isnan(scores).any():
        raise NonFiniteError("metrics", "scores without NaN", "NaN")
    k = scores.shape[-1]
    answers = (scores > threshold).reshape(-1, k)
    cells = 2 * yes_or_no(targets).reshape(-1, k) + answers  # 0 … 3
    return np.stack([np.bincount(cells[:, each], minlength=4).reshape(2, 2) for each in range(k)])


def precision(counts: Any) -> NDArray:
    """Of the positive answers, the fraction that is right, (1): (K,).

    >>> precision([[8, 2], [1, 9]]).round(4)
    array([0.8889, 0.8182])
    """
    right, predicted, _ = _totals(counts)
    return _rate(right, predicted)  # (1)


def recall(counts: Any) -> NDArray:
    """Of the true ones, the fraction that is found, (2): (K,).

    >>> recall([[8, 2], [1, 9]]).round(4)
    array([0.8, 0.9])
    """
    right, _, true = _totals(counts)
    return _rate(right, true)  # (2)


def f1(counts: Any) -> NDArray:
    """The harmonic mean of precision and recall, (3): (K,).

    >>> f1([[8, 2], [1, 9]]).round(4)
    array([0.8421, 0.8571])
    """
    right, predicted, true = _totals(counts)
    return _rate(2 * right, predicted + true)  # (3)


def iou(counts: Any) -> NDArray:
    """Intersection over union, (4): (K,).

    >>> iou([[8, 2], [1, 9]]).round(4)
    array([0.7273, 0.75  ])
    """
    right, predicted, true = _totals(counts)
    return _rate(right, predicted + true - right)  # (4)


def _totals(counts: Any) -> tuple[NDArray, NDArray, NDArray]:
    """TP, TP + FP and TP + FN, (K,) each."""
    counts = real("counts", counts)
    if counts.ndim == 2 and counts.shape[0] == counts.shape[1]:
        return np.diagonal(counts), counts.sum(axis=0), counts.sum(axis=1)
    if counts.ndim == 3 and counts.shape[1:] == (2, 2):
        return counts[:, 1, 1], counts[:, :, 1].sum(axis=1), counts[:, 1].sum(axis=1)
    raise ShapeError("metrics", "counts (K, K) or (K, 2, 2)", str(counts.shape), "use confusion_matrix(scores, labels)")


def _rate(part: NDArray, whole: NDArray) -> NDArray:
    rate: NDArray = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)
    return rate
