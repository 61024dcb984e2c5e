"""Bilinear resizing of images, and its gradient.

Along an axis of L elements that becomes one of O, element i of y lies at u_i among those of x:

    u_i = i · (L − 1)/(O − 1),  0 where O = 1                       with aligned corners                  (1)
    u_i = (i + ½) · s − ½,  s = 1/scale, or L/O where a size is given       else                          (2)
    R[i,p] = max(0, 1 − |u_i − p|),  u_i held within 0 and L − 1                                          (3)

The rows of the matrix R have two weights that sum to 1: those of the neighbours on both sides. With one matrix for each
axis, resizing is linear and separable, and its gradient is the transpose:

    y  = R (C x)                                                                                          (4)
    dx = Rᵀ (Cᵀ dy)                                                                                       (5)

(1) takes pixels for points, so that the outermost ones of x and y coincide; (2) takes them for squares, so that the
edges of the image coincide. As in PyTorch and ONNX, a scale that is given is used as it is, also where L · scale is no
whole number and O = ⌊L · scale⌋; but if O = L, s is 1, as in PyTorch.

Source: W. Press et al., Numerical recipes, 2007, section 3.6.1
"""

from __future__ import annotations

import math
from typing import Any

from ..errors import OptionError, ShapeError
from ..options import as_flag, as_number, as_pair
from ..typing import Array, Cache
from .check import check_batch, check_floats, check_gradient
from .separable import separable


def bilinear2d_forward(
    x: Array,
    *,
    size: tuple[int, int] | None = None,
    scale_factor: tuple[float, float] | None = None,
    align_corners: bool = False,
) -> tuple[Array, Cache]:
    """Images of another size, by linear interpolation along both axes; (4).

    Parameters
        x : Array (N, H, W, C), float
        size : (OH, OW); or else
        scale_factor : (A, B), numbers > 0
        align_corners : (1) instead of (2)
    Returns
        y : Array (N, OH, OW, C);  OH = ⌊H·A⌋ and OW = ⌊W·B⌋ where no size is given
        cache : for `bilinear2d_backward`; holds no images
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> x = np.array([0.0, 4.0]).reshape(1, 1, 2, 1)
    >>> bilinear2d_forward(x, scale_factor=(1, 2))[0].ravel()
    array([0., 1., 3., 4.])
    >>> bilinear2d_forward(x, size=(1, 5), align_corners=True)[0].ravel()
    array([0., 1., 2., 3., 4.])
    """
    who = "Upsample"
    align_corners = as_flag(who, "align_corners", align_corners)
    check_batch(who, x, "H", "W", "C")
    xp = check_floats(who, x)
    shape = tuple(x.shape[1:3])
    out = output_size(shape, size, scale_factor)
    scales = (None, None) if size is not None or scale_factor is None else scale_factor
    r, c = (
        weights(at, length, scale, align_corners, x, xp) for at, length, scale in zip(out, shape, scales, strict=True)
    )  # (OH, H), (OW, W)
    return separable(r, c, x, xp), (r, c, x.shape[0], x.shape[3])  # (N, OH, OW, C)                       (4)


def bilinear2d_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `bilinear2d_forward`, (5): dy (N, OH, OW, C) → dx (N, H, W, C).

    >>> import numpy as np
    >>> y, cache = bilinear2d_forward(np.arange(4.0).reshape(1, 2, 2, 1), scale_factor=(2, 2))
    >>> bilinear2d_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[4., 4.],
           [4., 4.]])
    """
    r, c, n, channels = cache
    xp = check_gradient("Upsample", dy, (n, r.shape[0], c.shape[0], channels), r)
    return separable(r.T, c.T, dy, xp)  # (N, H, W, C)                                                    (5)


def output_size(
    shape: tuple[int, ...], size: tuple[int, int] | None, scale_factor: tuple[float, float] | None
) -> tuple[int, int]:
    """(OH, OW) of images of that height and width.

    >>> output_size((10, 7), None, (1.3, 0.5))
    (13, 3)
    """
    who = "Upsample"
    if (size is None) == (scale_factor is None):
        raise OptionError(who, "either size or scale_factor", "neither" if size is None else "both")
    if size is not None:
        return as_pair(who, "size", size)
    height, width = (
        math.floor(length * as_number(who, "scale_factor", scale, "(0, inf)"))
        for length, scale in zip(shape, scale_factor or (), strict=True)
    )
    if not (height and width):
        raise ShapeError(who, "an output of one pixel or more", f"({height}, {width}) of images {shape}")
    return height, width


def weights(out: int, length: int, scale: float | None, align_corners: bool, x: Array, xp: Any) -> Array:
    """The matrix (O, L) of (3), of x's dtype."""
    i = xp.arange(out, dtype=xp.float64, device=x.device)
    if align_corners:
        u = i * ((length - 1) / max(1, out - 1))  # (1)
    else:
        u = (i + 0.5) * (length / out if scale is None or out == length else 1 / scale) - 0.5  # (2)
    zero = xp.zeros((), dtype=xp.float64, device=x.device)
    u = xp.minimum(xp.maximum(u, zero), zero + (length - 1))[:, None]  # (O, 1)
    p = xp.arange(length, dtype=xp.float64, device=x.device)[None, :]  # (1, L)
    return xp.astype(xp.maximum(1 - xp.abs(u - p), zero), x.dtype)  # type: ignore[no-any-return]  # (O, L)    (3)
