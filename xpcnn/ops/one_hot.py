"""Labels as q, and the divisor of a mean over labelled positions.

Outputs y (N, …, K) have a score for each of K classes at every position: an item, or one of its pixels. A label c is
written as q[…,k] = 1 for k = c, else 0. A position whose label is `ignore_index` has q = 0, and is not counted.

A NumPy label that is no class raises a `DataError`. On a device, reading the labels would mean waiting. There, q of
such a position is NaN, and so are the loss and that position's gradient.
"""

from __future__ import annotations

import math
from typing import Any

from ..backend import array_namespace, dtype_name, is_numpy
from ..errors import DataError, DTypeError, ShapeError
from ..options import as_choice
from ..typing import Array
from .check import check_array, check_batch, check_floats
from .item_weight import weighed


def one_hot(who: str, labels: Array, y: Array, ignore_index: int | None = None) -> Array:
    """q (N, …, K) in y's dtype, for labels (N, …) and outputs y (N, …, K), by comparison with 0 … K−1."""
    xp, k = check_labels(who, labels, y), y.shape[-1]
    labels = xp.astype(labels, xp.int64)
    classes = xp.arange(k, dtype=xp.int64, device=y.device)  # (K,)
    q: Array = xp.astype(labels[..., None] == classes, y.dtype)  # (N, …, K)
    is_class = (labels >= 0) & (labels < k)  # (N, …)
    if ignore_index is not None:
        ignored = labels == ignore_index
        is_class = is_class | ignored
        q = xp.where(ignored[..., None], xp.zeros_like(q), q)
    if not is_numpy(labels):
        no_class = xp.full((1,) * y.ndim, math.nan, dtype=y.dtype, device=y.device)
        q = xp.where(is_class[..., None], q, no_class)
    elif not xp.all(is_class):
        seen = labels if ignore_index is None else labels[labels != ignore_index]
        remedy = "number the classes from 0, or give the network more outputs"
        raise DataError(who, f"labels 0 … {k - 1}", f"{int(xp.min(seen))} … {int(xp.max(seen))}", remedy)
    return q


def check_labels(who: str, labels: Array, y: Array) -> Any:
    """Check that there is an integer for each position of y; return their namespace."""
    xp = array_namespace(y, labels)
    *positions, _ = y.shape
    if tuple(labels.shape) != tuple(positions):
        one = f"({positions[0]},)" if len(positions) == 1 else str(tuple(positions))
        remedy = "one label for each row" if len(positions) == 1 else "a label an image needs Flatten() before"
        raise ShapeError(who, f"labels {one}", str(tuple(labels.shape)), remedy)
    if not xp.isdtype(labels.dtype, "integral"):
        raise DTypeError(who, "integer labels", dtype_name(labels), "convert them: xpcnn.asarray(labels, 'int64')")
    return xp


def check_scores(who: str, y: Array, target: Array, weight: Array | None = None) -> Any:
    """Refuse y unless it is (N, …, K), and class weights unless they are (K,); return their namespace."""
    check_array(who, y)
    check_array(who, target)
    if y.ndim < 2:
        check_batch(who, y, "K")
    check_batch(who, y, *y.shape[1:])
    if weight is not None and tuple(weight.shape) != (y.shape[-1],):
        raise ShapeError(who, f"weight ({y.shape[-1]},), one for each class", str(tuple(weight.shape)))
    return check_floats(who, y, weight)


def position_weights(v: Array | None, weight: Array | None) -> Array | None:
    """v[n]·w[k] for the weights (N, 1, …, 1) of items and (K,) of classes, which broadcasts to (N, …, K); or None."""
    return v if weight is None else weighed(weight, v)


def positions(y: Array) -> int:
    """The number of positions of outputs y (N, …, K): for (N, K) that of items."""
    return math.prod(y.shape[:-1])


def label_count(who: str, reduction: str, q: Array, weight: Array | None, ignore_index: int | None) -> Any:
    """D, the divisor of a loss: 1 for the reduction "sum", else the sum of the weights of the positions that count."""
    if as_choice(who, "reduction", reduction, ("mean", "sum")) == "sum":
        return 1
    if weight is None and ignore_index is None:
        return positions(q)
    return array_namespace(q).sum(q if weight is None else q * weight)  # ()
