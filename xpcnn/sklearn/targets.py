"""What a classifier is trained on: the numbers of classes, or labels of 0 and 1, and the loss that weighs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from ..errors import OptionError, ShapeError
from ..nn import BCEWithLogitsLoss, CrossEntropyLoss
from ..nn.loss import Loss
from ..training.class_weights import weights_of_yes
from ..typing import NDArray


class Classes(NamedTuple):
    """The classes; or with `multilabel` the numbers of the labels, of which an item may have several."""

    labels: NDArray
    multilabel: bool = False

    @classmethod
    def of(cls, y: Any) -> Classes:
        """Those in these targets."""
        check_classification_targets(y)
        if type_of_target(y) == "multilabel-indicator":
            return cls(np.arange(y.shape[1]), True)
        return cls(np.unique(column_or_1d(y, warn=True)))

    def targets(self, who: str, y: Any) -> NDArray:
        """Numbers of classes (N,), or 0 and 1 (N, K).

        Raises
            OptionError, ShapeError : there are others
        """
        multilabel = type_of_target(y) == "multilabel-indicator"
        if multilabel != self.multilabel:
            kinds = ("a class an item", "several labels an item")
            raise OptionError(who, kinds[self.multilabel] + ", as in fit", kinds[multilabel])
        if multilabel:
            host = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
            if host.shape[1] != len(self.labels):
                raise ShapeError(who, f"{len(self.labels)} labels, as in fit", str(host.shape[1]))
            return host.astype(np.float32)
        y = column_or_1d(y)
        if unknown := set(np.unique(y).tolist()) - set(self.labels.tolist()):
            raise OptionError(who, f"classes among {self.labels.tolist()}"[:200], repr(min(unknown, key=str)))
        encoder = LabelEncoder()
        encoder.classes_ = self.labels
        numbers: NDArray = encoder.transform(y)
        return numbers

    def told(self, who: str) -> dict[str, Any]:
        """The labels as JSON values.

        Raises
            OptionError : they are neither numbers nor text
        """
        plain, dtype = self.labels.tolist(), self.labels.dtype
        if dtype.kind not in "biufUO" or not all(isinstance(each, bool | int | float | str) for each in plain):
            raise OptionError(who, "classes that are numbers or text", str(dtype), "number the classes")
        return {"classes": plain, "classes dtype": dtype.str}

    def loss(self, who: str, class_weight: Any, targets: NDArray, weight: NDArray | None) -> Loss:
        """The loss with the weights of the classes; for "balanced" an item of weight 2 counts as two."""
        if self.multilabel:
            positive = None if class_weight is None else self._of_yes(who, class_weight, targets, weight)
            return BCEWithLogitsLoss(pos_weight=positive)
        if class_weight is None:
            return CrossEntropyLoss()
        y = self.labels[targets]
        classes = compute_class_weight(class_weight, classes=self.labels, y=y, sample_weight=weight)
        return CrossEntropyLoss(weight=classes)

    def _of_yes(self, who: str, given: Any, targets: NDArray, weight: NDArray | None) -> list[float]:
        """The weight of yes for each label; "balanced" gives all yes and all no of a label the same."""
        if isinstance(given, Mapping) and given.keys() <= set(self.labels.tolist()):
            return [float(given.get(label, 1.0)) for label in self.labels.tolist()]
        if given != "balanced":
            raise OptionError(who, 'class_weight "balanced", or the weight of yes by labels', repr(given)[:80])
        weight = np.ones(len(targets)) if weight is None else weight
        return weights_of_yes(weight @ targets, weight.sum())
