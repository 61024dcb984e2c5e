"""The transposed convolution layer."""

from __future__ import annotations

import math

from ..errors import OptionError
from ..ops.check import check_batch
from ..ops.conv_transpose import check_output_padding, conv_transpose2d_backward, conv_transpose2d_forward
from ..ops.window import Padding, Window
from ..options import as_count, as_flag
from ..random import Seed
from ..typing import Array, Cache, Pair, Shape
from . import init
from .sequences import WindowLayer
from .weighted import WeightedLayer


class ConvTranspose2d(WeightedLayer):
    """Upsampling with learned filters, the transpose of `Conv2d`; equations in `xpcnn.ops.conv_transpose`.

    Parameters
        in_channels, out_channels : Cin, Cout
        kernel_size, stride, dilation : a number, or (height, width)
        padding : cut off the output: a number; (height, width); (top, bottom, left, right)
        output_padding : additional rows and columns of the output, below and to the right
        groups : number of independent convolutions that the channels are split into
        bias : whether to add a learned number to each output channel
        weight_init : an initialiser of `xpcnn.nn.init` or its name; the bias starts at zero
        rng : seed or generator of the initial weights
    Parameters that are trained
        weight : (Cin, KH, KW, Cout/groups);  bias : (Cout,)
    Shapes
        (N, H, W, Cin) → (N, OH, OW, Cout);  OH = (H − 1)·S − 2P + D(K−1) + 1 + output_padding
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> ConvTranspose2d(16, 8, 4, stride=2, padding=1)(np.zeros((8, 7, 7, 16), np.float32)).shape
    (8, 14, 14, 8)
    """

    costly_weight = True
    pair_backward = staticmethod(conv_transpose2d_backward)
    config_names = (
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "output_padding",
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
        output_padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        weight_init: str | init.Initializer = "he_normal",
        rng: Seed = None,
    ) -> None:
        who = "ConvTranspose2d"
        self.in_channels = in_channels = as_count(who, "in_channels", in_channels)
        self.out_channels = out_channels = as_count(who, "out_channels", out_channels)
        self.groups = groups = as_count(who, "groups", groups)
        if in_channels % groups or out_channels % groups:
            raise OptionError(who, f"groups that divide {in_channels} and {out_channels}", str(groups))
        self.window = Window(kernel_size, stride, padding, dilation, who="ConvTranspose2d")
        self.kernel_size, self.stride, self.dilation = self.window.kernel, self.window.stride, self.window.dilation
        self.padding = padding
        self.output_padding = check_output_padding(who, self.window, output_padding)
        (kh, kw), (sh, sw) = self.kernel_size, self.stride
        bias = as_flag(who, "bias", bias)
        self.weight = init.draw(
            weight_init,
            (in_channels, kh, kw, out_channels // groups),
            fan_in=max(1, in_channels // groups * kh * kw // (sh * sw)),  # with a stride, fewer taps reach each output
            fan_out=out_channels // groups * kh * kw,
            rng=rng,
        )
        self.bias = init.draw("zeros", (out_channels,)) if bias else None

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return conv_transpose2d_forward(
            x,
            self.weight,
            self.bias,
            window=self.window,
            output_padding=self.output_padding,
            groups=self.groups,
        )

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        return math.prod(input_shape) * self.window.taps * self.out_channels // self.groups


class ConvTranspose1d(WindowLayer):
    """Longer sequences with learned filters, the transpose of `Conv1d`: `ConvTranspose2d` of height 1.

    Parameters
        in_channels, out_channels : Cin, Cout
        kernel_size, stride, dilation : K, S, D
        padding : cut off the output: a number; (before, after)
        output_padding : additional elements of the output, after the last
        groups, bias, weight_init, rng : as of `ConvTranspose2d`
    Parameters that are trained
        weight : (Cin, K, Cout/groups);  bias : (Cout,)
    Shapes
        (N, L, Cin) → (N, OL, Cout);  OL = (L − 1)·S − 2P + D(K−1) + 1 + output_padding
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> ConvTranspose1d(32, 12, 4, stride=2, padding=1)(np.zeros((8, 50, 32), np.float32)).shape
    (8, 100, 12)
    """

    images = ConvTranspose2d
    parameter_names = ConvTranspose2d.parameter_names
    config_names = ConvTranspose2d.config_names

    weight: Array
    bias: Array | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        weight_init: str | init.Initializer = "he_normal",
        rng: Seed = None,
    ) -> None:
        window = self._window(kernel_size, stride, padding, dilation)
        self.output_padding = as_count("ConvTranspose1d", "output_padding", output_padding, least=0)
        options = {"groups": groups, "bias": bias, "weight_init": weight_init, "rng": rng}
        self._start(in_channels, out_channels, **window, output_padding=(0, self.output_padding), **options)
        self.in_channels, self.out_channels, self.groups = int(in_channels), int(out_channels), int(groups)

    def _check(self, x: Array) -> None:
        who = f"ConvTranspose1d({self.in_channels}→{self.out_channels}, {self.kernel_size})"
        check_batch(who, x, "L", self.in_channels)
