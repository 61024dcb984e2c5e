"""The fully connected layer."""

from __future__ import annotations

import math

from ..backend import array_namespace
from ..ops import dispatch
from ..ops.check import check_array, check_gradient
from ..options import as_count, as_flag
from ..random import Seed
from ..typing import Array, Cache, Shape
from . import init
from .weighted import WeightedLayer


class Linear(WeightedLayer):
    """Fully connected: y = x wᵀ + b; equations in `xpcnn.ops.linear`.

    Parameters
        in_features, out_features : sizes of one input and one output row
        bias : whether to add a learned number to each output
        weight_init : an initialiser of `xpcnn.nn.init` or its name; the bias starts at zero
        rng : seed or generator of the initial weights
    Parameters that are trained
        weight : (out_features, in_features);  bias : (out_features,)
    Shapes
        (N, in_features) → (N, out_features); (N, …, in_features) → (N, …, out_features), each place by itself
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Linear(784, 10)(np.zeros((8, 784), np.float32)).shape
    (8, 10)
    """

    costly_weight = True
    pair_backward = staticmethod(dispatch.backward)
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
        check_array("Linear", x)
        if x.ndim < 3 or x.shape[-1] != self.in_features or 0 in x.shape:  # rows, or what is refused
            y, cache = dispatch.forward("linear", x, self.weight, self.bias)
            return y, (cache, None)
        *places, features = x.shape
        rows = array_namespace(x).reshape(x, (-1, features))  # (N·…, in)
        y, cache = dispatch.forward("linear", rows, self.weight, self.bias)
        return _reshaped(y, (*places, self.out_features)), (cache, (*places, self.out_features))

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        cache, shape = cache
        if shape is not None:
            check_gradient("Linear", dy, shape)
            dy = _reshaped(dy, (-1, self.out_features))
        dx, grads = super().backward(dy, cache, input_grad=input_grad)
        if dx is not None and shape is not None:
            dx = _reshaped(dx, (*shape[:-1], self.in_features))
        return dx, grads

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        return math.prod(output_shape) * self.in_features


def _reshaped(x: Array, shape: Shape) -> Array:
    return array_namespace(x).reshape(x, shape)  # type: ignore[no-any-return]
