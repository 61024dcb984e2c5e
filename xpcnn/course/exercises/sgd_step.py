"""Gradient descent."""

from __future__ import annotations

from typing import Any

from ...optim import SGD
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake
from ..plain import drawn


def _right(p: NDArray, g: NDArray, lr: float) -> Any:
    p = p.copy()
    SGD({"p": p}, lr=lr).step({"p": g})
    return p


EXERCISE = Exercise(
    number=11,
    title="Gradient descent",
    text="Move a parameter p a little against its gradient g. Return a new array: p itself stays as it is.",
    formula="p ← p − lr·g                                                              (3)",
    hint="One line, without a loop. `p -= …` would write into the caller's array; `p - …` makes a new one.",
    code='''import numpy as np


def sgd_step(p, g, lr):
    """p and its gradient g, of one shape; lr, a number → the new p."""
    p = ...
    return p
''',
    outputs={"p": ""},
    cases=lambda: [
        Case("one number", {"p": drawn(0, 1), "g": drawn(1, 1), "lr": 0.1}),
        Case("a kernel", {"p": drawn(2, 2, 3, 3, 1), "g": drawn(3, 2, 3, 3, 1), "lr": 0.001}),
    ],
    right=_right,
    mistakes=(
        Mistake("the gradient were added, which climbs", lambda p, g, lr: p + lr * g),
        Mistake("the learning rate were left out", lambda p, g, lr: p - g),
        Mistake("only the step were returned, not the new p", lambda p, g, lr: -lr * g),
        Mistake("only the step were returned, not the new p", lambda p, g, lr: lr * g),
        Mistake("p were multiplied by the learning rate, too", lambda p, g, lr: lr * (p - g)),
        Mistake("the sign of the gradient alone were used", lambda p, g, lr: p - lr * g / abs(g)),
    ),
    line=Line("optim.sgd", "SGD.update", (3,), "optimizers"),
)
