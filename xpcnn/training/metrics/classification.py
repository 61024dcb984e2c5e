"""Metrics of a classifier, from its scores (logits or probabilities) and the true labels.

Scores (N, …, K) are of an item, or of each position in it, such as a pixel; labels (N, …) are integers in any dtype.
All metrics agree on which class has the highest score: of equal scores, that of the lower class. There is no highest
score among NaN, so NaN is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import NonFiniteError, OptionError, ShapeError
from ...options import as_count
from ...typing import NDArray
from .numbers import real

_MOST_CLASSES = 2**15  # for a confusion matrix of 8 GiB


def accuracy(scores: Any, labels: Any) -> float:
    """The fraction of items whose highest score is that of their label.

    Parameters
        scores : Array (N, …, K), real;  labels : integers (N, …)
    Raises
        ShapeError : they do not fit together;  DTypeError : they are no such numbers, or some are masked
        OptionError : a label has no score;  NonFiniteError : scores contain NaN

    >>> accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    """
    return top_k_accuracy(scores, labels, k=1)


def top_k_accuracy(scores: Any, labels: Any, *, k: int = 5) -> float:
    """The fraction of items whose label is among their k highest scores; of equal scores the lower class is first.

    Parameters, errors
        as in `accuracy`;  k : 1 … K

    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
    0.5
    """
    scores, labels = _checked(scores, labels)
    if as_count("top_k_accuracy", "k", k) > scores.shape[1]:
        raise OptionError("top_k_accuracy", f"1 ≤ k ≤ {scores.shape[1]}", str(k))
    own = np.take_along_axis(scores, labels[:, None], axis=1)  # (N, 1)
    lower = np.arange(scores.shape[1]) < labels[:, None]  # (N, K)
    before = np.count_nonzero((scores > own) | ((scores == own) & lower), axis=1)  # (N,), classes before the label
    return float((before < k).mean())


def confusion_matrix(
    scores: Any, labels: Any, *, ignore_index: int | None = None
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Counts (K, K): row = true class, column = the class with the highest score.

    Parameters, errors
        as in `accuracy`;  ignore_index : the label of positions that do not count, such as 255
        OptionError : more than 32768 classes

    >>> confusion_matrix([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 1, 0])
    array([[0, 1],
           [1, 1]])
    """
    scores, labels = _checked(scores, labels, ignore_index)
    k = scores.shape[1]
    if k > _MOST_CLASSES:
        remedy = "accuracy and top_k_accuracy take any number"
        raise OptionError("confusion_matrix", f"at most {_MOST_CLASSES} classes", str(k), remedy)
    return np.bincount(labels * k + scores.argmax(axis=1), minlength=k * k).reshape(k, k)


def _checked(scores: Any, labels: Any, ignore_index: int | None = None) -> tuple[NDArray, NDArray]:
    """Scores (M, K) without NaN, and labels (M,) as int64, of the M positions that count."""
    scores, labels = real("scores", scores), real("labels", labels)
    if scores.ndim < 2 or labels.shape != scores.shape[:-1] or 0 in scores.shape:
        got = f"{scores.shape} and {labels.shape}"
        raise ShapeError("metrics", "scores (N, …, K) and labels (N, …), N and K ≥ 1", got)
    scores, labels = scores.reshape(-1, scores.shape[-1]), labels.reshape(-1)
    if np.isnan(scores).any():
        row = int(np.isnan(scores).any(axis=1).argmax())
        raise NonFiniteError("metrics", "scores without NaN", f"NaN in row {row}")
    if ignore_index is not None:
        counts = labels != ignore_index
        scores, labels = scores[counts], labels[counts]
    low, high = (labels.min(), labels.max()) if labels.size else (0, 0)
    if not (low >= 0 and high < scores.shape[1]):  # also false for NaN
        raise OptionError("metrics", f"labels 0 … {scores.shape[1] - 1}", f"{low} … {high}")
    whole = labels.astype(np.int64)
    if (whole != labels).any():
        raise OptionError("metrics", "labels that are whole numbers", str(labels[whole != labels][0]))
    return scores, whole
