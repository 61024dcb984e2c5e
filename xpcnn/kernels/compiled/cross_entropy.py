"""Softmax and cross-entropy in compiled loops: one pass over the outputs forward, and one over p backward.

With a[n,k] = v[n]·w[k]·((1 − ε)·q[n,k] + ε/K) as in `xpcnn.ops.loss_classification`, for each row n of outputs,

    m = max_j y[n,j],   s = Σ_j exp(y[n,j] − m),   p[n,k] = exp(y[n,k] − m) / s                   (1)
    L = −Σ a[n,k]·log p[n,k] / D,   log p[n,k] = y[n,k] − m − log s                               (2), (3)
    dL/dy[n,k] = (p[n,k]·Σ_j a[n,j] − a[n,k]) / D                                                 (4)

with the equation numbers of that module. The cache has p, of which the reference has the logarithm and a.

Source: the equations are those of `xpcnn.ops.loss_classification`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...ops.implementations import Implementation
from ...ops.item_weight import item_weights
from ...ops.loss_elementwise import divisor
from ...ops.one_hot import check_labels, check_scores, one_hot, positions
from ...options import as_number
from ...typing import Cache, NDArray
from ..batch_last import chunks
from ..elementwise import refuses_run
from ..memory import empty
from ..threads import PASS, parallel
from .elementary import exp
from .loop import NAME, In1, In2, InInts1, Out1, Out2, Sums1, contiguous, loop, part, refuses_numbers

BLOCK = 1 << 14  # numbers, or one row


@part
def shares(v: Any, c: int, ignored: int, smoothing: Any, classes: Any) -> Any:
    """a[n,k] / w[k] of a row with label c: what k = c has besides, and what each k has; (3)."""
    counts = 0.0 if c == ignored else v
    return counts * (1.0 - smoothing), counts * (smoothing / classes)


@loop
def losses(
    y: In2, labels: InInts1, v: In1, w: In1, smoothing: float, ignored: int, first: int, last: int,
    p: Out1, totals: Out1, sums: Sums1,
) -> None:  # fmt: skip
    """p, Σ_j a[n,j], and the sums of L and of D."""
    classes = y.shape[1]
    p = p[first * classes : last * classes]
    for n in range(last - first):
        row, out = y[first + n], p[n * classes : (n + 1) * classes]
        most = row[0]
        for k in range(classes):
            most = row[k] if row[k] > most else most
        for k in range(classes):
            out[k] = row[k] - most
        totals[first + n] = most
    for k in range(len(p)):  # of all rows, as K may be less than what the processor computes at once
        p[k] = exp(p[k])
    for n in range(last - first):
        row, out, c, s = y[first + n], p[n * classes : (n + 1) * classes], labels[first + n], 0.0
        for k in range(classes):
            s += out[k]
        for k in range(classes):
            out[k] = out[k] / s  # (1)
        own, even = shares(v[first + n], c, ignored, smoothing, y.dtype.type(classes))
        shift, total, loss = totals[first + n] + math.log(s), 0.0, 0.0 * s  # m + log s; NaN stays
        if even > 0.0:
            for k in range(classes):
                a = even * w[k]
                total += a
                loss -= a * (row[k] - shift) if a != 0.0 else 0.0  # (2), (3)
        if own > 0.0 and w[c] != 0.0:
            total += own * w[c]
            loss -= own * w[c] * (row[c] - shift)  # (2), (3)
        totals[first + n] = total
        sums[0] += loss
        sums[1] += v[first + n] * w[c] if c != ignored else 0.0


@loop
def gradient(
    p: In2, labels: InInts1, v: In1, w: In1, smoothing: float, ignored: int, totals: In1, d: float,
    first: int, last: int, dy: Out2,
) -> None:  # fmt: skip
    """(4)."""
    classes = p.shape[1]
    for n in range(first, last):
        row, out, c, total = p[n], dy[n], labels[n], totals[n]
        own, even = shares(v[n], c, ignored, smoothing, p.dtype.type(classes))
        for k in range(classes):
            out[k] = (row[k] * total - even * w[k]) / d  # (4)
        if own > 0.0:
            out[c] = (row[c] * total - (even * w[c] + own * w[c])) / d  # (4)


def refuses(y: Any, target: Any, *, weight: Any = None, item_weight: Any = None, **options: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    reason = refuses_numbers(y) or refuses_run(y) or (None if weight is None else refuses_numbers(weight))
    if reason is None and not all(isinstance(each, np.ndarray | None) for each in (target, item_weight)):
        return "the arrays are not NumPy's"
    if reason is None and getattr(target, "ndim", 0) == y.ndim:
        return "targets that are probabilities"
    return reason


def forward(
    y: NDArray,
    target: NDArray,
    *,
    weight: NDArray | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    item_weight: NDArray | None = None,
    reduction: str = "mean",
) -> tuple[Any, Cache]:
    """`cross_entropy_forward` for labels, in a compiled loop."""
    who = "CrossEntropyLoss"
    smoothing = as_number(who, "label_smoothing", label_smoothing, "[0, 1)")
    check_scores(who, y, target, weight)
    per_item: Any = item_weights(who, y, item_weight)  # (N, 1, …, 1)
    count, classes = positions(y), y.shape[-1]
    d = divisor(who, reduction, count)
    check_labels(who, target, y)
    if not ((target >= 0) & (target < classes) | (target == ignore_index)).all():
        one_hot(who, target, y, ignore_index)  # raises
    rows = contiguous(y).reshape(count, classes)  # (M, K), M positions
    labels = contiguous(target.astype(np.int64, copy=False)).reshape(count)  # (M,)
    v, w = np.ones(count, y.dtype), np.ones(classes, y.dtype) if weight is None else contiguous(weight)
    if per_item is not None:
        v = np.broadcast_to(per_item[..., 0], target.shape).reshape(count).copy()  # (M,)
    given = (labels, v, w, smoothing, -1 if ignore_index is None else ignore_index)
    p, totals = empty(rows.shape, y.dtype), np.empty(count, y.dtype)
    units = _units(rows)
    sums = np.zeros((len(units), 2))

    def work(k: int) -> None:
        losses(rows, *given, units[k].start, units[k].stop, p.reshape(-1), totals, sums[k])

    parallel(work, range(len(units)), 8 * PASS * p.size)
    loss, counted = sums.sum(axis=0)
    if reduction == "mean" and not (weight is None and item_weight is None and ignore_index is None):
        d = counted
    with np.errstate(invalid="ignore", over="ignore"):  # 0 / 0 where no row counts
        mean = (loss / np.float64(d)).astype(y.dtype)  # ()
    return mean, (p, given, totals, float(d), y.shape)


def backward(cache: Cache) -> NDArray:
    """`cross_entropy_backward`, in a compiled loop."""
    p, given, totals, d, shape = cache
    dy = empty(p.shape, p.dtype)
    parallel(lambda at: gradient(p, *given, totals, d, at.start, at.stop, dy), _units(p), 2 * PASS * p.size)
    return dy.reshape(shape)


def _units(rows: NDArray) -> list[slice]:
    return chunks(len(rows), max(1, BLOCK // rows.shape[1]))


IMPLEMENTATION = Implementation(NAME, refuses, forward, backward)
