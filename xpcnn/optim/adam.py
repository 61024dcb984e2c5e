"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..backend import array_namespace
from ..errors import OptionError
from ..options import as_number
from ..typing import Array
from .optimizer import Optimizer
from .overflow import show_overflow


class Adam(Optimizer):
    """Momentum, with steps scaled by the root mean square of the gradients; both means are bias-corrected.

        m ← β₁·m + (1 − β₁)·g                                                   (1)
        v ← β₂·v + (1 − β₂)·g²                                                  (2)
        m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)           at step t = 1, 2, …     (3)
        p ← p − lr·m̂ / (√v̂ + ε)                                                 (4)

    Parameters
        parameters : `network.parameters()`
        lr : learning rate ≥ 0
        betas : (β₁, β₂), each 0 ≤ β < 1
        eps : ε ≥ 0
        weight_decay : λ ≥ 0; λ·p is added to g, as PyTorch's Adam does; see `AdamW`
    Raises
        OptionError, DTypeError
    Source
        D. Kingma and J. Ba, Adam: a method for stochastic optimization, 2014, algorithm 1

    >>> import numpy as np
    >>> parameters = {"w": np.array([1.0, -2.0])}
    >>> Adam(parameters, lr=0.1).step({"w": np.array([0.5, 0.1])})
    >>> parameters["w"].round(4)
    array([ 0.9, -2.1])
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        who = type(self).__name__
        if not (isinstance(betas, (tuple, list)) and len(betas) == 2):
            raise OptionError(who, "betas: a pair of numbers", repr(betas))
        self.betas = (as_number(who, "β₁", betas[0], "[0, 1)"), as_number(who, "β₂", betas[1], "[0, 1)"))
        self.eps = as_number(who, "eps", eps, "[0, inf)")
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, slots=("mean", "square_mean"))

    def update(self, p: Array, g: Array, *slots: Array) -> None:
        xp, (m, v), (beta1, beta2) = array_namespace(p), slots, self.betas
        m *= beta1
        m += (1 - beta1) * g  # (1)
        v *= beta2
        scaled = math.sqrt(1 - beta2) * g  # g² itself may overflow even if v does not
        v += scaled * scaled  # (2)
        d = xp.sqrt(v)
        d /= math.sqrt(1 - beta2**self.steps)  # √v̂                             (3)
        d += self.eps
        p -= self.lr / (1 - beta1**self.steps) * m / d  # (4)
        show_overflow(p, v)

    def in_c(self) -> tuple[str, dict[str, float]]:
        code = "g += decay * p; " * bool(self.weight_decay) + _IN_C
        return code, self._numbers() | {"decay": self.weight_decay}

    def _numbers(self) -> dict[str, float]:
        beta1, beta2 = self.betas
        return {
            "beta1": beta1, "rest1": 1 - beta1, "beta2": beta2, "root2": math.sqrt(1 - beta2), "eps": self.eps,
            "rate": self.lr / (1 - beta1**self.steps), "corrected": math.sqrt(1 - beta2**self.steps),
        }  # fmt: skip


_IN_C = """
    mean = beta1 * mean + rest1 * g; g *= root2; square_mean = beta2 * square_mean + g * g;
    p -= rate * mean / (sqrt(square_mean) / corrected + eps); p += 0 * square_mean;
"""  # (1) to (4); 0·∞ is NaN


class AdamW(Adam):
    """Adam with weight decay decoupled from the gradient, so that it is not divided by √v̂.

        p ← p − lr·λ·p                                                          (1)
        then Adam's (1) to (4)

    Parameters
        as in `Adam`; weight_decay : λ
    Source
        I. Loshchilov and F. Hutter, Decoupled weight decay regularization, 2017, algorithm 2

    >>> import numpy as np
    >>> parameters = {"w": np.array([1.0, -2.0])}
    >>> AdamW(parameters, lr=0.1).step({"w": np.array([0.5, 0.1])})
    >>> parameters["w"].round(4)
    array([ 0.899, -2.098])
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def decay(self, p: Array, g: Array) -> Array:
        p *= 1 - self.lr * self.weight_decay  # (1)
        return g

    def in_c(self) -> tuple[str, dict[str, float]]:
        return "p *= kept; " + _IN_C, self._numbers() | {"kept": 1 - self.lr * self.weight_decay}  # (1)
