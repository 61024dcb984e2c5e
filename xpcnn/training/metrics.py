"""How good a classifier is, from its scores (logits or probabilities) and the true labels, on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import to_numpy
from ..errors import OptionError, ShapeError
from ..options import as_count
from ..typing import Host


def accuracy(scores: Any, labels: Any) -> float:
    """The share of items whose highest score is their label's.

    Parameters
        scores : Array (N, K);  labels : integers (N,)
    Raises
        ShapeError : they do not fit together;  OptionError : labels that there is no score for

    >>> accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    """
    return top_k_accuracy(scores, labels, k=1)


def top_k_accuracy(scores: Any, labels: Any, *, k: int = 5) -> float:
    """The share of items whose label is among their k highest scores; of equal scores the lower class is first.

    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
    0.5
    """
    scores, labels = _checked(scores, labels)
    if as_count("top_k_accuracy", "k", k) > scores.shape[1]:
        raise OptionError("top_k_accuracy", f"1 ≤ k ≤ {scores.shape[1]}", str(k))
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]  # (N, k)
    return float((best == labels[:, None]).any(axis=1).mean())


def confusion_matrix(scores: Any, labels: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Counts (K, K): row = true class, column = the class with the highest score.

    >>> confusion_matrix([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 1, 0])
    array([[0, 1],
           [1, 1]])
    """
    scores, labels = _checked(scores, labels)
    k = scores.shape[1]
    return np.bincount(labels * k + scores.argmax(axis=1), minlength=k * k).reshape(k, k)


def _checked(scores: Any, labels: Any) -> tuple[Host, Host]:
    scores, labels = to_numpy(scores), to_numpy(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise ShapeError("metrics", "scores (N, K) and labels (N,), N ≥ 1", f"{scores.shape} and {labels.shape}")
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise OptionError("metrics", f"labels 0 … {scores.shape[1] - 1}", f"{labels.min()} … {labels.max()}")
    return scores, labels
