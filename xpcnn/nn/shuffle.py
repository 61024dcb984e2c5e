"""Channels, pixels and axes that change places, and slices; equations in `xpcnn.ops.shuffle`."""

from __future__ import annotations

from ..errors import OptionError, ShapeError
from ..ops import shuffle
from ..options import as_count
from ..typing import Shape
from .op_layer import OpLayer


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


class Slice(OpLayer):
    """Part of each item along one axis, the channels by default: x[..., start:stop:step].

    Parameters
        start, stop : the first place, and one behind the last
        step : from place to place
        axis : counted with the batch's as 0, which it is not; negative ones from the end
    Shapes
        (N, …, L, …) → (N, …, ⌈(stop − start) / step⌉, …), for L ≥ stop
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Slice(1, 3)(np.array([[0.0, 1.0, 2.0, 3.0]]))
    array([[1., 2.]])
    """

    pair = (shuffle.slice_forward, shuffle.slice_backward)
    config_names = ("start", "stop", "step", "axis")

    def __init__(self, start: int, stop: int, *, step: int = 1, axis: int = -1) -> None:
        self.start = as_count("Slice", "start", start, least=0)
        self.stop, self.step = as_count("Slice", "stop", stop), as_count("Slice", "step", step)
        if self.start >= self.stop:
            raise OptionError("Slice", "start < stop", f"{self.start} and {self.stop}")
        if isinstance(axis, bool) or not isinstance(axis, int) or axis == 0:
            raise OptionError("Slice", "axis: an integer, which is not 0, the batch's", repr(axis)[:80])
        self.axis = axis

    def output_shape(self, input_shape: Shape) -> Shape:
        axis, sizes = self.axis - 1 if self.axis > 0 else self.axis, list(input_shape)
        if not -len(sizes) <= axis < len(sizes):
            raise ShapeError("Slice", f"items with axis {self.axis}", str(input_shape))
        sizes[axis] = len(range(self.start, self.stop, self.step))
        return tuple(sizes)


class Permute(OpLayer):
    """An item's axes in another order, as in Keras.

    Parameters
        axes : those of the input in the order that the output has them, counted from 1; 0 is the batch's, and stays
    Shapes
        (N, D₁, D₂, …) → (N, D of axes[0], D of axes[1], …)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Permute((3, 1, 2))(np.zeros((8, 7, 6, 3), np.float32)).shape
    (8, 3, 7, 6)
    """

    pair = (shuffle.permute_forward, shuffle.permute_backward)
    config_names = ("axes",)

    def __init__(self, axes: tuple[int, ...]) -> None:
        given = tuple(axes) if isinstance(axes, (tuple, list)) else ()
        if not given or any(type(axis) is not int for axis in given) or sorted(given) != [*range(1, len(given) + 1)]:
            raise OptionError("Permute", "axes: each of 1, 2, … once", repr(axes)[:80])
        self.axes: tuple[int, ...] = given

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != len(self.axes):
            raise ShapeError("Permute", f"items of {len(self.axes)} axes", str(input_shape))
        return tuple(input_shape[axis - 1] for axis in self.axes)
