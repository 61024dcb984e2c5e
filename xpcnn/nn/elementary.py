"""Magnitude, exponential, logarithm and powers as layers; equations in `xpcnn.ops.elementary`.

All take (N, …) to (N, …), element by element.
"""

from __future__ import annotations

from ..ops import elementary
from ..options import as_number
from .op_layer import OpLayer


class Abs(OpLayer):
    """y = |x|.

    >>> import numpy as np
    >>> Abs()(np.array([[-1.0, 0.5]]))
    array([[1. , 0.5]])
    """

    pair = (elementary.abs_forward, elementary.abs_backward)
    elementwise = True


class Exp(OpLayer):
    """y = eˣ.

    >>> import numpy as np
    >>> Exp()(np.array([[0.0, 1.0]])).round(4)
    array([[1.    , 2.7183]])
    """

    pair = (elementary.exp_forward, elementary.exp_backward)
    elementwise = True


class Log(OpLayer):
    """y = log x, for x > 0.

    >>> import numpy as np
    >>> Log()(np.array([[1.0, 2.0]])).round(4)
    array([[0.    , 0.6931]])
    """

    pair = (elementary.log_forward, elementary.log_backward)
    elementwise = True


class Power(OpLayer):
    """y = xᵖ: the square, the root (½), the reciprocal (−1).

    Parameters
        exponent : p
    Raises
        OptionError

    >>> import numpy as np
    >>> Power(0.5)(np.array([4.0, 9.0]))
    array([2., 3.])
    """

    pair = (elementary.power_forward, elementary.power_backward)
    config_names = ("exponent",)
    elementwise = True

    def __init__(self, exponent: float) -> None:
        self.exponent = as_number("Power", "exponent", exponent)
