"""Optimizers that give every weight a step size of its own, by the squares of its gradients.

In all of them λ·p is added to the gradient g where weight_decay = λ, and averages start at 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..backend import array_namespace
from ..ops.clip import clip
from ..options import as_number
from ..typing import Array
from .optimizer import Optimizer


class AdaGrad(Optimizer):
    """Steps that shrink with the sum of all squares so far.

        s ← s + g²                                                              (1)
        p ← p − lr·g / (√s + ε)                                                 (2)

    Parameters
        parameters : `network.parameters()`
        lr : learning rate ≥ 0
        eps : ε ≥ 0
        weight_decay : λ ≥ 0
    Raises
        OptionError, DTypeError
    Source
        J. Duchi, E. Hazan and Y. Singer, Adaptive subgradient methods, 2011, figure 1
    """

    def __init__(
        self, parameters: Mapping[str, Array], *, lr: float = 0.01, eps: float = 1e-10, weight_decay: float = 0.0
    ) -> None:
        self.eps = as_number("AdaGrad", "eps", eps, "[0, inf)")
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, slots=("sum",))

    def update(self, p: Array, g: Array, *slots: Array) -> None:
        xp, (s,) = array_namespace(p), slots
        s += g * g  # (1)
        d = xp.sqrt(s)
        d += self.eps
        p -= self.lr * g / d  # (2)


class RMSProp(Optimizer):
    """Steps divided by the root of a running mean of squares.

        s ← α·s + (1 − α)·g²                                                    (1)
        a ← α·a + (1 − α)·g;  d = √(s − a²) + ε         centered                (2)
                              d = √s + ε                otherwise               (3)
        v ← μ·v + g/d;  p ← p − lr·v                                            (4)

    Parameters
        parameters : `network.parameters()`
        lr : learning rate ≥ 0
        alpha : α, 0 ≤ α < 1
        eps : ε ≥ 0
        momentum : μ, 0 ≤ μ < 1; with 0, v is g/d and is not kept
        centered : divide by the standard deviation, (2), instead of the root of the mean square, (3)
        weight_decay : λ ≥ 0
    Raises
        OptionError, DTypeError
    Sources
        T. Tieleman and G. Hinton, Lecture 6.5: RMSProp, 2012                                   → (1), (3)
        A. Graves, Generating sequences with recurrent neural networks, 2013, equations 38–45   → (2), (4)
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        *,
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        centered: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.alpha = as_number("RMSProp", "alpha", alpha, "[0, 1)")
        self.eps = as_number("RMSProp", "eps", eps, "[0, inf)")
        self.momentum = as_number("RMSProp", "momentum", momentum, "[0, 1)")
        self.centered = bool(centered)
        slots = ("square_mean", *["mean"] * self.centered, *["velocity"] * bool(momentum))
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, slots=slots)

    def update(self, p: Array, g: Array, *slots: Array) -> None:
        xp, (s, *rest) = array_namespace(p), slots
        _average(s, g * g, self.alpha)  # (1)
        if self.centered:
            a = rest.pop(0)
            _average(a, g, self.alpha)
            d = xp.sqrt(clip(s - a * a, 0))  # rounding may bring s below a²                    (2)
        else:
            d = xp.sqrt(s)  # (3)
        d += self.eps
        g = g / d
        for v in rest:  # one, or none
            v *= self.momentum
            v += g
            g = v
        p -= self.lr * g  # (4)


class Adadelta(Optimizer):
    """Steps in the units of the weights: each is scaled by the root mean square of the steps before it.

        s ← ρ·s + (1 − ρ)·g²                                                    (1)
        d = g·√(u + ε) / √(s + ε)                                               (2)
        u ← ρ·u + (1 − ρ)·d²                                                    (3)
        p ← p − lr·d                                                            (4)

    Parameters
        parameters : `network.parameters()`
        lr : a factor on steps that need none
        rho : ρ, 0 ≤ ρ < 1
        eps : ε > 0 (with 0 there is no first step)
        weight_decay : λ ≥ 0
    Raises
        OptionError, DTypeError
    Source
        M. Zeiler, ADADELTA: an adaptive learning rate method, 2012, algorithm 1
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        *,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        self.rho = as_number("Adadelta", "rho", rho, "[0, 1)")
        self.eps = as_number("Adadelta", "eps", eps, "(0, inf)")
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, slots=("square_mean", "step_square_mean"))

    def update(self, p: Array, g: Array, *slots: Array) -> None:
        xp, (s, u) = array_namespace(p), slots
        _average(s, g * g, self.rho)  # (1)
        d = xp.sqrt((u + self.eps) / (s + self.eps))
        d *= g  # (2)
        _average(u, d * d, self.rho)  # (3)
        p -= self.lr * d  # (4)


def _average(mean: Array, new: Array, rho: float) -> None:
    """mean ← ρ·mean + (1 − ρ)·new, in place."""
    mean *= rho
    mean += (1 - rho) * new
