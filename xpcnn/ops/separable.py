"""One matrix along the height of images and one along their width: a map that is linear and separable.

    y[n,i,j,c] = Σ_{p,q} A[i,p] · B[j,q] · x[n,p,q,c]           y = A (B x)                      (1)
    dx = Aᵀ (Bᵀ dy)                                                                              (2)

Source: W. Press et al., Numerical recipes, 2007, section 3.6.3 (bicubic interpolation, a case of (1))
"""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from ..typing import Array, Cache
from .check import check_array, check_batch, check_floats, check_gradient


def separable(a: Array, b: Array, x: Array, xp: Any) -> Array:
    """a (I, P) along the height and b (J, Q) along the width, (1): (N, P, Q, C) → (N, I, J, C)."""
    n, p, q, c = x.shape
    x = a @ xp.reshape(x, (n, p, q * c))  # (I, P) @ (N, P, QC) → (N, I, QC)
    y: Array = b @ xp.reshape(x, (n, a.shape[0], q, c))  # (J, Q) @ (N, I, Q, C) → (N, I, J, C)       (1)
    return y


def resample2d_forward(x: Array, rows: Array, columns: Array) -> tuple[Array, Cache]:
    """Images of another size, whose rows and columns are weighted sums of those of x; (1).

    Parameters
        x : Array (N, H, W, C), float
        rows : Array (OH, H), A; not trained
        columns : Array (OW, W), B; not trained
    Returns
        y : Array (N, OH, OW, C)
        cache : for `resample2d_backward`; holds no images
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> x = np.array([1.0, 3.0]).reshape(1, 1, 2, 1)
    >>> resample2d_forward(x, np.ones((1, 1)), np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]))[0].ravel()
    array([1., 2., 3.])
    """
    who = "Resample"
    check_batch(who, x, "H", "W", "C")
    for matrix in (rows, columns):
        check_array(who, matrix)
    xp = check_floats(who, x, rows, columns)
    shapes = [tuple(each.shape) for each in (rows, columns)]
    if any(len(shape) != 2 or shape[1] != size for shape, size in zip(shapes, x.shape[1:3], strict=True)):
        raise ShapeError(who, f"matrices (OH, {x.shape[1]}) and (OW, {x.shape[2]})", f"{shapes[0]} and {shapes[1]}")
    return separable(rows, columns, x, xp), (rows, columns, x.shape[0], x.shape[3])  # (N, OH, OW, C)   (1)


def resample2d_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `resample2d_forward`, (2): dy (N, OH, OW, C) → dx (N, H, W, C).

    >>> import numpy as np
    >>> y, cache = resample2d_forward(np.arange(4.0).reshape(1, 2, 2, 1), np.eye(2), np.ones((1, 2)))
    >>> resample2d_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[1., 1.],
           [1., 1.]])
    """
    rows, columns, n, channels = cache
    xp = check_gradient("Resample", dy, (n, rows.shape[0], columns.shape[0], channels), rows)
    return separable(rows.T, columns.T, dy, xp)  # (2)
