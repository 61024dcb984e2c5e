"""A small picture of a large array, as PNG: orange above 0, blue below, transparent at 0."""

from __future__ import annotations

import numpy as np

from ..png import data_url
from ..typing import NDArray

ABOVE, BELOW = (224, 122, 31), (44, 123, 200)
MOST_PIXELS = 96  # along an axis; of larger arrays, some are left out


def heat(values: NDArray, size: float, most: int = MOST_PIXELS) -> str:
    """A data URL of the picture of a matrix; a number of absolute value `size` has the strongest colour."""
    step = [-(-length // most) for length in values.shape]
    values = np.nan_to_num(values[:: step[0], :: step[1]].astype(np.float64), posinf=size, neginf=-size)
    pixels = np.empty((*values.shape, 4), np.uint8)
    pixels[..., :3] = np.where(values[..., None] > 0, ABOVE, BELOW)
    pixels[..., 3] = np.round(np.clip(np.abs(values) / (size or 1), 0, 1) * 15) * 17
    return data_url(pixels)


def photograph(image: NDArray) -> str:
    """A data URL of an image (H, W, 1 or 3). If it leaves [0, 1], its smallest number is black, its largest white."""
    step = max(1, -(-max(image.shape[:2]) // 256))
    values = image[::step, ::step].astype(np.float64)
    low, high = values.min(), values.max()
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return data_url(np.round((values - low) / ((high - low) or 1) * 255).astype(np.uint8))
