"""Means, sums, maxima and minima over any axes as layers; equations in `xpcnn.ops.reduce`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import OptionError
from ..ops import reduce
from ..options import as_flag
from ..typing import Shape
from .op_layer import OpLayer


class _Reduce(OpLayer):
    config_names = ("axes", "keepdims")

    def __init__(self, axes: int | Iterable[int], *, keepdims: bool = False) -> None:
        who = type(self).__name__
        given: Any = (axes,) if isinstance(axes, int) else axes
        listed = tuple(given) if isinstance(given, (tuple, list)) else ()
        if not listed or any(isinstance(axis, bool) or not isinstance(axis, int) for axis in listed):
            raise OptionError(who, "axes: an integer or several", repr(axes)[:80])
        if 0 in listed or len(set(listed)) < len(listed):
            raise OptionError(who, "axes: different ones of each item, which is not 0, the batch's", str(listed))
        self.axes: tuple[int, ...] = listed
        self.keepdims = as_flag(who, "keepdims", keepdims)

    def output_shape(self, input_shape: Shape) -> Shape:
        over = reduce.reduced(type(self).__name__, self.axes, len(input_shape) + 1)
        sizes = [(1 if axis in over else size, axis in over) for axis, size in enumerate(input_shape, 1)]
        return tuple(size for size, gone in sizes if self.keepdims or not gone)


class Mean(_Reduce):
    """The mean over some axes, as PyTorch's `torch.mean`.

    Parameters
        axes : one or several, counted with the batch's as 0, which is none of them; negative ones from the end
        keepdims : leave axes of length 1 in their places
    Shapes
        (N, …) → (N, …), without the axes
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Mean((1, 2), keepdims=True)(np.zeros((8, 7, 7, 64), np.float32)).shape
    (8, 1, 1, 64)
    """

    pair = (reduce.mean_forward, reduce.mean_backward)


class Max(_Reduce):
    """The largest number over some axes, as PyTorch's `torch.amax`: where several are, they share the gradient.

    Parameters
        axes, keepdims : as of `Mean`
    Shapes
        (N, …) → (N, …), without the axes
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Max(-1)(np.array([[1.0, 3.0], [5.0, 2.0]]))
    array([3., 5.])
    """

    pair = (reduce.max_forward, reduce.max_backward)


class Sum(_Reduce):
    """The sum over some axes, as PyTorch's `torch.sum`.

    Parameters
        axes, keepdims : as of `Mean`
    Shapes
        (N, …) → (N, …), without the axes
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Sum(-1)(np.array([[1.0, 5.0]]))
    array([6.])
    """

    pair = (reduce.sum_forward, reduce.sum_backward)


class Min(_Reduce):
    """The smallest number over some axes, as PyTorch's `torch.amin`: where several are, they share the gradient.

    Parameters
        axes, keepdims : as of `Mean`
    Shapes
        (N, …) → (N, …), without the axes
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> Min(-1)(np.array([[1.0, 5.0]]))
    array([1.])
    """

    pair = (reduce.min_forward, reduce.min_backward)
