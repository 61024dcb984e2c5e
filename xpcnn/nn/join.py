"""Joins: layers with several inputs, which combine values in a `Graph`. Equations in `xpcnn.ops.join`.

Their input is a tuple of arrays, and so is ∂L/∂x.
"""

from __future__ import annotations

from ..ops import dispatch, join
from .op_layer import OpLayer


class Add(OpLayer):
    """y = x₁ + x₂ + …, for shapes that can be broadcast.

    >>> import numpy as np
    >>> Add()((np.ones((1, 2)), np.array([1.0, 2.0])))
    array([[2., 3.]])
    """

    pair = dispatch.pair("add_join")
    arity = (2, None)


class Subtract(OpLayer):
    """y = a − b, for shapes that can be broadcast.

    >>> import numpy as np
    >>> Subtract()((np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])))
    array([[-2.,  1.]])
    """

    pair = (join.subtract_forward, join.subtract_backward)
    arity = (2, 2)


class Multiply(OpLayer):
    """y = x₁ · x₂ · …, for shapes that can be broadcast, such as (N, H, W, C) and (N, 1, 1, C).

    >>> import numpy as np
    >>> Multiply()((np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])))
    array([[ 3., 20.]])
    """

    pair = dispatch.pair("multiply")
    arity = (2, None)


class Maximum(OpLayer):
    """y = max(x₁, x₂, …), elementwise, for shapes that can be broadcast.

    >>> import numpy as np
    >>> Maximum()((np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])))
    array([[3., 5.]])
    """

    pair = dispatch.pair("maximum")
    arity = (2, None)


class Minimum(OpLayer):
    """y = min(x₁, x₂, …), elementwise, for shapes that can be broadcast.

    >>> import numpy as np
    >>> Minimum()((np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])))
    array([[1., 4.]])
    """

    pair = dispatch.pair("minimum")
    arity = (2, None)
