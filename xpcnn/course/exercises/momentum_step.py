"""Gradient descent with momentum."""

from __future__ import annotations

from typing import Any

from ...optim import SGD
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake
from ..plain import drawn


def _right(p: NDArray, g: NDArray, v: NDArray, lr: float, mu: float) -> Any:
    p = p.copy()
    optimizer = SGD({"p": p}, lr=lr, momentum=mu)
    (held,) = optimizer.state_dict().values()
    held[...] = v
    optimizer.step({"p": g})
    return p, held


def _case(step: str, v: float, *shape: int) -> Case:
    return Case(step, {"p": drawn(0, *shape), "g": drawn(1, *shape), "v": v * drawn(2, *shape), "lr": 0.1, "mu": 0.75})


EXERCISE = Exercise(
    number=12,
    title="Momentum",
    text="""A velocity v adds up the gradients of earlier steps, each weaker by the factor μ than the one after
it. The step goes along v. Return new p and v; the arrays that are given stay as they are.""",
    formula="""v ← μ·v + g                                                               (2)
p ← p − lr·v                                                              (3)""",
    hint="First the new v, then p with this new v. The learning rate is outside of v.",
    code='''import numpy as np


def momentum_step(p, g, v, lr, mu):
    """p, its gradient g and its velocity v, of one shape; lr and mu, numbers → the new p and v."""
    v = ...
    p = ...
    return p, v
''',
    outputs={"p": "", "v": ""},
    cases=lambda: [_case("the first step, v = 0", 0.0, 3), _case("a later step", 1.0, 2, 3)],
    right=_right,
    mistakes=(
        Mistake("the old v were used for p", lambda p, g, v, lr, mu: (p - lr * v, mu * v + g)),
        Mistake("v were forgotten", lambda p, g, v, lr, mu: (p - lr * g, g)),
        Mistake("the learning rate were inside of v", lambda p, g, v, lr, mu: (p - mu * v - lr * g, mu * v + lr * g)),
        Mistake("the learning rate were inside of v", lambda p, g, v, lr, mu: (p + mu * v - lr * g, mu * v - lr * g)),
        Mistake(
            "g were multiplied by 1 − μ",
            lambda p, g, v, lr, mu: (p - lr * (mu * v + (1 - mu) * g), mu * v + (1 - mu) * g),
        ),
        Mistake("it were Nesterov's step", lambda p, g, v, lr, mu: (p - lr * (g + mu * (mu * v + g)), mu * v + g)),
        Mistake("the gradient were added, which climbs", lambda p, g, v, lr, mu: (p + lr * (mu * v + g), mu * v + g)),
        Mistake("v did not decay: μ were 1", lambda p, g, v, lr, mu: (p - lr * (v + g), v + g)),
    ),
    line=Line("optim.sgd", "SGD.update", (2, 3), "optimizers"),
)
