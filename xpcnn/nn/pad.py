"""Padding with an image's own numbers as layers; equations in `xpcnn.ops.edge_pad`. (With zeros: `xpcnn.nn.shape`.)"""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from ..ops import edge_pad
from ..ops.window import Padding, Window
from ..typing import Shape
from .layer import OpLayer


class _EdgePad(OpLayer):
    config_names = ("padding",)

    def __init__(self, padding: Padding) -> None:
        who = type(self).__name__
        if isinstance(padding, str):
            raise OptionError(who, "padding: a number, a pair or (top, bottom, left, right)", repr(padding))
        sides: Any = Window(1, padding=padding, who=who).padding
        self.padding: tuple[int, int, int, int] = sides

    def options(self) -> dict[str, Any]:
        return {"widths": [self.padding[:2], self.padding[2:]]}

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width, channels = input_shape
        return (height + sum(self.padding[:2]), width + sum(self.padding[2:]), channels)


class ReflectionPad2d(_EdgePad):
    """Images that go on as in a mirror at their outermost pixels, which stand there once.

    Parameters
        padding : a number; (height, width); (top, bottom, left, right) — PyTorch's order is left, right, top, bottom
    Shapes
        (N, H, W, C) → (N, top + H + bottom, left + W + right, C), each side below the image's size
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> ReflectionPad2d((0, 1))(np.array([[[[1.0], [2.0], [3.0]]]])).ravel()
    array([2., 1., 2., 3., 2.])
    """

    pair = (edge_pad.reflection_pad_forward, edge_pad.reflection_pad_backward)


class ReplicationPad2d(_EdgePad):
    """Images whose outermost pixels are repeated.

    Parameters
        padding : as of `ReflectionPad2d`
    Shapes
        (N, H, W, C) → (N, top + H + bottom, left + W + right, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> ReplicationPad2d((0, 1))(np.array([[[[1.0], [2.0], [3.0]]]])).ravel()
    array([1., 1., 2., 3., 3.])
    """

    pair = (edge_pad.replication_pad_forward, edge_pad.replication_pad_backward)
