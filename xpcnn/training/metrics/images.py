"""How alike two images are, as for denoising.

With x and y in [0, L]:

    PSNR   10·log₁₀(L² / mean (x − y)²), in decibels                                               (1)
    SSIM   mean of (2·μx·μy + c₁)(2·σxy + c₂) / ((μx² + μy² + c₁)(σx² + σy² + c₂))                 (2)

where μ, σ² and σxy are means, variances and covariances under a Gaussian window of 11×11 with a deviation of 1.5,
c₁ = (0.01·L)² and c₂ = (0.03·L)². The mean (2) is over channels and over the positions whose window is whole.

Source: Z. Wang et al., Image quality assessment: from error visibility to structural similarity, 2004, equation 13.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ...errors import ShapeError
from ...options import as_number
from ...typing import NDArray
from .numbers import alike

_SIZE, _DEVIATION = 11, 1.5


def psnr(images: Any, targets: Any, *, data_range: float = 1.0) -> float:
    """Peak signal-to-noise ratio, (1): the mean over images, in decibels; ∞ if one is equal.

    Parameters
        images, targets : Array (N, H, W, C)
        data_range : L
    Raises
        ShapeError, DTypeError, NonFiniteError, OptionError

    >>> round(psnr(0.1 * np.ones((1, 2, 2, 1)), np.zeros((1, 2, 2, 1))), 6)
    20.0
    """
    peak = as_number("psnr", "data_range", data_range, "(0, inf)")
    x, y = _images(images, targets)
    errors = ((x - y) ** 2).reshape(len(x), -1).mean(axis=1)  # (N,)
    return float(np.mean([10 * math.log10(peak**2 / e) if e else math.inf for e in errors]))  # (1)


def ssim(images: Any, targets: Any, *, data_range: float = 1.0) -> float:
    """Structural similarity, (2): the mean over images; 1 for equal ones.

    Parameters, errors
        as in `psnr`; H and W ≥ 11

    >>> image = np.random.default_rng(0).random((1, 16, 16, 3))
    >>> round(ssim(image, image), 6), ssim(image, 1 - image) < 0
    (1.0, True)
    """
    peak = as_number("ssim", "data_range", data_range, "(0, inf)")
    x, y = _images(images, targets)
    if min(x.shape[1:3]) < _SIZE:
        raise ShapeError("ssim", f"images of at least {_SIZE}×{_SIZE}", f"{x.shape[1]}×{x.shape[2]}")
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    var_x = _local_mean(x * x) - mean_x**2
    var_y = _local_mean(y * y) - mean_y**2
    covariance = _local_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((above / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())  # (2)


def _images(images: Any, targets: Any) -> tuple[NDArray, NDArray]:
    x, y = alike(images, targets)
    if x.ndim != 4:
        raise ShapeError("metrics", "images (N, H, W, C)", str(x.shape))
    return x, y


def _local_mean(x: NDArray) -> NDArray:
    """The mean under the window at each position where it is whole: (N, H−10, W−10, C)."""
    steps = np.arange(_SIZE) - _SIZE // 2
    weights = np.exp(-(steps**2) / (2 * _DEVIATION**2))
    weights /= weights.sum()
    for axis in (1, 2):
        x = sliding_window_view(x, _SIZE, axis=axis) @ weights
    return x
