"""The labels of a split: a class an item, a class a pixel, or floats: numbers, probabilities, an image …"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from ..typing import NDArray, Shape
from .source import Items, Source, blocks


def check_targets(who: str, labels: Items, shape: Shape) -> None:
    """Refuse labels that do not belong to `shape[0]` items, or that no loss takes.

    Those of a source are not read: only their shape and type are checked.

    Parameters
        labels : (N,) of int64, classes from 0 on; (N, H, W) or more axes of integers, a class a pixel; or (N, …) of
            float32, finite
        shape : of the images, for the remedy
    Raises
        DataError
    """
    n = shape[0]
    if labels.dtype == np.float32 or (isinstance(labels, Source) and labels.dtype.kind == "f"):
        if labels.shape[:1] != (n,) or 0 in labels.shape:
            expected = f"targets ({n},) or ({n}, …), one row an image"
            raise DataError(who, expected, str(labels.shape), _remedy(labels, n))
        if not isinstance(labels, Source) and not np.isfinite(labels).all():
            raise DataError(who, "finite targets", "NaN or infinity", "leave such images out")
        return
    if labels.shape[:1] != (n,) or 0 in labels.shape or len(labels.shape) == 2:
        raise DataError(who, f"labels ({n},), one an image", str(labels.shape), _remedy(labels, n))
    if labels.dtype.kind not in "iu" or (labels.dtype != np.int64 and len(labels.shape) == 1):
        if labels.dtype.kind in "SU":
            remedy = "classes, labels = np.unique(labels, return_inverse=True)"
        else:
            remedy = "labels.astype('int64'), or 'float32' for the targets of a regression"
        raise DataError(who, "labels of int64", str(labels.dtype), remedy)
    if not isinstance(labels, Source) and (least := labels.min()) < 0:
        raise DataError(who, "labels from 0 on", str(least), "number the classes 0, 1, 2 …")


def task(classes: Sequence[str], labels: Items) -> str:
    """What there is to learn: "classes" of items, "pixels", each a class, several "labels" an item, or "numbers".

    >>> task(["cat", "dog"], np.zeros(3, np.int64)), task(["cat", "dog"], np.zeros((3, 2), np.float32))
    ('classes', 'labels')
    """
    if labels.dtype.kind in "iu":
        return "classes" if len(labels.shape) == 1 else "pixels"
    return "labels" if classes else "numbers"


def names_fit(classes: Sequence[str], labels: Items) -> bool:
    """True if there are names of classes, or of several labels, and none for the targets of a regression."""
    if task(classes, labels) != "labels":
        return bool(classes) == (labels.dtype.kind in "iu")
    fits = len(labels.shape) == 2 and labels.shape[1] == len(classes)
    return fits and (isinstance(labels, Source) or bool(((labels >= 0) & (labels <= 1)).all()))


def as_targets(labels: NDArray) -> NDArray:
    """A batch's labels in the type that losses take: int64 or float32.

    >>> as_targets(np.zeros((1, 2, 2), np.uint8)).dtype
    dtype('int64')
    """
    return labels.astype(np.int64 if labels.dtype.kind in "iu" else np.float32, copy=False)


def highest_class(labels: Items, ignored: int | None = None) -> int:
    """The highest class other than `ignored`, or −1 if there is none, as where the labels are floats."""
    if labels.dtype.kind not in "iu":
        return -1
    kept = (block if ignored is None else block[block != ignored] for block in blocks(labels))
    return max((int(block.max()) for block in kept if block.size), default=-1)


def in_words(labels: Items) -> str:
    """Their kind and shape: "labels 0 … 9", "targets (2,)"."""
    shape = labels.shape[1:]
    if labels.dtype.kind == "f":
        return f"targets {shape}"
    each = f"{shape} of " if shape else ""
    return f"labels {each}{labels.dtype}" if isinstance(labels, Source) else f"labels {each}0 … {labels.max()}"


def _remedy(labels: Items, n: int) -> str:
    """For labels that are not one for each image."""
    if labels.shape[:1] != (n,) or 0 in labels.shape:
        return "leave out images without a label, and labels without an image"
    if labels.shape[1] == 1:
        return "labels[:, 0]"
    return "labels.argmax(1) if a row is one-hot, labels.astype('float32') for several labels or a regression"
