"""A learned factor and offset; equations in `xpcnn.ops.scale`."""

from __future__ import annotations

from ..ops.scale import scale_backward, scale_forward
from ..options import as_count, as_flag, as_number
from ..typing import Array, Cache
from .init import constant, draw
from .weighted import WeightedLayer


class Scale(WeightedLayer):
    """y = x · weight + bias, with a number for all, or one a channel.

    Parameters
        num_features : 1, or the number of channels C
        bias : whether there is an offset
        init : where the factors start; the offsets start at 0
    Parameters that are trained
        weight, bias : (num_features,)
    Shapes
        (N, …, C) → (N, …, C); any shape where num_features is 1
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Scale(init=2)(np.array([[1.0, 2.0]], np.float32))
    array([[2., 4.]], dtype=float32)
    """

    pair_backward = staticmethod(scale_backward)
    config_names = ("num_features", "bias", "init")
    keeps_columns = True

    def __init__(self, num_features: int = 1, *, bias: bool = True, init: float = 1.0) -> None:
        self.num_features = num_features = as_count("Scale", "num_features", num_features)
        bias = as_flag("Scale", "bias", bias)
        self.init = as_number("Scale", "init", init)
        self.weight = draw(constant(self.init), (num_features,))
        self.bias = draw("zeros", (num_features,)) if bias else None

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return scale_forward(x, self.weight, self.bias)
