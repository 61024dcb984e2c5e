"""Larger images as a layer; equations in `xpcnn.ops.upsample` and `xpcnn.ops.bilinear`."""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from ..ops.bilinear import bilinear2d_backward, bilinear2d_forward, output_size
from ..ops.upsample import upsample2d_backward, upsample2d_forward
from ..options import as_choice, as_flag, as_number, as_pair
from ..typing import Pair, Shape
from .layer import OpLayer


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


def _factors(given: Any) -> tuple[float, float]:
    pair = tuple(given) if isinstance(given, (tuple, list)) else (given, given)
    if len(pair) != 2:
        raise OptionError("Upsample", "scale_factor: a number or a pair", repr(given))
    height, width = (as_number("Upsample", "scale_factor", each, "(0, inf)") for each in pair)
    return height, width
