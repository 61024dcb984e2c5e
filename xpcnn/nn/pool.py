"""Pooling layers: they have no parameters, and treat each channel separately."""

from __future__ import annotations

import math
from typing import Any

from ..ops import dispatch
from ..ops.adaptive_pool import adaptive_avg_pool2d_backward, adaptive_avg_pool2d_forward
from ..ops.global_pool import global_max_pool2d_backward, global_max_pool2d_forward
from ..ops.window import Padding, Window
from ..options import as_flag, as_pair
from ..typing import Array, Pair, Shape
from .layer import OpLayer


class MaxPool2d(OpLayer):
    """The largest element under a sliding window; equations in `xpcnn.ops.pool`.

    Parameters
        kernel_size, dilation : a number, or (height, width)
        stride : the same; None for kernel_size
        padding : −∞ around the image: a number; (height, width); (top, bottom, left, right); "valid"; "same"
        ceil_mode : whether a last window may reach beyond the padding
    Shapes
        (N, H, W, C) → (N, OH, OW, C);  OH = ⌊(H + 2P − D(K−1) − 1)/S⌋ + 1, or ⌈…⌉ with ceil_mode
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> MaxPool2d(2)(np.zeros((8, 28, 28, 6), np.float32)).shape
    (8, 14, 14, 6)
    """

    pair = dispatch.pair("max_pool2d")
    config_names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Pair,
        *,
        stride: Pair | None = None,
        padding: Padding = 0,
        dilation: Pair = 1,
        ceil_mode: bool = False,
    ) -> None:
        stride = kernel_size if stride is None else stride
        self.window = Window(kernel_size, stride, padding, dilation, ceil_mode, who="MaxPool2d")
        self.kernel_size, self.stride, self.dilation = self.window.kernel, self.window.stride, self.window.dilation
        self.padding = padding
        self.ceil_mode = self.window.ceil

    def __call__(self, x: Array) -> Array:
        return dispatch.output("max_pool2d_inference", x, **self.options())

    def options(self) -> dict[str, Any]:
        return {"window": self.window}


class AvgPool2d(OpLayer):
    """The mean of the elements under a sliding window; equations in `xpcnn.ops.pool`.

    Parameters
        kernel_size : a number, or (height, width)
        stride : the same; None for kernel_size
        padding : zeros around the image: a number; (height, width); (top, bottom, left, right); "valid"; "same"
        ceil_mode : whether a last window may reach beyond the padding
        count_include_pad : whether to include the padding's zeros in the mean
    Shapes
        as `MaxPool2d`
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> AvgPool2d(3, stride=2, padding=1)(np.zeros((8, 28, 28, 6), np.float32)).shape
    (8, 14, 14, 6)
    """

    pair = dispatch.pair("avg_pool2d")
    config_names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")

    def __init__(
        self,
        kernel_size: Pair,
        *,
        stride: Pair | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        stride = kernel_size if stride is None else stride
        self.window = Window(kernel_size, stride, padding, ceil=ceil_mode, who="AvgPool2d")
        self.kernel_size, self.stride = self.window.kernel, self.window.stride
        self.padding = padding
        self.ceil_mode = self.window.ceil
        self.count_include_pad = as_flag("AvgPool2d", "count_include_pad", count_include_pad)

    def options(self) -> dict[str, Any]:
        return {"window": self.window, "count_include_pad": self.count_include_pad}


class GlobalMaxPool2d(OpLayer):
    """The largest element of each channel; equations in `xpcnn.ops.global_pool`.

    Shapes
        (N, H, W, C) → (N, C), for images of any size
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> GlobalMaxPool2d()(np.zeros((8, 7, 7, 512), np.float32)).shape
    (8, 512)
    """

    pair = (global_max_pool2d_forward, global_max_pool2d_backward)


class GlobalAvgPool2d(OpLayer):
    """The mean of each channel; equations in `xpcnn.ops.global_pool`.

    Shapes
        (N, H, W, C) → (N, C), for images of any size
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> GlobalAvgPool2d()(np.zeros((8, 7, 7, 512), np.float32)).shape
    (8, 512)
    """

    pair = dispatch.pair("global_avg_pool2d")


class AdaptiveAvgPool2d(OpLayer):
    """The means of a given number of bins, for images of any size; equations in `xpcnn.ops.adaptive_pool`.

    Parameters
        output_size : a number, or (height, width)
    Shapes
        (N, H, W, C) → (N, *output_size, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> AdaptiveAvgPool2d((2, 3))(np.zeros((8, 7, 5, 4), np.float32)).shape
    (8, 2, 3, 4)
    """

    pair = (adaptive_avg_pool2d_forward, adaptive_avg_pool2d_backward)
    config_names = ("output_size",)

    def __init__(self, output_size: Pair) -> None:
        self.output_size = as_pair("AdaptiveAvgPool2d", "output_size", output_size)

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        width = input_shape[1]
        return output_shape[0] * math.prod(input_shape) + math.prod(output_shape) * width  # equation (2)
