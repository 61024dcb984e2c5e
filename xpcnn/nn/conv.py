"""Convolution layers."""

from __future__ import annotations

import math

from ..errors import OptionError
from ..ops import dispatch
from ..ops.check import check_batch
from ..ops.window import Padding, Window
from ..options import as_count, as_flag
from ..random import Seed
from ..typing import Array, Cache, Pair, Shape
from . import init
from .sequences import Sides, WindowLayer, with_height, without_height
from .weighted import WeightedLayer


class Conv2d(WeightedLayer):
    """Convolution of images with learned filters; equations in `xpcnn.ops.conv`.

    Parameters
        in_channels, out_channels : Cin, Cout
        kernel_size, stride, dilation : a number, or (height, width)
        padding : zeros around the image: a number; (height, width); (top, bottom, left, right); "valid"; "same"
        groups : number of independent convolutions that the channels are split into; in_channels for depthwise
        bias : whether to add a learned number to each output channel
        weight_init : an initialiser of `xpcnn.nn.init` or its name; the bias starts at zero
        rng : seed or generator of the initial weights
    Parameters that are trained
        weight : (Cout, KH, KW, Cin/groups);  bias : (Cout,)
    Shapes
        (N, H, W, Cin) → (N, OH, OW, Cout);  OH = ⌊(H + 2P − D(K−1) − 1)/S⌋ + 1
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Conv2d(1, 6, 5, padding=2)(np.zeros((8, 28, 28, 1), np.float32)).shape
    (8, 28, 28, 6)
    """

    costly_weight = True
    pair_backward = staticmethod(dispatch.backward)
    config_names = (
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "groups",
        "bias",
    )

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        weight_init: str | init.Initializer = "he_normal",
        rng: Seed = None,
    ) -> None:
        self.in_channels = as_count("Conv2d", "in_channels", in_channels)
        self.out_channels = as_count("Conv2d", "out_channels", out_channels)
        self.groups = as_count("Conv2d", "groups", groups)
        cin, cout, groups = self.in_channels, self.out_channels, self.groups
        if cin % groups or cout % groups:
            raise OptionError("Conv2d", f"groups that divide {cin} and {cout}", str(groups))
        self.window = Window(kernel_size, stride, padding, dilation, who="Conv2d")
        self.kernel_size, self.stride, self.dilation = self.window.kernel, self.window.stride, self.window.dilation
        self.padding = padding
        kh, kw = self.kernel_size
        bias = as_flag("Conv2d", "bias", bias)
        self.weight = init.draw(
            weight_init,
            (cout, kh, kw, cin // groups),
            fan_in=cin // groups * kh * kw,
            fan_out=cout // groups * kh * kw,
            rng=rng,
        )
        self.bias = init.draw("zeros", (cout,)) if bias else None

    def __call__(self, x: Array) -> Array:
        return self.infer(x, self.bias)

    def infer(self, x: Array, bias: Array | None, *, scale: Array | None = None, relu: bool = False) -> Array:
        """The output in inference, with the batch norm and the ReLU after it; see `xpcnn.nn.fusion`."""
        return dispatch.output(
            "conv2d_inference", x, self.weight, bias, window=self.window, groups=self.groups, scale=scale, relu=relu
        )

    def forward(self, x: Array) -> tuple[Array, Cache]:
        y, cache = dispatch.forward("conv2d", x, self.weight, self.bias, window=self.window, groups=self.groups)
        return y, cache

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        return math.prod(output_shape) * self.window.taps * self.in_channels // self.groups


class Conv1d(WindowLayer):
    """Convolution of sequences with learned filters: `Conv2d` of height 1.

    Parameters
        in_channels, out_channels : Cin, Cout
        kernel_size, stride, dilation : K, S, D
        padding : zeros at the ends: a number; (before, after); "valid"; "same". For a causal convolution, in which
            nothing depends on what comes later, (D·(K − 1), 0)
        groups, bias, weight_init, rng : as of `Conv2d`
    Parameters that are trained
        weight : (Cout, K, Cin/groups);  bias : (Cout,)
    Shapes
        (N, L, Cin) → (N, OL, Cout);  OL = ⌊(L + 2P − D(K−1) − 1)/S⌋ + 1
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Conv1d(12, 32, 5, padding=2)(np.zeros((8, 100, 12), np.float32)).shape
    (8, 100, 32)
    """

    images = Conv2d
    parameter_names = Conv2d.parameter_names
    config_names = Conv2d.config_names

    weight: Array
    bias: Array | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: Sides = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        weight_init: str | init.Initializer = "he_normal",
        rng: Seed = None,
    ) -> None:
        window = self._window(kernel_size, stride, padding, dilation)
        options = {"groups": groups, "bias": bias, "weight_init": weight_init, "rng": rng}
        self._start(in_channels, out_channels, **window, **options)
        self.in_channels, self.out_channels, self.groups = int(in_channels), int(out_channels), int(groups)

    def infer(self, x: Array, bias: Array | None, *, scale: Array | None = None, relu: bool = False) -> Array:
        """As of `Conv2d`."""
        self._check(x)
        return without_height(self._call(self.of_images().infer, with_height(x), bias, scale=scale, relu=relu))

    def _check(self, x: Array) -> None:
        check_batch(f"Conv1d({self.in_channels}→{self.out_channels}, {self.kernel_size})", x, "L", self.in_channels)
