"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import OptionError
from ..options import as_flag, as_number
from ..typing import Array
from .optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum in PyTorch's convention (the learning rate outside the velocity).

        g ← g + λ·p                                     weight decay            (1)
        v ← μ·v + g                                     velocity; v₀ = 0        (2)
        p ← p − lr·v            or, Nesterov's,                                 (3)
        p ← p − lr·(g + μ·v)                                                    (4)

    Parameters
        parameters : `network.parameters()`
        lr : learning rate ≥ 0
        momentum : μ, 0 ≤ μ < 1; with 0, v is g and is not kept
        nesterov : (4) instead of (3)
        weight_decay : λ ≥ 0
    Raises
        OptionError, DTypeError
    Sources
        B. Polyak, Some methods of speeding up the convergence of iteration methods, 1964       → (2), (3)
        I. Sutskever et al., On the importance of initialization and momentum, 2013, section 2  → (4)

    >>> import numpy as np
    >>> p = np.array([1.0])
    >>> SGD({"p": p}, lr=0.1).step({"p": np.array([5.0])}); p
    array([0.5])
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        *,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.momentum = as_number("SGD", "momentum", momentum, "[0, 1)")
        self.nesterov = as_flag("SGD", "nesterov", nesterov)
        if self.nesterov and not momentum:
            raise OptionError("SGD", "momentum > 0 for nesterov", str(momentum), "pass momentum=0.9")
        slots = ("velocity",) if momentum else ()
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, slots=slots)

    def update(self, p: Array, g: Array, *slots: Array) -> None:
        for v in slots:  # one, or none
            v *= self.momentum
            v += g  # (2)
            g = g + self.momentum * v if self.nesterov else v  # (4)
        p -= self.lr * g  # (3)

    def in_c(self) -> tuple[str, dict[str, float]]:
        code = "g += decay * p; " * bool(self.weight_decay)  # (1)
        if self.momentum:
            code += "velocity = momentum * velocity + g; "  # (2)
            code += "g += momentum * velocity; " if self.nesterov else "g = velocity; "  # (4)
        code += "p -= lr * g;"  # (3)
        return code, {"lr": self.lr, "momentum": self.momentum, "decay": self.weight_decay}
