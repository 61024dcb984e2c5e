"""Mish, softsign and CELU as layers; equations in `xpcnn.ops.soft_activation`.

All take (N, …) to (N, …), element by element.
"""

from __future__ import annotations

from ..ops import soft_activation
from ..options import as_number
from .activation import Activation


class Mish(Activation):
    """y = x · tanh(log(1 + eˣ))."""

    pair = (soft_activation.mish_forward, soft_activation.mish_backward)
    formula = soft_activation.MISH


class Softsign(Activation):
    """y = x / (1 + |x|)."""

    pair = (soft_activation.softsign_forward, soft_activation.softsign_backward)
    formula = soft_activation.SOFTSIGN


class CELU(Activation):
    """y = x where x > 0, else α (e^(x/α) − 1): an ELU without a corner.

    Parameters
        alpha : α > 0
    Raises
        OptionError
    """

    pair = (soft_activation.celu_forward, soft_activation.celu_backward)
    formula = soft_activation.CELU
    config_names = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = as_number("CELU", "alpha", alpha, "(0, inf)")
