"""Average pooling from images of any size to a given size, and its gradient.

An axis of L elements is divided into O bins. Neighbouring bins may share an element where O does not divide L. Bin i is

    ⌊i·L/O⌋ … ⌈(i+1)·L/O⌉ − 1                                                                    (1)

Let A be the (O, L) matrix that has 1/(length of bin i) in row i at that bin's elements, and 0 elsewhere: its rows
sum to 1. With one such matrix for each axis, pooling is linear and separable, and its gradient is the transpose:

    y[n,i,j,c]  = Σ_{p,q} A[i,p] · B[j,q] · x[n,p,q,c]           y  = A  (B x)                    (2)
    dx[n,p,q,c] = Σ_{i,j} A[i,p] · B[j,q] · dy[n,i,j,c]          dx = Aᵀ (Bᵀ dy)                  (3)

Source: K. He et al., Spatial pyramid pooling in deep convolutional networks, 2014, appendix A    → (1)
"""

from __future__ import annotations

from typing import Any

from ..options import as_pair
from ..typing import Array, Cache
from .check import check_batch, check_floats, check_gradient
from .separable import separable


def adaptive_avg_pool2d_forward(x: Array, *, output_size: tuple[int, int]) -> tuple[Array, Cache]:
    """The means of OH × OW bins of each image, (2).

    Parameters
        x : Array (N, H, W, C), float
        output_size : (OH, OW); either may be larger than the image's
    Returns
        y : Array (N, OH, OW, C)
        cache : for `adaptive_avg_pool2d_backward`; holds no images
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> y, cache = adaptive_avg_pool2d_forward(np.arange(5.).reshape(1, 1, 5, 1), output_size=(1, 2))
    >>> y[0, 0, :, 0]
    array([1., 3.])
    """
    who = "AdaptiveAvgPool2d"
    oh, ow = as_pair(who, "output_size", output_size)
    check_batch(who, x, "H", "W", "C")
    xp = check_floats(who, x)
    a, b = bins(oh, x.shape[1], x, xp), bins(ow, x.shape[2], x, xp)  # (OH, H), (OW, W)
    return separable(a, b, x, xp), (a, b, x.shape[0], x.shape[3])  # (N, OH, OW, C)                      (2)


def adaptive_avg_pool2d_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `adaptive_avg_pool2d_forward`, (3).

    Parameters
        dy : Array (N, OH, OW, C)
    Returns
        dx : Array (N, H, W, C)

    >>> import numpy as np
    >>> y, cache = adaptive_avg_pool2d_forward(np.arange(4.0).reshape(1, 2, 2, 1), output_size=(1, 1))
    >>> adaptive_avg_pool2d_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    a, b, n, c = cache
    xp = check_gradient("AdaptiveAvgPool2d", dy, (n, a.shape[0], b.shape[0], c), a)
    return separable(a.T, b.T, dy, xp)  # (N, H, W, C)                                                   (3)


def bins(out: int, size: int, x: Array, xp: Any) -> Array:
    """The matrix (O, L) of (1) and (2), of x's dtype."""
    i = xp.arange(out, dtype=xp.int64, device=x.device)[:, None]  # (O, 1)
    p = xp.arange(size, dtype=xp.int64, device=x.device)[None, :]  # (1, L)
    start, end = (i * size) // out, ((i + 1) * size + out - 1) // out  # (1)
    inside = xp.astype((start <= p) & (p < end), x.dtype)  # (O, L)
    return inside / xp.astype(end - start, x.dtype)  # type: ignore[no-any-return]
