"""The loss of a task."""

from __future__ import annotations

from ..nn import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from ..nn.loss import Loss


def criterion_of(task: str, ignore_index: int | None = None) -> Loss:
    """The loss for a `Dataset.task`, or for what a saved network gives (`SavedModel.kind_of_outputs`).

    That is cross-entropy of items or pixels, binary cross-entropy of each label, or the mean squared error.

    Parameters
        ignore_index : the class of pixels that do not count

    >>> criterion_of("numbers")
    MSELoss(reduction='mean')
    """
    if task in ("classes", "pixels"):
        return CrossEntropyLoss(ignore_index=ignore_index)
    return BCEWithLogitsLoss() if task == "labels" else MSELoss()
