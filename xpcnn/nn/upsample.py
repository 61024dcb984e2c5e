"""Images of another size as layers; equations in `xpcnn.ops.upsample`, `xpcnn.ops.bilinear`, `xpcnn.ops.separable`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import OptionError
from ..ops.bilinear import bilinear2d_backward, bilinear2d_forward, output_size, weights
from ..ops.separable import resample2d_backward, resample2d_forward
from ..ops.upsample import upsample2d_backward, upsample2d_forward
from ..options import as_choice, as_flag, as_number, as_pair
from ..typing import Array, Cache, Pair, Shape
from .init import draw
from .layer import Layer
from .op_layer import OpLayer


class Upsample(OpLayer):
    """Images of another size: each pixel repeated, or linear interpolation between pixels.

    Parameters
        scale_factor : a number, or (height, width); whole ones for "nearest", any > 0 for "bilinear"
        size : (OH, OW) in the place of a factor, for "bilinear"
        mode : "nearest" or "bilinear"
        align_corners : for "bilinear", whether the outermost pixels stay where they are (pixels are points), or the
            edges of the image do (pixels are squares)
    Shapes
        (N, H, W, C) → (N, OH, OW, C);  OH = ⌊H·A⌋ and OW = ⌊W·B⌋ where no size is given
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Upsample((2, 3))(np.zeros((8, 7, 7, 16), np.float32)).shape
    (8, 14, 21, 16)
    >>> Upsample(size=(4, 9), mode="bilinear")(np.zeros((8, 7, 7, 16), np.float32)).shape
    (8, 4, 9, 16)
    """

    pair = (upsample2d_forward, upsample2d_backward)
    config_names = ("scale_factor", "size", "mode", "align_corners")

    def __init__(
        self,
        scale_factor: Any = None,
        *,
        size: Pair | None = None,
        mode: str = "nearest",
        align_corners: bool = False,
    ) -> None:
        self.mode = as_choice("Upsample", "mode", mode, ("nearest", "bilinear"))
        self.align_corners = as_flag("Upsample", "align_corners", align_corners)
        self.scale_factor: Any = None  # whole numbers, numbers, or none
        self.size = None if size is None else as_pair("Upsample", "size", size)
        if self.mode == "bilinear":
            self.pair = (bilinear2d_forward, bilinear2d_backward)
            self.scale_factor = None if scale_factor is None else _factors(scale_factor)
            output_size((2**20, 2**20), self.size, self.scale_factor)
            return
        if self.size is not None or self.align_corners:
            raise OptionError("Upsample", 'a scale_factor alone for "nearest"', "another option", 'mode="bilinear"')
        self.scale_factor = as_pair("Upsample", "scale_factor", scale_factor)

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width, channels = input_shape
        return (*output_size((height, width), self.size, self.scale_factor), channels)

    def options(self) -> dict[str, Any]:
        if self.mode == "nearest":
            return {"scale_factor": self.scale_factor}
        return {"size": self.size, "scale_factor": self.scale_factor, "align_corners": self.align_corners}


class Resample(Layer):
    """Images of another size, whose rows and columns are weighted sums of the input's: bicubic resizing, and others.

    The weights are not trained. They begin as those of bilinear resizing; set others.

    Parameters
        size : (H, W) of the input
        out : (OH, OW)
    Buffers
        rows : (OH, H), the weights of the input's rows in each row of the output
        columns : (OW, W)
    Shapes
        (N, H, W, C) → (N, OH, OW, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Resample((2, 2), (1, 3))(np.ones((8, 2, 2, 3), np.float32)).shape
    (8, 1, 3, 3)
    """

    pair_backward = staticmethod(resample2d_backward)
    buffer_names = ("rows", "columns")
    config_names = ("size", "out")

    def __init__(self, size: Pair, out: Pair) -> None:
        self.size, self.out = as_pair("Resample", "size", size), as_pair("Resample", "out", out)
        self.rows, self.columns = (draw(_bilinear, shape) for shape in zip(self.out, self.size, strict=True))

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return resample2d_forward(x, self.rows, self.columns)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        return self.pair_backward(dy, cache) if input_grad else None, {}

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*self.out, input_shape[-1])


def _bilinear(shape: Shape, fan_in: int, fan_out: int, rng: Any) -> Any:
    """The weights (O, L) of bilinear resizing."""
    out, length = shape
    return weights(out, length, None, False, np.zeros(()), np)


def _factors(given: Any) -> tuple[float, float]:
    pair = tuple(given) if isinstance(given, (tuple, list)) else (given, given)
    if len(pair) != 2:
        raise OptionError("Upsample", "scale_factor: a number or a pair", repr(given))
    height, width = (as_number("Upsample", "scale_factor", each, "(0, inf)") for each in pair)
    return height, width
