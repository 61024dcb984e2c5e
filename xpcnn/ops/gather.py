"""Some images of many, as floats; pixels by their positions; and images moved by whole pixels.

    y[n, …] = x[index[n], …] / scale                                                  (1)
    y[n,i,j] = x[n, r[n,i,j], s[n,i,j]]                                               (2)
    y[n,i,j] = x[n, i + a[n], j + b[n]]   where that is a pixel of x,   else fill     (3)

Data sets and augmentations use them; no network does.
"""

from __future__ import annotations

from typing import Any

from ..backend import array_namespace
from ..typing import Array


def gather_images(x: Array, index: Array, *, scale: float) -> Array:
    """The images at these positions, divided by the scale, (1).

    Parameters
        x : Array (M, …), of any real dtype
        index : Array (N,), integers
        scale : s
    Returns
        y : Array (N, …), float32

    >>> import numpy as np
    >>> gather_images(np.array([[0], [255], [51]], np.uint8), np.array([2, 1]), scale=255).tolist()
    [[0.20000000298023224], [1.0]]
    """
    xp: Any = array_namespace(x, index)
    y: Array = xp.astype(xp.take(x, index, axis=0), xp.float32)  # (N, …)
    y /= scale  # (1)
    return y


def pixels(x: Array, rows: Any, columns: Any) -> tuple[Any, Any]:
    """The pixels at these positions, (2), and which of the positions are in the image.

    Parameters
        x : Array (N, H, W, C)
        rows, columns : r and s, Arrays of int64 that broadcast to (N, H, W); beyond the border, some pixel is taken
    Returns
        y : Array (N, H, W, C)
        inside : boolean Array (N, H, W, 1)
    """
    xp: Any = array_namespace(x, rows, columns)
    n, h, w, c = x.shape
    inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)  # (N, H, W)
    image = xp.arange(n, dtype=xp.int64, device=x.device)[:, None, None]  # (N, 1, 1)
    index = (image * h + rows) * w + columns  # (N, H, W)
    index = xp.where(inside, index, xp.zeros((), dtype=xp.int64, device=x.device))
    taken = xp.take(xp.reshape(x, (n * h * w, c)), xp.reshape(index, (n * h * w,)), axis=0)  # (N·H·W, C)  (2)
    return xp.reshape(taken, (n, h, w, c)), inside[..., None]


def shift_images(x: Array, rows: Array, columns: Array, *, fill: float) -> Array:
    """The images, each moved by its own number of rows and columns, (3).

    Parameters
        x : Array (N, H, W, C), float
        rows, columns : a and b, Arrays (N,) of int64
        fill : the value of pixels that come from outside
    Returns
        y : Array (N, H, W, C)

    >>> import numpy as np
    >>> x = np.array([[[[1.0], [2.0]]]])
    >>> shift_images(x, np.array([0]), np.array([1]), fill=0.5)[0, 0, :, 0].tolist()
    [2.0, 0.5]
    """
    xp: Any = array_namespace(x, rows, columns)
    i, j = (xp.arange(length, dtype=xp.int64, device=x.device) for length in x.shape[1:3])
    y, inside = pixels(x, (rows[:, None] + i)[:, :, None], (columns[:, None] + j)[:, None, :])
    moved: Array = xp.where(inside, y, xp.full((), fill, dtype=x.dtype, device=x.device))  # (3)
    return moved
