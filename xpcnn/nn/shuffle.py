"""Channels and pixels that change places, and slices of channels; equations in `xpcnn.ops.shuffle`."""

from __future__ import annotations

from ..errors import OptionError
from ..ops import shuffle
from ..options import as_count
from ..typing import Shape
from .layer import OpLayer


class PixelShuffle(OpLayer):
    """Every r² channels become r by r pixels: upsampling by numbers that a convolution has made.

    The channels of a pixel are those that stand side by side, in PyTorch's order: weights go over unchanged.

    Parameters
        upscale_factor : r
    Shapes
        (N, H, W, C·r²) → (N, H·r, W·r, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> PixelShuffle(2)(np.zeros((8, 7, 7, 12), np.float32)).shape
    (8, 14, 14, 3)
    """

    pair = (shuffle.pixel_shuffle_forward, shuffle.pixel_shuffle_backward)
    config_names = ("upscale_factor",)

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = as_count("PixelShuffle", "upscale_factor", upscale_factor)

    def output_shape(self, input_shape: Shape) -> Shape:
        (height, width, channels), r = input_shape, self.upscale_factor
        return (height * r, width * r, channels // (r * r))


class PixelUnshuffle(OpLayer):
    """Every r by r pixels become r² channels: the reverse of `PixelShuffle`.

    Parameters
        downscale_factor : r
    Shapes
        (N, H·r, W·r, C) → (N, H, W, C·r²)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> PixelUnshuffle(2)(np.zeros((8, 14, 14, 3), np.float32)).shape
    (8, 7, 7, 12)
    """

    pair = (shuffle.pixel_unshuffle_forward, shuffle.pixel_unshuffle_backward)
    config_names = ("downscale_factor",)

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = as_count("PixelUnshuffle", "downscale_factor", downscale_factor)

    def output_shape(self, input_shape: Shape) -> Shape:
        (height, width, channels), r = input_shape, self.downscale_factor
        return (height // r, width // r, channels * r * r)


class ChannelShuffle(OpLayer):
    """Channels dealt out like cards, one of each group in turn, so that grouped convolutions hear of each other.

    Parameters
        groups : g, which divides C
    Shapes
        (N, …, C) → (N, …, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> ChannelShuffle(2)(np.array([[0.0, 1.0, 2.0, 3.0]]))
    array([[0., 2., 1., 3.]])
    """

    pair = (shuffle.channel_shuffle_forward, shuffle.channel_shuffle_backward)
    config_names = ("groups",)

    def __init__(self, groups: int) -> None:
        self.groups = as_count("ChannelShuffle", "groups", groups)


class ChannelSlice(OpLayer):
    """Some of the channels: x[..., start:stop].

    Parameters
        start, stop : the first channel, and the one after the last
    Shapes
        (N, …, C) → (N, …, stop − start), for C ≥ stop
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> ChannelSlice(1, 3)(np.array([[0.0, 1.0, 2.0, 3.0]]))
    array([[1., 2.]])
    """

    pair = (shuffle.channel_slice_forward, shuffle.channel_slice_backward)
    config_names = ("start", "stop")

    def __init__(self, start: int, stop: int) -> None:
        self.start = as_count("ChannelSlice", "start", start, least=0)
        self.stop = as_count("ChannelSlice", "stop", stop)
        if self.start >= self.stop:
            raise OptionError("ChannelSlice", "start < stop", f"{self.start} and {self.stop}")

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.stop - self.start)
