"""Adam."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...optim import Adam
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake
from ..plain import drawn


def _right(
    p: NDArray, g: NDArray, m: NDArray, v: NDArray, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> Any:
    p = p.copy()
    optimizer = Adam({"p": p}, lr=lr, betas=(beta1, beta2), eps=eps)
    optimizer.steps = t - 1
    first, second = optimizer.state_dict().values()
    first[...], second[...] = m, v
    optimizer.step({"p": g})
    return p, first, second


def _case(step: str, size: float, t: int, *shape: int) -> Case:
    arrays = {"p": drawn(0, *shape), "g": drawn(1, *shape)}
    means = {"m": size * drawn(2, *shape), "v": size * drawn(3, *shape) ** 2}
    return Case(step, {**arrays, **means, "t": t, "lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 0.01})


def _with(
    *, corrected: str = "mv", offset: int = 0, squared: bool = True, inside: bool = False, root: bool = True,
    sign: int = 1, weight: str = "", kept: bool = False, eps_used: bool = True,
) -> Any:  # fmt: skip
    def function(
        p: NDArray, g: NDArray, m: NDArray, v: NDArray, t: int, lr: float, beta1: float, beta2: float, eps: float
    ) -> Any:
        if weight == "swapped":
            beta1, beta2 = beta2, beta1
        m = beta1 * m + (1 if weight == "g" else 1 - beta1) * g
        v = beta2 * v + (1 if weight == "g" else 1 - beta2) * (g**2 if squared else g)
        m_hat = m / (1 - beta1 ** (t + offset)) if "m" in corrected else m
        v_hat = v / (1 - beta2 ** (t + offset)) if "v" in corrected else v
        eps = eps if eps_used else 0.0
        below = np.sqrt(v_hat + eps) if inside else (np.sqrt(v_hat) if root else v_hat) + eps
        return p - sign * lr * m_hat / below, m_hat if kept else m, v_hat if kept else v

    return function


EXERCISE = Exercise(
    number=14,
    title="Adam",
    text="""Momentum and RMSProp together, as running means m and v of the gradient and of its square. Both begin
at 0 and are too small at first; m̂ and v̂ correct this at step t = 1, 2, … They are for p only: m and v go on
without the correction. Return new p, m and v.""",
    formula="""m ← β₁·m + (1 − β₁)·g                                                   (1)
v ← β₂·v + (1 − β₂)·g²                                                  (2)
m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)                                  (3)
p ← p − lr·m̂ / (√v̂ + ε)                                                 (4)""",
    hint="`beta1**t` is β₁ᵗ. Give m̂ and v̂ names of their own, so that m and v are returned as in (1) and (2).",
    code='''import numpy as np


def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
    """p, its gradient g, its means m and v, of one shape; t = 1, 2, …; numbers → the new p, m and v."""
    m = ...
    v = ...
    p = ...
    return p, m, v
''',
    outputs={"p": "", "m": "", "v": ""},
    cases=lambda: [_case("the first step, t = 1", 0.0, 1, 3), _case("a later step", 1.0, 7, 2, 3)],
    right=_right,
    mistakes=(
        Mistake("there were no correction (3)", _with(corrected="")),
        Mistake("only m were corrected", _with(corrected="m")),
        Mistake("only v were corrected", _with(corrected="v")),
        Mistake("t began at 0", _with(offset=-1)),
        Mistake("t were one too large", _with(offset=1)),
        Mistake("the corrected m̂ and v̂ were kept for the next step", _with(kept=True)),
        Mistake("the gradient were not squared", _with(squared=False)),
        Mistake("ε were inside of the root", _with(inside=True)),
        Mistake("ε were left out", _with(eps_used=False)),
        Mistake("the root were left out", _with(root=False)),
        Mistake("β₁ and β₂ were swapped", _with(weight="swapped")),
        Mistake("1 − β were left out, in (1) and (2)", _with(weight="g")),
        Mistake("the gradient were added, which climbs", _with(sign=-1)),
    ),
    line=Line("optim.adam", "Adam.update", (1, 2, 3, 4), "optimizers"),
)
