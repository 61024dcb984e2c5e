"""Normalisation with given numbers, one mean and one standard deviation per channel, and its gradient.

    y = (x − μ) / σ                                                        (1)
    dx = dy / σ                                                            (2)

μ and σ are not learned; they may be those of the training images. (With those of the batch: `xpcnn.ops.batch_norm`.)

Source: Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, Efficient backprop, 1998, section 4.3.
"""

from __future__ import annotations

from ..typing import Array, Cache
from .check import check_array, check_batch, check_floats, check_gradient
from .norm import check_shape


def normalize_forward(x: Array, mean: Array, std: Array) -> tuple[Array, Cache]:
    """Subtract each channel's mean and divide by its standard deviation; (1).

    Parameters
        x : Array (N, …, C), float
        mean, std : Array (C,) of x's dtype
    Returns
        y : Array (N, …, C)
        cache : for `normalize_backward`; refers to std
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> normalize_forward(np.array([[0.5, 1.0]]), np.array([0.25, 0.5]), np.array([0.5, 0.25]))[0]
    array([[0.5, 2. ]])
    """
    for array in (x, mean, std):
        check_array("Normalize", array)
    check_batch("Normalize", x, *(x.shape[1:] or ("C",)))
    check_floats("Normalize", x, mean, std)
    for name, numbers in (("mean", mean), ("std", std)):
        check_shape("Normalize", name, numbers, x.shape[-1:])
    y = x - mean
    y /= std  # (N, …, C)  (1)
    return y, (std, x.shape)


def normalize_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `normalize_forward`, (2): dy (N, …, C) → dx (N, …, C).

    >>> import numpy as np
    >>> y, cache = normalize_forward(np.array([[1.0, 2.0]]), np.zeros(2), np.array([0.5, 2.0]))
    >>> normalize_backward(np.ones_like(y), cache).round(4)
    array([[2. , 0.5]])
    """
    std, shape = cache
    check_gradient("Normalize", dy, shape, std)
    dx: Array = dy / std  # (2)
    return dx
