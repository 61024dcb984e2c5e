"""Softmax and cross-entropy on CuPy: two kernels forward, and one backward.

With a[n,k] = w[k]·((1 − ε)·q[n,k] + ε/K) as in `xpcnn.ops.loss_classification`, a thread takes one row of y,

    m[n] = max_j y[n,j],   s[n] = log Σ_j exp(y[n,j] − m[n]),   A[n] = Σ_j a[n,j]                 (1)
    l[n] = −Σ_k a[n,k]·log p[n,k] / D,   log p[n,k] = (y[n,k] − m[n]) − s[n]                      (2)
    L = Σ_n l[n],   dL/dy[n,k] = (p[n,k]·A[n] − a[n,k]) / D                                       (3), (4)

For the mean with class weights, D = Σ_n w[c_n] is a sum of its own, and L is divided by it at the end. A row whose
label is no class is NaN.

Source: the equations are those of `xpcnn.ops.loss_classification`.
"""

from __future__ import annotations

from typing import Any

from ...ops.loss_elementwise import divisor
from ...ops.one_hot import check_labels, check_scores, positions
from ...options import as_number
from ...typing import Cache
from .kernel import Array, Kernel, refuses_kind
from .proof import proven
from .sums import empty

_SHARE = (
    "ignoring && c == ignored ? T(0) : T(weighted ? w[k] : 1) * ((k == c ? 1 - smoothing : T(0)) + smoothing / classes)"
)
ROWS = Kernel(
    "cross_entropy",
    "raw T y, raw L labels, raw T w, index classes, index weighted, T smoothing, index ignoring, int64 ignored, T d",
    "raw T m, raw T s, raw T total, raw T loss, raw T own",
    f"""
    T most = y[i * classes], sum = 0, shares = 0, dot = 0, nan = 0;
    long long c = labels[i];
    for (index k = 1; k < classes; ++k) if (y[i * classes + k] > most) most = y[i * classes + k];
    for (index k = 0; k < classes; ++k) sum += exp(y[i * classes + k] - most);
    sum = log(sum);
    for (index k = 0; k < classes; ++k) {{
        T a = {_SHARE};
        shares += a;
        if (a != 0) dot += a * (y[i * classes + k] - most - sum);
    }}
    if ((c < 0 || c >= classes) && !(ignoring && c == ignored)) nan = (sum - sum) / (sum - sum);
    m[i] = most;
    s[i] = sum;
    total[i] = shares + nan;
    loss[i] = (0 - dot) / d + nan;
    own[i] = nan != nan ? nan : ignoring && c == ignored ? T(0) : weighted ? w[c] : T(1);
    """,
)
GRADIENT = Kernel(
    "cross_entropy_dy",
    "raw T y, raw L labels, raw T w, raw T m, raw T s, raw T total, raw T d, index classes, index weighted, "
    "T smoothing, index ignoring, int64 ignored, T known",
    "raw T dy",
    f"""
    index k = i % classes, n = i / classes;
    long long c = labels[n];
    T a = {_SHARE};
    dy[i] = (exp(y[i] - m[n] - s[n]) * total[n] - a) / (known > 0 ? known : d[0]);
    """,
)


def refuses(y: Any, target: Any, *, weight: Any = None, item_weight: Any = None, **options: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    if item_weight is not None:
        return "weights of items"
    kind = refuses_kind(y, weight)
    if kind is None and getattr(target, "ndim", 0) == y.ndim:
        return "targets that are probabilities"
    return kind


def forward(
    y: Array,
    target: Array,
    *,
    weight: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    item_weight: None = None,
    reduction: str = "mean",
) -> tuple[Array, Cache]:
    """`cross_entropy_forward`, for labels, without weights of items."""
    import cupy

    who = "CrossEntropyLoss"
    smoothing = as_number(who, "label_smoothing", label_smoothing, "[0, 1)")
    check_scores(who, y, target, weight)
    check_labels(who, target, y)
    n, w = positions(y), y if weight is None else weight
    d = float(divisor(who, reduction, n))
    counts = reduction == "mean" and not (weight is None and ignore_index is None)  # D is a sum
    rows = [empty((n,), y) for _ in range(5)]
    m, s, total, losses, own = rows
    ignored = (int(ignore_index is not None), ignore_index or 0)
    options = (y.shape[-1], int(weight is not None), smoothing, *ignored)
    ROWS(y, target, w, *options, 1.0 if counts else d, *rows, size=n)  # (1), (2)
    loss = cupy.sum(losses)  # ()                                                                    (3)
    if not counts:
        return loss, (y, target, w, m, s, total, s, *options, d)
    d_own = cupy.sum(own)
    return loss / d_own, (y, target, w, m, s, total, d_own, *options, 0.0)


def backward(cache: Cache) -> Array:
    """`cross_entropy_backward`."""
    y = cache[0]
    dy = empty(y.shape, y)
    return GRADIENT(*cache, dy, size=dy.size)  # (4)


IMPLEMENTATION = proven("cross_entropy", refuses, forward, backward)
