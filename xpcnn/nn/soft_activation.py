"""Smooth activations without a sigmoid as layers, (N, …) to (N, …); equations in `xpcnn.ops.soft_activation`."""

from __future__ import annotations

from ..ops import dispatch, soft_activation
from ..options import as_number
from .activation import Activation


class Mish(Activation):
    """y = x · tanh(log(1 + eˣ)).

    >>> import numpy as np
    >>> Mish()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.3034,  0.    ,  1.944 ]])
    """

    pair = dispatch.pair("mish")
    formula = soft_activation.MISH


class Softsign(Activation):
    """y = x / (1 + |x|).

    >>> import numpy as np
    >>> Softsign()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.5   ,  0.    ,  0.6667]])
    """

    pair = dispatch.pair("softsign")
    formula = soft_activation.SOFTSIGN


class CELU(Activation):
    """y = x where x > 0, else α (e^(x/α) − 1): an ELU without a corner.

    Parameters
        alpha : α > 0
    Raises
        OptionError

    >>> import numpy as np
    >>> CELU()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.6321,  0.    ,  2.    ]])
    """

    pair = dispatch.pair("celu")
    formula = soft_activation.CELU
    config_names = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = as_number("CELU", "alpha", alpha, "(0, inf)")
