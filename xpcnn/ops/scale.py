"""A factor and an offset, one for all numbers or one a channel, and their gradients.

    y  = x · w + b                                              (1)
    dx = dy · w                                                 (2)
    dw = Σ dy · x,  over all numbers that w multiplies          (3)
    db = Σ dy,      over all numbers that b is added to         (4)

Source: Y. LeCun et al., Gradient-based learning applied to document recognition, 1998, section II.B, whose subsampling
layers have "a trainable coefficient" and "a trainable bias".
"""

from __future__ import annotations

from ..errors import ShapeError
from ..typing import Array, Cache
from .broadcast import sum_to
from .check import check_array, check_gradient, check_items


def scale_forward(x: Array, w: Array, b: Array | None = None) -> tuple[Array, Cache]:
    """Numbers times a factor, and plus an offset; (1).

    Parameters
        x : Array (N, …, C), float
        w : Array (1,) or (C,)
        b : Array (1,) or (C,), or None for no offset
    Returns
        y : Array (N, …, C)
        cache : for `scale_backward`; refers to x and w
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> scale_forward(np.array([[1.0, 2.0]]), np.array([3.0, 10.0]), np.array([0.5, 0.0]))[0]
    array([[ 3.5, 20. ]])
    """
    check_array("Scale", w, b)
    check_items("Scale", x, w, b)
    for name, each in (("weight", w), ("bias", b)):
        if each is not None and tuple(each.shape) not in ((1,), tuple(x.shape[-1:])):
            raise ShapeError("Scale", f"a {name} (1,) or ({x.shape[-1]},), one a channel", str(tuple(each.shape)))
    y: Array = x * w if b is None else x * w + b  # (N, …, C)              (1)
    return y, (x, w, None if b is None else tuple(b.shape))


def scale_backward(dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, Array, Array | None]:
    """The gradients of `scale_forward`, (2) to (4): dy (N, …, C) → dx (or None), dw, and db (None without b).

    >>> import numpy as np
    >>> y, cache = scale_forward(np.array([[1.0, 2.0]]), np.array([3.0, 4.0]), np.zeros(2))
    >>> dx, da, db = scale_backward(np.ones_like(y), cache)
    >>> dx.round(4)
    array([[3., 4.]])
    >>> da.round(4)
    array([1., 2.])
    >>> db.round(4)
    array([1., 1.])
    """
    x, w, offsets = cache
    check_gradient("Scale", dy, x.shape, x)
    dx = dy * w if input_grad else None  # (2)
    dw = sum_to(dy * x, tuple(w.shape))  # (3)
    db = None if offsets is None else sum_to(dy, offsets)  # (4)
    return dx, dw, db
