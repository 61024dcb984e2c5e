"""Weights of a loss by which frequent classes count no more than rare ones.

    of K classes     w_k = n / (K·n_k)                    (1)
    of labels        w_k = (n − n_k) / n_k, of yes        (2)

n_k of n labels are of class k, or of n items have label k. K counts the classes that there are; others have weight 1.

Source: scikit-learn, compute_class_weight → (1)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.source import blocks
from ..data.split import Split
from ..errors import OptionError
from ..nn.loss import Loss
from ..options import as_count
from ..typing import NDArray


def balanced_weights(split: Split, classes: int, *, ignore_index: int | None = None) -> list[float]:
    """Weights for a loss: `CrossEntropyLoss(weight=balanced_weights(split, 10))`.

    Parameters
        split : with classes of items or pixels (1), or with several labels an item, 0 or 1 (2), for the `pos_weight` of
            `BCEWithLogitsLoss`
        classes : how many classes or labels there are
        ignore_index : the class that does not count
    Raises
        OptionError : its targets are neither

    >>> balanced_weights(Split(np.zeros((4, 2, 2, 1), np.uint8), np.array([0, 0, 0, 1])), 2)
    [0.6666666666666666, 2.0]
    """
    if not isinstance(split, Split):
        raise OptionError("balanced_weights", "a Split, such as digits().train", type(split).__name__)
    as_count("balanced_weights", "classes", classes)
    if split.highest_class >= classes and split.highest_class != ignore_index:
        raise OptionError("balanced_weights", f"classes above {split.highest_class}, as there are", str(classes))
    counts, n = np.zeros(classes, np.int64), 0
    for labels in blocks(split.labels):
        if split.has_classes:
            kept = labels if ignore_index is None else labels[labels != ignore_index]
            counts, n = counts + np.bincount(kept.ravel(), minlength=classes), n + kept.size
        elif labels.ndim == 2 and np.isin(labels, (0, 1)).all():
            counts, n = counts + np.count_nonzero(labels, axis=0), n + len(labels)
        else:
            raise OptionError("balanced_weights", "classes, or labels of 0 and 1", "other numbers", "leave it out")
    if not split.has_classes:
        return weights_of_yes(counts, n)
    there = counts > 0
    weights: NDArray = np.ones(classes)
    weights[there] = n / (there.sum() * counts[there])  # (1)
    return [float(weight) for weight in weights]


def weights_of_yes(counts: NDArray, n: float) -> list[float]:
    """The weight of yes for each label, which n_k of n items have; 1 where it is all or none.

    >>> weights_of_yes(np.array([1, 4]), 4)
    [3.0, 1.0]
    """
    return [float((n - k) / k) if 0 < k < n else 1.0 for k in counts]  # (2)


def balanced(criterion: Loss, split: Split, outputs: int, class_weight: str) -> Loss:
    """The criterion, with these weights if `class_weight` is "balanced".

    Raises
        OptionError : it takes none
    """
    if not class_weight:
        return criterion
    options: dict[str, Any] = criterion.config()
    name = next((each for each in ("weight", "pos_weight") if each in options), None)
    if name is None:
        raise OptionError("train class_weight", "classes, or labels of 0 and 1", "values", "leave it out")
    weights = balanced_weights(split, outputs, ignore_index=criterion.ignore_index)
    return type(criterion)(**options | {name: weights})
