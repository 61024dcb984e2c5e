"""Resize maps by bilinear interpolation.

A pixel is a square, and its value belongs to its centre. The centre of new pixel i of M is at u = (i + ½)·m/M − ½ among
the centres of the m old ones, clipped to 0 … m − 1 at the edges. Values between two neighbours are interpolated
linearly, first down, then across. Both are products with a matrix that has two numbers per row:

    R[i, ⌊u⌋] = 1 − (u − ⌊u⌋),   R[i, ⌊u⌋ + 1] = u − ⌊u⌋                  (1)
    y = R x Sᵀ, with R (H, h) for the height and S (W, w) for the width     (2)

Source: R. Szeliski, Computer vision: algorithms and applications, 2010, section 3.5
"""

from __future__ import annotations

import math

import numpy as np

from ..ops.check import check_batch, check_floats
from ..options import as_count
from ..typing import Array


def bilinear(maps: Array, height: int, width: int) -> Array:
    """Resize maps, (2).

    Parameters
        maps : Array (N, h, w), float
        height, width : H, W
    Returns
        Array (N, H, W)
    Raises
        ShapeError, DTypeError, OptionError

    >>> bilinear(np.array([[[0.0, 4.0]]]), 1, 4)
    array([[[0., 1., 3., 4.]]])
    """
    check_batch("bilinear", maps, "H", "W")
    xp = check_floats("bilinear", maps)
    as_count("bilinear", "height", height)
    as_count("bilinear", "width", width)
    down, across = (
        xp.asarray(_weights(old, new), dtype=maps.dtype, device=maps.device)
        for old, new in ((maps.shape[1], height), (maps.shape[2], width))
    )
    resized: Array = down @ maps @ across.T  # (H, h) (N, h, w) (w, W)  (2)
    return resized


def _weights(old: int, new: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """R, (new, old)."""
    weights = np.zeros((new, old))
    for i in range(new):
        u = min(max((i + 0.5) * old / new - 0.5, 0.0), old - 1.0)
        left = math.floor(u)
        weights[i, left] = 1 - (u - left)  # (1)
        if u > left:
            weights[i, left + 1] = u - left  # (1)
    return weights
