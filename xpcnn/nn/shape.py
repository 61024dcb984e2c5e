"""Layers that move numbers and compute none: flattening and its reverse, padding."""

from __future__ import annotations

import math
from typing import Any

from ..errors import OptionError, ShapeError
from ..ops import dispatch
from ..ops.check import check_array, check_batch, check_floats, check_gradient, check_items
from ..ops.window import Padding, Window
from ..options import as_count, as_pair
from ..typing import Array, Cache, Shape
from .layer import Layer
from .op_layer import OpLayer


class Flatten(Layer):
    """Turns each item into one row: y[n, (i·W + j)·C + c] = x[n,i,j,c]; the gradient gets x's shape again.

    PyTorch's rows are ordered (C, H, W); `xpcnn.exchange.load_pytorch` reorders the columns of weights from there.

    Shapes
        (N, …) → (N, product of the other axes)
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> Flatten()(np.zeros((8, 7, 7, 64), np.float32)).shape
    (8, 3136)
    """

    def forward(self, x: Array) -> tuple[Array, Cache]:
        check_array("Flatten", x)
        check_batch("Flatten", x, *(x.shape[1:] or ("D1",)))
        xp = check_floats("Flatten", x)
        shape = tuple(x.shape)
        return xp.reshape(x, (shape[0], math.prod(shape[1:]))), shape

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        shape = cache
        xp = check_gradient("Flatten", dy, (shape[0], math.prod(shape[1:])))
        return xp.reshape(dy, shape) if input_grad else None, {}


class Reshape(Layer):
    """The same numbers in another shape; an item's last axis varies fastest.

    Parameters
        shape : of one item, without the batch axis
    Shapes
        (N, …) → (N, *shape)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Reshape((1, 12))(np.zeros((8, 4, 3), np.float32)).shape
    (8, 1, 12)
    """

    config_names = ("shape",)

    def __init__(self, shape: Shape) -> None:
        who = type(self).__name__
        if not isinstance(shape, (tuple, list)) or not shape:
            raise OptionError(who, "shape: the sizes of an item", repr(shape))
        self.shape = tuple(as_count(who, "each axis of shape", size) for size in shape)

    def forward(self, x: Array) -> tuple[Array, Cache]:
        who = type(self).__name__
        xp = check_items(who, x)
        if math.prod(x.shape[1:]) != math.prod(self.shape):
            raise ShapeError(who, f"items of {math.prod(self.shape)} numbers", str(tuple(x.shape)))
        return xp.reshape(x, (x.shape[0], *self.shape)), tuple(x.shape)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        shape = cache
        xp = check_gradient(type(self).__name__, dy, (shape[0], *self.shape))
        return xp.reshape(dy, shape) if input_grad else None, {}

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.shape


class Unflatten(Reshape):
    """Turns each row into one image or one sequence, the inverse of `Flatten`: y[n,i,j,c] = x[n, (i·W + j)·C + c].

    Decoders and image generators use it to turn a vector into images: Linear, Unflatten, ConvTranspose2d.
    PyTorch's rows are ordered (C, H, W); `xpcnn.exchange.load_pytorch` reorders the rows of weights from there.

    Parameters
        shape : of one image, (H, W, C), or one sequence, (L, C)
    Shapes
        (N, H·W·C) → (N, H, W, C), (N, L·C) → (N, L, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Unflatten((7, 7, 64))(np.zeros((8, 3136), np.float32)).shape
    (8, 7, 7, 64)
    """

    def __init__(self, shape: Shape) -> None:
        if not isinstance(shape, (tuple, list)) or len(shape) not in (2, 3):
            raise OptionError("Unflatten", "shape: (H, W, C) or (L, C)", repr(shape))
        super().__init__(shape)

    def forward(self, x: Array) -> tuple[Array, Cache]:
        check_batch(f"Unflatten({self.shape})", x, math.prod(self.shape))
        return super().forward(x)


class _ZeroPad(OpLayer):
    pair = dispatch.pair("zero_pad")

    def forward(self, x: Array) -> tuple[Array, Cache]:
        check_batch(type(self).__name__, x, "H", "W", "C")
        return super().forward(x)


class ZeroPad2d(_ZeroPad):
    """Zeros around images; equations in `xpcnn.ops.pad`.

    Parameters
        padding : a number; (height, width); (top, bottom, left, right) — PyTorch's order is left, right, top, bottom
    Shapes
        (N, H, W, C) → (N, top + H + bottom, left + W + right, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> ZeroPad2d((0, 1, 2, 3))(np.zeros((4, 3, 3, 2), np.float32)).shape
    (4, 4, 8, 2)
    """

    config_names = ("padding",)

    def __init__(self, padding: Padding) -> None:
        if isinstance(padding, str):
            raise OptionError("ZeroPad2d", "padding: a number, a pair or (top, bottom, left, right)", repr(padding))
        sides: Any = Window(1, padding=padding, who="ZeroPad2d").padding
        self.padding: tuple[int, int, int, int] = sides

    def options(self) -> dict[str, Any]:
        return {"widths": [self.padding[:2], self.padding[2:], (0, 0)]}


class ZeroPadChannels(_ZeroPad):
    """Channels of zeros before and after those of the images, for a residual shortcut without weights.

    Parameters
        before, after : numbers of channels of zeros
    Shapes
        (N, H, W, C) → (N, H, W, before + C + after)
    Raises
        OptionError, ShapeError, DTypeError
    Source
        K. He et al., Deep residual learning for image recognition, 2015, section 3.3, option A

    >>> import numpy as np
    >>> ZeroPadChannels(8, 8)(np.zeros((4, 32, 32, 16), np.float32)).shape
    (4, 32, 32, 32)
    """

    config_names = ("before", "after")

    def __init__(self, before: int, after: int) -> None:
        self.before, self.after = as_pair("ZeroPadChannels", "before and after", (before, after), least=0)

    def options(self) -> dict[str, Any]:
        return {"widths": [(0, 0), (0, 0), (self.before, self.after)]}
