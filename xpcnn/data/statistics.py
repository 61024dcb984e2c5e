"""Mean and standard deviation of each channel of many images, some of which are in memory at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..typing import NDArray
from .source import Items, blocks

BLOCK = 2**20  # numbers that are processed at once, 8 MiB in float64


def channel_statistics(images: Items) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of each channel, in the images' unit.

        μ = Σ x / M,   σ = √(Σ (x − μ)² / M)        over the M numbers of a channel: N·H·W, of images

    Two passes in float64: with the squares of the numbers themselves, digits would cancel. Sums of equal numbers of 8
    or 24 bits are exact, so that σ is exactly 0 for a constant channel.

    Parameters
        images : NumPy array or source (N, H, W, C), or (N, …, C), uint8 or float32
    Returns
        mean, std : float64 (C,)

    >>> mean, std = channel_statistics(np.array([1, 3], np.uint8).reshape(2, 1, 1, 1))
    >>> mean.tolist(), std.tolist()
    ([2.0], [1.0])
    """
    h, w, c = _height_width_channels(images)
    count = len(images) * h * w
    mean = sum(block.sum(axis=0) for block in _rows(images)).reshape(w, c).sum(axis=0) / count  # (C,)
    across = np.tile(mean, w)  # (W·C,)
    squares = sum(((block - across) ** 2).sum(axis=0) for block in _rows(images))  # (W·C,)
    return mean, np.sqrt(squares.reshape(w, c).sum(axis=0) / count)


def _rows(images: Items) -> Iterator[NDArray]:
    """All images' rows in float64, some at a time: (rows, W·C); NumPy adds up long rows faster than short pixels."""
    h, w, c = _height_width_channels(images)
    size = max(1, BLOCK // (h * w * c))
    for block in blocks(images, size):
        yield block.reshape(-1, w * c).astype(np.float64)


def _height_width_channels(images: Items) -> tuple[int, int, int]:
    """Of one item; a sequence (L, C) has height 1, a row (C,) also width 1."""
    shape = (1, *images.shape[1:])
    return math.prod(shape[:-2]), shape[-2], shape[-1]
