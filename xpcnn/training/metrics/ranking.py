"""Metrics of the order in which scores put yes and no: they need no threshold.

For a question with P items whose answer is yes, and M whose answer is no:

    ROC AUC             Σ_{yes i, no j} ([s_i > s_j] + ½·[s_i = s_j]) / (P·M)                        (1)
    average precision   Σ_t (R_t − R_{t−1})·Pr_t,  over the distinct scores t from the highest down   (2)
        with R_t = recall and Pr_t = precision of the answer "yes for scores ≥ t"

Sources
    J. Hanley and B. McNeil, The meaning and use of the area under a ROC curve, 1982    → (1)
    scikit-learn, average_precision_score                                               → (2)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import NonFiniteError, ShapeError
from ...typing import NDArray
from .numbers import real, yes_or_no


def roc_auc(scores: Any, targets: Any) -> NDArray:
    """The probability that a random yes has a higher score than a random no, (1).

    Parameters
        scores : Array (N,) of one question, or (N, K);  targets : 0 or 1, of the same shape
    Returns
        () or (K,), float64; NaN for a question whose answers are all the same
    Raises
        ShapeError, DTypeError;  NonFiniteError : scores contain NaN

    >>> float(roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]))
    0.75
    """
    return _each(_roc_auc, scores, targets)


def average_precision(scores: Any, targets: Any) -> NDArray:
    """The area below the curve of precision against recall, (2); Parameters, Returns, Raises as in `roc_auc`.

    >>> round(float(average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])), 4)
    0.8333
    """
    return _each(_average_precision, scores, targets)


def _each(metric: Any, scores: Any, targets: Any) -> NDArray:
    scores, targets = real("scores", scores), real("targets", targets)
    if scores.shape != targets.shape or scores.ndim not in (1, 2) or not scores.size:
        got = f"{scores.shape} and {targets.shape}"
        raise ShapeError("metrics", "scores and targets of one shape (N,) or (N, K)", got)
    if np.isnan(scores).any():
        raise NonFiniteError("metrics", "scores without NaN", "NaN")
    yes = yes_or_no(targets)
    if scores.ndim == 1:
        return np.asarray(metric(scores, yes))
    return np.array([metric(scores[:, k], yes[:, k]) for k in range(scores.shape[1])])


def _below(scores: NDArray, yes: NDArray) -> tuple[NDArray, NDArray]:
    """The numbers of yes and of no at each distinct score, from the highest down."""
    _, place = np.unique(scores, return_inverse=True)
    return np.bincount(place, yes)[::-1], np.bincount(place, ~yes)[::-1]


def _roc_auc(scores: NDArray, yes: NDArray) -> float:
    at_yes, at_no = _below(scores, yes)
    if not (at_yes.any() and at_no.any()):
        return float("nan")
    lower = at_no.sum() - np.cumsum(at_no)
    return float((at_yes * (lower + at_no / 2)).sum() / (at_yes.sum() * at_no.sum()))  # (1)


def _average_precision(scores: NDArray, yes: NDArray) -> float:
    at_yes, at_no = _below(scores, yes)
    if not (at_yes.any() and at_no.any()):
        return float("nan")
    precision = np.cumsum(at_yes) / np.cumsum(at_yes + at_no)
    return float((at_yes / at_yes.sum() * precision).sum())  # (2)
