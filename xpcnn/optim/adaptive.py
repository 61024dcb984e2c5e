"""Optimizers that give every weight its own step size, from the squares of its gradients.

With weight_decay = λ, all of them add λ·p to the gradient g. Averages start at 0. (1 − α)·g² is computed
as (√(1 − α)·g)², which overflows only if the average itself does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..backend import array_namespace
from ..options import as_flag, as_number
from ..typing import Array
from .optimizer import Optimizer
from .overflow import show_overflow


class AdaGrad(Optimizer):
    """Steps that shrink with the sum of all squared gradients so far.

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

    >>> import numpy as np
    >>> parameters = {"w": np.array([1.0, -2.0])}
    >>> AdaGrad(parameters, lr=0.1).step({"w": np.array([0.5, 0.1])})
    >>> parameters["w"].round(4)
    array([ 0.9, -2.1])
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
        show_overflow(p, s)


class RMSProp(Optimizer):
    """Steps divided by the root of a running mean of squared gradients.

        s ← α·s + (1 − α)·g²;               d = √s + ε                          (1)
        s ← α·(s + (1 − α)·(g − a)²);       d = √s + ε          centered        (2)
        a ← a + (1 − α)·(g − a)             after (2)           centered        (3)
        v ← μ·v + g/d;  p ← p − lr·v                                            (4)

    If centered, a is the running mean of g, and s in (2) is the running mean of g² minus a², in a form without
    cancellation. s goes to 0 if the gradient is constant, and the steps then grow up to lr·g/ε: choose ε accordingly.

    Parameters
        parameters : `network.parameters()`
        lr : learning rate ≥ 0
        alpha : α, 0 ≤ α < 1
        eps : ε ≥ 0
        momentum : μ, 0 ≤ μ < 1; with 0, v is g/d and is not kept
        centered : divide by the standard deviation, (2), instead of the root of the mean square, (1)
        weight_decay : λ ≥ 0
    Raises
        OptionError, DTypeError
    Sources
        T. Tieleman and G. Hinton, Lecture 6.5: RMSProp, 2012                                   → (1)
        A. Graves, Generating sequences with recurrent neural networks, 2013, equations 38–45   → (2) to (4)

    >>> import numpy as np
    >>> parameters = {"w": np.array([1.0, -2.0])}
    >>> RMSProp(parameters, lr=0.1).step({"w": np.array([0.5, 0.1])})
    >>> parameters["w"].round(4)
    array([ 0., -3.])
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
        self.centered = as_flag("RMSProp", "centered", centered)
        slots = (*(["variance", "mean"] if centered else ["square_mean"]), *["velocity"] * bool(momentum))
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, slots=slots)

    def update(self, p: Array, g: Array, *slots: Array) -> None:
        xp, (s, *rest) = array_namespace(p), slots
        if self.centered:
            a = rest.pop(0)
            apart = math.sqrt(1 - self.alpha) * (g - a)
            s += apart * apart
            s *= self.alpha  # (2)
            a += (1 - self.alpha) * (g - a)  # (3)
        else:
            _average_square(s, g, self.alpha)  # (1)
        d = xp.sqrt(s)
        d += self.eps
        g = g / d
        for v in rest:  # one, or none
            v *= self.momentum
            v += g
            g = v
        p -= self.lr * g  # (4)
        show_overflow(p, s)


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

    >>> import numpy as np
    >>> parameters = {"w": np.array([1.0, -2.0])}
    >>> Adadelta(parameters).step({"w": np.array([0.5, 0.1])})
    >>> parameters["w"].round(4)
    array([ 0.9968, -2.0032])
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
        _average_square(s, g, self.rho)  # (1)
        d = xp.sqrt(u + self.eps)
        d /= xp.sqrt(s + self.eps)
        d *= g  # (2)
        _average_square(u, d, self.rho)  # (3)
        p -= self.lr * d  # (4)
        show_overflow(p, s)


def _average_square(mean: Array, new: Array, rho: float) -> None:
    """mean ← ρ·mean + (1 − ρ)·new², in place."""
    scaled = math.sqrt(1 - rho) * new
    mean *= rho
    mean += scaled * scaled
