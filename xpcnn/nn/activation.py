"""Activations as layers, which take (N, …) to (N, …), element by element.

The equations are in `xpcnn.ops.rectifier`, `xpcnn.ops.activation` and `xpcnn.ops.gelu`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..ops import activation, dispatch, gelu, rectifier
from ..ops.check import check_array
from ..ops.formula import Formula
from ..options import as_choice, as_count, as_number
from ..typing import Array, Cache
from .init import constant, draw
from .layer import Layer
from .op_layer import OpLayer

GELU_FORMS = ("none", "tanh")


class Identity(Layer):
    """y = x, a placeholder for an optional layer.

    >>> import numpy as np
    >>> Identity()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-1.,  0.,  2.]])
    """

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

    >>> import numpy as np
    >>> LeakyReLU()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.01,  0.  ,  2.  ]])
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
        return dispatch.forward("prelu", x, self.weight)  # type: ignore[no-any-return]

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        dx, dslope = dispatch.backward(dy, cache, input_grad=input_grad)
        return dx, {"weight": dslope}


class ELU(Activation):
    """y = x where x > 0, else α (eˣ − 1).

    Parameters
        alpha : α ≥ 0
    Raises
        OptionError

    >>> import numpy as np
    >>> ELU()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.6321,  0.    ,  2.    ]])
    """

    pair = dispatch.pair("elu")
    formula = rectifier.ELU
    config_names = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = as_number("ELU", "alpha", alpha, "[0, inf)")


class SELU(Activation):
    """y = λ · ELU(x), with α and λ that preserve mean 0 and variance 1 if weights start as "lecun_normal".

    >>> import numpy as np
    >>> SELU()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-1.1113,  0.    ,  2.1014]])
    """

    pair = dispatch.pair("selu")
    formula = rectifier.SELU


class Sigmoid(Activation):
    """y = 1 / (1 + e⁻ˣ).

    >>> import numpy as np
    >>> Sigmoid()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[0.2689, 0.5   , 0.8808]])
    """

    pair = dispatch.pair("sigmoid")
    formula = activation.SIGMOID


class Tanh(Activation):
    """y = tanh(x).

    >>> import numpy as np
    >>> Tanh()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.7616,  0.    ,  0.964 ]])
    """

    pair = dispatch.pair("tanh")
    formula = activation.TANH


class GELU(Activation):
    """y = x Φ(x), Φ the normal distribution function.

    Parameters
        approximate : "none"; or "tanh" for ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), which is faster, off by 5e-4 at
            most, and what this layer was in version 0.1
    Raises
        OptionError

    >>> import numpy as np
    >>> GELU()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.1587,  0.    ,  1.9545]])
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
    """y = x / (1 + e⁻ˣ), also called swish.

    >>> import numpy as np
    >>> SiLU()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[-0.2689,  0.    ,  1.7616]])
    """

    pair = dispatch.pair("silu")
    formula = activation.SILU


class Softplus(Activation):
    """y = log(1 + eˣ).

    >>> import numpy as np
    >>> Softplus()(np.array([[-1.0, 0.0, 2.0]])).round(4)
    array([[0.3133, 0.6931, 2.1269]])
    """

    pair = dispatch.pair("softplus")
    formula = activation.SOFTPLUS
