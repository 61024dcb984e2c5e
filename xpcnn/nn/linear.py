"""The fully connected layer."""

from __future__ import annotations

import math

from ..ops import dispatch
from ..options import as_count, as_flag
from ..random import Seed
from ..typing import Array, Cache, Shape
from . import init
from .layer import Layer


class Linear(Layer):
    """Fully connected: y = x wᵀ + b; equations in `xpcnn.ops.linear`.

    Parameters
        in_features, out_features : sizes of one input and one output row
        bias : whether to add a learned number to each output
        weight_init : an initialiser of `xpcnn.nn.init` or its name; the bias starts at zero
        rng : seed or generator of the initial weights
    Parameters that are trained
        weight : (out_features, in_features);  bias : (out_features,)
    Shapes
        (N, in_features) → (N, out_features)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Linear(784, 10)(np.zeros((8, 784), np.float32)).shape
    (8, 10)
    """

    parameter_names = ("weight", "bias")
    config_names = ("in_features", "out_features", "bias")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        weight_init: str | init.Initializer = "he_normal",
        rng: Seed = None,
    ) -> None:
        self.in_features = in_features = as_count("Linear", "in_features", in_features)
        self.out_features = out_features = as_count("Linear", "out_features", out_features)
        bias = as_flag("Linear", "bias", bias)
        self.weight = init.draw(
            weight_init, (out_features, in_features), fan_in=in_features, fan_out=out_features, rng=rng
        )
        self.bias = init.draw("zeros", (out_features,)) if bias else None

    def forward(self, x: Array) -> tuple[Array, Cache]:
        y, cache = dispatch.forward("linear", x, self.weight, self.bias)
        return y, cache

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        dx, dw, db = dispatch.backward(dy, cache, input_grad=input_grad)
        return dx, {"weight": dw} if db is None else {"weight": dw, "bias": db}

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        return math.prod(output_shape) * self.in_features
