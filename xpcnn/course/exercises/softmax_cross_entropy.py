"""Softmax with cross-entropy, and their gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import cross_entropy_backward, cross_entropy_forward
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake, Pair
from ..plain import drawn


def _right(logits: NDArray, labels: NDArray) -> Any:
    loss, cache = cross_entropy_forward(logits, labels)
    return loss, cross_entropy_backward(cache)


def _pair(function: Any, logits: NDArray, labels: NDArray) -> Pair:
    def forward(y: NDArray) -> Any:
        return cross_entropy_forward(y, labels)[0], y

    return forward, lambda dy, y: [dy * function(y, labels)[1]], {"dlogits": logits}


def _make(y: NDArray, labels: NDArray, *, axis: int = 1, shift: bool = True, eps: float = 0.0) -> Any:
    """(loss summed, p, q)."""
    e = np.exp(y - y.max(axis, keepdims=True) if shift else y)
    p, q = e / e.sum(axis, keepdims=True), np.eye(y.shape[1])[labels]
    with np.errstate(all="ignore"):
        return -np.log(p[np.arange(len(y)), labels] + eps).sum(), p, q


def _scaled(loss_by: str, dy_by: str, **options: Any) -> Any:
    def function(y: NDArray, labels: NDArray) -> Any:
        loss, p, q = _make(y, labels, **options)
        by = {"N": len(y), "1": 1, "NK": y.size}
        return loss / by[loss_by], (p - q) / by[dy_by]

    return function


def _gradient(make: Any) -> Any:
    def function(y: NDArray, labels: NDArray) -> Any:
        loss, p, q = _make(y, labels)
        return loss / len(y), make(p, q) / len(y)

    return function


def _cases() -> list[Case]:
    return [
        Case("one image", {"logits": drawn(0, 1, 3), "labels": np.array([2])}),
        Case("several images", {"logits": drawn(1, 4, 5), "labels": np.array([0, 3, 3, 1])}),
        Case("large logits", {"logits": 1000 + 3 * drawn(2, 3, 4), "labels": np.array([1, 0, 2])}),
    ]


EXERCISE = Exercise(
    number=9,
    title="Softmax with cross-entropy",
    text="""The scores of each image (the logits, a row) become probabilities p, and the loss is the mean of −log
p of the right classes. Return the loss, and its gradient with respect to the logits. q is 1 at the right class, and
0 elsewhere. Subtract each row's largest score first: nothing changes, and `exp` does not overflow.""",
    formula="""log p[n,k] = z[n,k] − log Σ_j exp z[n,j],   z[n,k] = logits[n,k] − max_j logits[n,j]       (1)
loss = −Σ_n log p[n, labels[n]] / N                                                       (2)
dlogits[n,k] = (p[n,k] − q[n,k]) / N                                                      (4)""",
    hint="""`logits.max(axis=1, keepdims=True)` is the largest of each row. `log_p[np.arange(n), labels]` picks
the right class of each row. For the gradient, subtract 1 from p at these places.""",
    code='''import numpy as np


def softmax_cross_entropy(logits, labels):
    """logits (N, K), labels (N,), integers → the loss, a number, and dlogits (N, K)."""
    loss = ...
    dlogits = ...
    return loss, dlogits
''',
    outputs={"loss": "", "dlogits": "nk"},
    cases=_cases,
    right=_right,
    pair=_pair,
    factors=lambda logits, labels: {
        "N, the number of images": len(logits),
        "K, the number of classes": logits.shape[1],
    },
    mistakes=(
        Mistake("the maximum were not subtracted, so that exp overflows", _scaled("N", "N", shift=False)),
        Mistake("the loss were a sum and its gradient that of the mean", _scaled("1", "N")),
        Mistake("the loss were a mean and its gradient that of the sum", _scaled("N", "1")),
        Mistake("loss and gradient were those of the sum, not of the mean", _scaled("1", "1")),
        Mistake("it were the mean over images and classes", _scaled("NK", "NK")),
        Mistake("softmax went over the images, not over the classes", _scaled("N", "N", axis=0)),
        Mistake("the target were not subtracted", _gradient(lambda p, q: p)),
        Mistake("the gradient had the opposite sign", _gradient(lambda p, q: q - p)),
        Mistake(
            "dlogits were the gradient with respect to the probabilities",
            _gradient(lambda p, q: -q / np.maximum(p, 1e-300)),
        ),
        Mistake(
            "dlogits were multiplied by softmax's own p(1 − p) once more", _gradient(lambda p, q: (p - q) * p * (1 - p))
        ),
    ),
    line=Line("ops.loss_classification", "cross_entropy_backward", (4,), "classification_losses"),
    example="""softmax_cross_entropy(np.log(np.array([[1.0, 3.0]])), np.array([0]))  # 1.386 and [[-0.75, 0.75]]""",
)
