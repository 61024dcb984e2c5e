"""Activations as layers, which take (N, …) to (N, …), element by element.

The equations are in `xpcnn.ops`: `rectifier`, `activation`, `gelu`, `hard_activation` and `soft_activation`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..errors import OptionError
from ..ops import activation, dispatch, gelu, hard_activation, rectifier, soft_activation
from ..ops.check import check_array
from ..ops.formula import Formula
from ..options import as_choice, as_count, as_number
from ..typing import Array, Cache
from .init import constant, draw
from .layer import Layer, OpLayer

GELU_FORMS = ("none", "tanh")


class Identity(Layer):
    """y = x, a placeholder for an optional layer."""

    elementwise = True

    def forward(self, x: Array) -> tuple[Array, Cache]:
        check_array("Identity", x)
        return x, None

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        check_array("Identity backward", dy)
        return dy if input_grad else None, {}


class Activation(OpLayer):
    """Base class of activations with a formula for one element, y = f(x)."""

    formula: Formula
    elementwise = True


class ReLU(Activation):
    """y = max(x, 0).

    >>> import numpy as np
    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    pair = dispatch.pair("relu")
    formula = rectifier.RELU


class LeakyReLU(Activation):
    """y = x where x > 0, else negative_slope · x.

    Parameters
        negative_slope : any number
    Raises
        OptionError
    """

    pair = dispatch.pair("leaky_relu")
    formula = rectifier.LEAKY_RELU
    config_names = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = as_number("LeakyReLU", "negative_slope", negative_slope)


class PReLU(Layer):
    """y = x where x > 0, else weight · x.

    Parameters
        num_parameters : 1 for a single slope, or the number of channels C for one slope per channel
        init : the initial slope
    Parameters that are trained
        weight : (num_parameters,)
    Shapes
        (N, …, C) → (N, …, C); any shape if num_parameters is 1
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> PReLU()(np.array([[-1.0, 2.0]], np.float32))
    array([[-0.25,  2.  ]], dtype=float32)
    """

    parameter_names = ("weight",)
    config_names = ("num_parameters", "init")
    keeps_columns = True

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        self.num_parameters = num_parameters = as_count("PReLU", "num_parameters", num_parameters)
        self.init = as_number("PReLU", "init", init)
        self.weight = draw(constant(self.init), (num_parameters,))

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return rectifier.prelu_forward(x, self.weight)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        dx, dslope = rectifier.prelu_backward(dy, cache, input_grad=input_grad)
        return dx, {"weight": dslope}


class ELU(Activation):
    """y = x where x > 0, else α (eˣ − 1).

    Parameters
        alpha : α ≥ 0
    Raises
        OptionError
    """

    pair = dispatch.pair("elu")
    formula = rectifier.ELU
    config_names = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = as_number("ELU", "alpha", alpha, "[0, inf)")


class SELU(Activation):
    """y = λ · ELU(x), with α and λ that preserve mean 0 and variance 1 if weights start as "lecun_normal"."""

    pair = dispatch.pair("selu")
    formula = rectifier.SELU


class Sigmoid(Activation):
    """y = 1 / (1 + e⁻ˣ)."""

    pair = dispatch.pair("sigmoid")
    formula = activation.SIGMOID


class Tanh(Activation):
    """y = tanh(x)."""

    pair = dispatch.pair("tanh")
    formula = activation.TANH


class GELU(Activation):
    """y = x Φ(x), Φ the normal distribution function.

    Parameters
        approximate : "none"; or "tanh" for ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), which is faster, off by 5e-4 at
            most, and what this layer was in version 0.1
    Raises
        OptionError
    """

    pair = dispatch.pair("gelu")
    formula = gelu.GELU
    config_names = ("approximate",)
    unsaid: ClassVar = {"approximate": "tanh"}

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = as_choice("GELU", "approximate", approximate, GELU_FORMS)
        if self.approximate == "tanh":
            self.pair = dispatch.pair("gelu_tanh")
            self.formula = activation.GELU_TANH

    def options(self) -> dict[str, Any]:
        return {}


class SiLU(Activation):
    """y = x / (1 + e⁻ˣ), also called swish."""

    pair = dispatch.pair("silu")
    formula = activation.SILU


class Softplus(Activation):
    """y = log(1 + eˣ)."""

    pair = dispatch.pair("softplus")
    formula = activation.SOFTPLUS


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


class Mish(Activation):
    """y = x · tanh(log(1 + eˣ))."""

    pair = dispatch.pair("mish")
    formula = soft_activation.MISH


class Softsign(Activation):
    """y = x / (1 + |x|)."""

    pair = dispatch.pair("softsign")
    formula = soft_activation.SOFTSIGN


class CELU(Activation):
    """y = x where x > 0, else α (e^(x/α) − 1): an ELU without a corner.

    Parameters
        alpha : α > 0
    Raises
        OptionError
    """

    pair = dispatch.pair("celu")
    formula = soft_activation.CELU
    config_names = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = as_number("CELU", "alpha", alpha, "(0, inf)")
