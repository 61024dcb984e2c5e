"""RMSProp."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...optim import RMSProp
from ...typing import NDArray
from ..exercise import Case, Exercise, Line, Mistake
from ..plain import drawn


def _right(p: NDArray, g: NDArray, s: NDArray, lr: float, alpha: float, eps: float) -> Any:
    p = p.copy()
    optimizer = RMSProp({"p": p}, lr=lr, alpha=alpha, eps=eps)
    (held,) = optimizer.state_dict().values()
    held[...] = s
    optimizer.step({"p": g})
    return p, held


def _case(step: str, s: float, *shape: int) -> Case:
    arrays = {"p": drawn(0, *shape), "g": drawn(1, *shape), "s": s * drawn(2, *shape) ** 2}
    return Case(step, {**arrays, "lr": 0.1, "alpha": 0.75, "eps": 0.01})


def _mean(g: NDArray, s: NDArray, alpha: float) -> NDArray:
    return alpha * s + (1 - alpha) * g**2


def _with(step: Any, mean: Any = _mean) -> Any:
    def function(p: NDArray, g: NDArray, s: NDArray, lr: float, alpha: float, eps: float) -> Any:
        new = mean(g, s, alpha)
        return p - lr * step(g, new, s, eps), new

    return function


def _rms(g: NDArray, new: NDArray, old: NDArray, eps: float) -> NDArray:
    made: NDArray = g / (np.sqrt(new) + eps)
    return made


EXERCISE = Exercise(
    number=13,
    title="RMSProp",
    text="""Every weight gets a step size of its own: the gradient is divided by the root of a running mean of
its squares. Where gradients are large, steps become smaller. Return new p and s.""",
    formula="""s ← α·s + (1 − α)·g²                                                      (1)
p ← p − lr·g / (√s + ε)                                                   (4)""",
    hint="First the new s, then its root, then ε, outside of the root.",
    code='''import numpy as np


def rmsprop_step(p, g, s, lr, alpha, eps):
    """p, its gradient g and the mean s of its squares, of one shape; lr, alpha and eps, numbers → the new p and s."""
    s = ...
    p = ...
    return p, s
''',
    outputs={"p": "", "s": ""},
    cases=lambda: [_case("the first step, s = 0", 0.0, 3), _case("a later step", 1.0, 2, 3)],
    right=_right,
    mistakes=(
        Mistake("the gradient were not squared", _with(_rms, lambda g, s, a: a * s + (1 - a) * g)),
        Mistake("the squares were added up without a mean, as in AdaGrad", _with(_rms, lambda g, s, a: s + g**2)),
        Mistake("α and 1 − α were swapped", _with(_rms, lambda g, s, a: (1 - a) * s + a * g**2)),
        Mistake("the old s were used for p", _with(lambda g, new, old, eps: g / (np.sqrt(old) + eps))),
        Mistake("ε were inside of the root", _with(lambda g, new, old, eps: g / np.sqrt(new + eps))),
        Mistake("the root were left out", _with(lambda g, new, old, eps: g / (new + eps))),
        Mistake("ε were left out", _with(lambda g, new, old, eps: g / np.sqrt(new))),
        Mistake("the gradient were added, which climbs", _with(lambda *given: -_rms(*given))),
    ),
    line=Line("optim.adaptive", "RMSProp.update", (1, 4), "optimizers"),
)
