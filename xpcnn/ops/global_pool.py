"""Pooling of whole images: one number for each channel, and the gradients.

    maximum    y[n,c] = max_{p,q} x[n,p,q,c]                                                     (1)
    average    y[n,c] = Σ_{p,q} x[n,p,q,c] / HW                                                  (2)

    maximum    dx[n,p,q,c] = dy[n,c] at the first (p, q), row by row, with the maximum;          (3)
                             0 elsewhere
    average    dx[n,p,q,c] = dy[n,c] / HW                                                        (4)

Source: M. Lin, Q. Chen and S. Yan, Network in network, 2013, section 3.2                         → (2)
"""

from __future__ import annotations

from ..typing import Array, Cache
from .check import check_batch, check_floats, check_gradient


def global_max_pool2d_forward(x: Array) -> tuple[Array, Cache]:
    """The largest element of each channel, (1).

    Parameters
        x : Array (N, H, W, C), float
    Returns
        y : Array (N, C)
        cache : for `global_max_pool2d_backward`; holds one integer per output, not x
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> y, cache = global_max_pool2d_forward(np.array([[[[1., 8.], [3., 4.]]]]))
    >>> y
    array([[3., 8.]])
    """
    check_batch("GlobalMaxPool2d", x, "H", "W", "C")
    xp = check_floats("GlobalMaxPool2d", x)
    n, h, w, c = x.shape
    x = xp.reshape(x, (n, h * w, c))  # (N, HW, C)
    return xp.max(x, axis=1), (xp.argmax(x, axis=1), (n, h, w, c))  # (N, C) each                    (1)


def global_max_pool2d_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `global_max_pool2d_forward`, (3).

    Parameters
        dy : Array (N, C)
    Returns
        dx : Array (N, H, W, C)

    >>> import numpy as np
    >>> y, cache = global_max_pool2d_forward(np.arange(4.0).reshape(1, 2, 2, 1))
    >>> global_max_pool2d_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[0., 0.],
           [0., 1.]])
    """
    winner, (n, h, w, c) = cache
    xp = check_gradient("GlobalMaxPool2d", dy, (n, c))
    positions = xp.arange(h * w, dtype=winner.dtype, device=dy.device)  # (HW,)
    wins = positions[None, :, None] == winner[:, None, :]  # (N, HW, C)
    dx: Array = xp.where(wins, dy[:, None, :], xp.zeros((), dtype=dy.dtype, device=dy.device))  # (N, HW, C)  (3)
    return xp.reshape(dx, (n, h, w, c))  # type: ignore[no-any-return]


def global_avg_pool2d_forward(x: Array) -> tuple[Array, Cache]:
    """The mean of each channel, (2).

    Parameters
        x : Array (N, H, W, C), float
    Returns
        y : Array (N, C)
        cache : for `global_avg_pool2d_backward`; holds x's shape
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> y, cache = global_avg_pool2d_forward(np.array([[[[1., 8.], [3., 4.]]]]))
    >>> y
    array([[2., 6.]])
    """
    check_batch("GlobalAvgPool2d", x, "H", "W", "C")
    xp = check_floats("GlobalAvgPool2d", x)
    y = xp.sum(x, axis=(1, 2)) / (x.shape[1] * x.shape[2])  # (N, C)                                 (2)
    return y, tuple(x.shape)


def global_avg_pool2d_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `global_avg_pool2d_forward`, (4).

    Parameters
        dy : Array (N, C)
    Returns
        dx : Array (N, H, W, C)

    >>> import numpy as np
    >>> y, cache = global_avg_pool2d_forward(np.arange(4.0).reshape(1, 2, 2, 1))
    >>> global_avg_pool2d_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    n, h, w, c = cache
    xp = check_gradient("GlobalAvgPool2d", dy, (n, c))
    dx: Array = xp.broadcast_to((dy / (h * w))[:, None, None, :], (n, h, w, c))  # (4)
    return dx
