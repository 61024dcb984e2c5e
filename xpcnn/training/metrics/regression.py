"""Metrics of a regression, from outputs y and targets t of one shape.

    mean absolute error   Σ |y − t| / size                                          (1)
    R²                    1 − Σ_n (y − t)² / Σ_n (t − mean_n t)²                    (2)

(2) is taken for each of the K numbers of an item, and then averaged, as scikit-learn's "uniform_average". It is 1 for
exact outputs, and 0 for outputs that are always the mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...typing import NDArray
from .numbers import alike


def mean_absolute_error(outputs: Any, targets: Any) -> float:
    """The mean distance of outputs from their targets, (1), in the targets' units.

    Raises
        ShapeError, DTypeError, NonFiniteError

    >>> mean_absolute_error([1.0, 4.0], [1.0, 2.0])
    1.0
    """
    y, t = alike(outputs, targets)
    return float(np.abs(y - t).mean())  # (1)


def r2(outputs: Any, targets: Any) -> float:
    """The coefficient of determination, (2).

    Parameters
        outputs, targets : Array (N, …), N ≥ 2
    Returns
        float; where targets do not vary, 1 if all outputs are exact, else 0
    Raises
        ShapeError, DTypeError, NonFiniteError

    >>> r2([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    0.5
    """
    y, t = alike(outputs, targets)
    y, t = y.reshape(len(y), -1), t.reshape(len(t), -1)
    return r2_of(((y - t) ** 2).sum(axis=0), ((t - t.mean(axis=0)) ** 2).sum(axis=0))


def r2_of(errors: NDArray, spread: NDArray) -> float:
    """(2) from its two sums for each of the K numbers."""
    constant = spread == 0
    ratio = np.divide(errors, spread, out=(errors > 0).astype(np.float64), where=~constant)
    return float((1 - ratio).mean())  # (2)
