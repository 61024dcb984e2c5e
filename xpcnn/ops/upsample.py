"""Nearest-neighbour upsampling by integer factors, and its gradient.

Each element becomes a block of A × B equal elements:

    y[n,i,j,c]  = x[n, ⌊i/A⌋, ⌊j/B⌋, c]                                            (1)
    dx[n,p,q,c] = Σ_{a<A, b<B} dy[n, p·A + a, q·B + b, c]                          (2)

Source: A. Odena, V. Dumoulin and C. Olah, Deconvolution and checkerboard artifacts, 2016.
"""

from __future__ import annotations

from ..options import as_pair
from ..typing import Array, Cache
from .check import check_batch, check_floats, check_gradient


def upsample2d_forward(x: Array, *, scale_factor: tuple[int, int]) -> tuple[Array, Cache]:
    """Repeat each element A times down and B times across, (1).

    Parameters
        x : Array (N, H, W, C), float
        scale_factor : (A, B)
    Returns
        y : Array (N, H·A, W·B, C)
        cache : for `upsample2d_backward`; holds x's shape and the scale_factor
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> y, cache = upsample2d_forward(np.array([[[[1.], [2.]]]]), scale_factor=(2, 3))
    >>> y[0, :, :, 0]
    array([[1., 1., 1., 2., 2., 2.],
           [1., 1., 1., 2., 2., 2.]])
    """
    a, b = as_pair("Upsample", "scale_factor", scale_factor)
    check_batch("Upsample", x, "H", "W", "C")
    xp = check_floats("Upsample", x)
    n, h, w, c = x.shape
    blocks = xp.broadcast_to(x[:, :, None, :, None, :], (n, h, a, w, b, c))  # (N, H, A, W, B, C)
    return xp.reshape(blocks, (n, h * a, w * b, c)), (n, h, a, w, b, c)  # (1)


def upsample2d_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `upsample2d_forward`, (2).

    Parameters
        dy : Array (N, H·A, W·B, C)
    Returns
        dx : Array (N, H, W, C)

    >>> import numpy as np
    >>> y, cache = upsample2d_forward(np.arange(4.0).reshape(1, 2, 2, 1), scale_factor=(2, 2))
    >>> upsample2d_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[4., 4.],
           [4., 4.]])
    """
    n, h, a, w, b, c = cache
    xp = check_gradient("Upsample", dy, (n, h * a, w * b, c))
    dx: Array = xp.sum(xp.reshape(dy, (n, h, a, w, b, c)), axis=(2, 4))  # (N, H, W, C)                (2)
    return dx
