"""Find rows that look like flattened images, which a convolutional network would learn better as images."""

from __future__ import annotations

import math

import numpy as np

from ..errors import warn
from ..typing import NDArray

_LEAST_SIDE = 8
_ROWS = 256  # that are looked at
_ALIKE = 0.6  # of the distance of pixels that are far apart, neighbours in images have less


def looks_like(X: NDArray) -> tuple[int, ...] | None:
    """The shape of the images that these rows look like: square, never negative, and with neighbours that are alike.

    >>> ramp = np.add.outer(np.arange(8.0), np.arange(8.0))
    >>> looks_like(np.stack([ramp, ramp.T + 1, ramp[::-1]]).reshape(3, 64))
    (8, 8)
    >>> looks_like(np.random.default_rng(0).random((50, 64)))
    """
    for channels in (1, 3):
        side = math.isqrt(X.shape[1] // channels)
        if side < _LEAST_SIDE or side * side * channels != X.shape[1]:
            continue
        images = X[:_ROWS].reshape(-1, side, side, channels).astype(np.float64)
        half = np.roll(images.reshape(len(images), -1), side // 2 * channels, 1)  # of a curve nearer than a row
        apart = np.abs(images - half.reshape(images.shape)).mean()
        if images.min() >= 0 and apart > 0:
            down, right = (np.abs(np.diff(images, axis=axis)).mean() for axis in (1, 2))
            if max(down, right) < _ALIKE * apart:
                return (side, side) if channels == 1 else (side, side, 3)
    return None


def hint(who: str, X: NDArray) -> None:
    """Warn of rows that look like images."""
    shape = looks_like(X)
    if shape is not None:
        what = f"rows of {X.shape[1]} numbers look like images {shape}, and a network without convolution takes them"
        warn(who, what, f"pass image_shape={shape}, or state the network, such as model='mlp'")
