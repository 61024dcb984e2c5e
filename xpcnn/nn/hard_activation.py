"""Piecewise activations as layers, which take (N, …) to (N, …); equations in `xpcnn.ops.hard_activation`."""

from __future__ import annotations

import math
from typing import Any

from ..errors import OptionError
from ..ops import dispatch, hard_activation
from ..options import as_number
from .activation import Activation


class Clip(Activation):
    """y = min(max(x, min), max): numbers held between two bounds, as by PyTorch's `clamp`.

    Parameters
        min, max : the bounds; None for one that is not there
    Raises
        OptionError

    >>> import numpy as np
    >>> Clip(0, 1)(np.array([-0.5, 0.5, 1.5]))
    array([0. , 0.5, 1. ])
    """

    pair = dispatch.pair("clip")
    formula = hard_activation.CLIP
    config_names = ("min", "max")

    def __init__(self, min: float | None = None, max: float | None = None) -> None:
        self.min = None if min is None else as_number("Clip", "min", min)
        self.max = None if max is None else as_number("Clip", "max", max)
        if self.min is None and self.max is None:
            raise OptionError("Clip", "min, max or both", "neither", "use Identity")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise OptionError("Clip", "min ≤ max", f"{self.min} and {self.max}")

    def options(self) -> dict[str, Any]:
        return {
            "low": -math.inf if self.min is None else self.min,
            "high": math.inf if self.max is None else self.max,
        }


class ReLU6(Activation):
    """y = min(max(x, 0), 6), the activation of MobileNetV2.

    >>> import numpy as np
    >>> ReLU6()(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """

    pair = dispatch.pair("relu6")
    formula = hard_activation.RELU6


class HardSigmoid(Activation):
    """y = min(max(α x + β, 0), 1); α = 1/6 and β = ½ are PyTorch's, who calls it `Hardsigmoid`.

    Parameters
        alpha, beta : numbers; 0.2 and 0.5 are those of old Keras and ONNX's default
    Raises
        OptionError

    >>> import numpy as np
    >>> HardSigmoid()(np.array([[-4.0, 0.0, 1.5]])).round(4)
    array([[0.  , 0.5 , 0.75]])
    """

    pair = dispatch.pair("hard_sigmoid")
    formula = hard_activation.HARD_SIGMOID
    config_names = ("alpha", "beta")

    def __init__(self, alpha: float = 1 / 6, beta: float = 0.5) -> None:
        self.alpha = as_number("HardSigmoid", "alpha", alpha)
        self.beta = as_number("HardSigmoid", "beta", beta)


class HardSwish(Activation):
    """y = x · min(max(x + 3, 0), 6) / 6, MobileNetV3's activation; PyTorch calls it `Hardswish`.

    >>> import numpy as np
    >>> HardSwish()(np.array([-4.0, 1.5, 4.0]))
    array([-0.   ,  1.125,  4.   ])
    """

    pair = dispatch.pair("hard_swish")
    formula = hard_activation.HARD_SWISH
