"""Padding with an image's own numbers as layers; equations in `xpcnn.ops.edge_pad`. (With zeros: `xpcnn.nn.shape`.)

Padding of sequences, with zeros too.
"""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from ..ops import edge_pad
from ..ops.window import Padding, Window
from ..options import as_pair
from ..typing import Shape
from .op_layer import OpLayer
from .sequences import SequenceLayer
from .shape import ZeroPad2d


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


class _EndPad(SequenceLayer):
    config_names = ("padding",)

    def __init__(self, padding: int | tuple[int, int]) -> None:
        self.padding = as_pair(type(self).__name__, "padding", padding, least=0)
        self._start((0, 0, *self.padding))


class ZeroPad1d(_EndPad):
    """Zeros at the ends of sequences: `ZeroPad2d` of height 1.

    Parameters
        padding : a number; (before, after)
    Shapes
        (N, L, C) → (N, before + L + after, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> ZeroPad1d((2, 0))(np.array([[[1.0], [2.0], [3.0]]])).ravel()
    array([0., 0., 1., 2., 3.])
    """

    images = ZeroPad2d


class ReflectionPad1d(_EndPad):
    """Sequences that go on as in a mirror at their ends, which stand there once: `ReflectionPad2d` of height 1.

    Parameters
        padding : a number; (before, after), each below L
    Shapes
        (N, L, C) → (N, before + L + after, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> ReflectionPad1d((2, 1))(np.array([[[1.0], [2.0], [3.0]]])).ravel()
    array([3., 2., 1., 2., 3., 2.])
    """

    images = ReflectionPad2d


class ReplicationPad1d(_EndPad):
    """Sequences whose ends are repeated: `ReplicationPad2d` of height 1.

    Parameters
        padding : a number; (before, after)
    Shapes
        (N, L, C) → (N, before + L + after, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> ReplicationPad1d((2, 1))(np.array([[[1.0], [2.0], [3.0]]])).ravel()
    array([1., 1., 1., 2., 3., 3.])
    """

    images = ReplicationPad2d
