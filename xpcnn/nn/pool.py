"""Pooling layers: they have no parameters, and treat each channel separately."""

from __future__ import annotations

import math
from typing import Any

from ..ops import dispatch
from ..ops.adaptive_pool import adaptive_avg_pool2d_backward, adaptive_avg_pool2d_forward
from ..ops.global_pool import global_max_pool2d_backward, global_max_pool2d_forward
from ..ops.window import Padding, Window
from ..options import as_count, as_flag, as_pair
from ..typing import Array, Pair, Shape
from .op_layer import OpLayer
from .sequences import SequenceLayer, Sides, WindowLayer


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


class MaxPool1d(WindowLayer):
    """The largest element under a window that slides over sequences: `MaxPool2d` of height 1.

    Parameters
        kernel_size, dilation : K, D
        stride : S; None for kernel_size
        padding : −∞ at the ends: a number; (before, after); "valid"; "same"
        ceil_mode : whether a last window may reach beyond the padding
    Shapes
        (N, L, C) → (N, OL, C);  OL = ⌊(L + 2P − D(K−1) − 1)/S⌋ + 1, or ⌈…⌉ with ceil_mode
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> MaxPool1d(2)(np.zeros((8, 100, 12), np.float32)).shape
    (8, 50, 12)
    """

    images = MaxPool2d
    config_names = MaxPool2d.config_names

    def __init__(
        self,
        kernel_size: int,
        *,
        stride: int | None = None,
        padding: Sides = 0,
        dilation: int = 1,
        ceil_mode: bool = False,
    ) -> None:
        window = self._window(kernel_size, kernel_size if stride is None else stride, padding, dilation)
        self.ceil_mode = as_flag("MaxPool1d", "ceil_mode", ceil_mode)
        self._start(**window, ceil_mode=self.ceil_mode)


class AvgPool1d(WindowLayer):
    """The mean of the elements under a window that slides over sequences: `AvgPool2d` of height 1.

    Parameters
        kernel_size : K
        stride : S; None for kernel_size
        padding : zeros at the ends: a number; (before, after); "valid"; "same"
        ceil_mode : whether a last window may reach beyond the padding
        count_include_pad : whether to include the padding's zeros in the mean
    Shapes
        as `MaxPool1d`
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> AvgPool1d(3, stride=2, padding=1)(np.zeros((8, 100, 12), np.float32)).shape
    (8, 50, 12)
    """

    images = AvgPool2d
    config_names = AvgPool2d.config_names

    def __init__(
        self,
        kernel_size: int,
        *,
        stride: int | None = None,
        padding: Sides = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        window = self._window(kernel_size, kernel_size if stride is None else stride, padding)
        del window["dilation"]
        self.ceil_mode = as_flag("AvgPool1d", "ceil_mode", ceil_mode)
        self.count_include_pad = as_flag("AvgPool1d", "count_include_pad", count_include_pad)
        self._start(**window, ceil_mode=self.ceil_mode, count_include_pad=self.count_include_pad)


class GlobalMaxPool1d(SequenceLayer):
    """The largest element of each channel of sequences: `GlobalMaxPool2d` of height 1.

    Shapes
        (N, L, C) → (N, C), for any length
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> GlobalMaxPool1d()(np.zeros((8, 100, 12), np.float32)).shape
    (8, 12)
    """

    images = GlobalMaxPool2d

    def __init__(self) -> None:
        self._start()


class GlobalAvgPool1d(SequenceLayer):
    """The mean of each channel of sequences: `GlobalAvgPool2d` of height 1.

    Shapes
        (N, L, C) → (N, C), for any length
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> GlobalAvgPool1d()(np.zeros((8, 100, 12), np.float32)).shape
    (8, 12)
    """

    images = GlobalAvgPool2d

    def __init__(self) -> None:
        self._start()


class AdaptiveAvgPool1d(SequenceLayer):
    """The means of a given number of bins, for sequences of any length: `AdaptiveAvgPool2d` of height 1.

    Parameters
        output_size : the number of bins
    Shapes
        (N, L, C) → (N, output_size, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> AdaptiveAvgPool1d(3)(np.zeros((8, 100, 12), np.float32)).shape
    (8, 3, 12)
    """

    images = AdaptiveAvgPool2d
    config_names = AdaptiveAvgPool2d.config_names

    def __init__(self, output_size: int) -> None:
        self.output_size = as_count("AdaptiveAvgPool1d", "output_size", output_size)
        self._start((1, self.output_size))
