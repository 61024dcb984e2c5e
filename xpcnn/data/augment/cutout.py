"""Images with a part hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...backend import array_namespace
from ...errors import OptionError
from ...options import as_count, as_number
from ...typing import Array
from .base import Augmentation


@dataclass(frozen=True)
class Cutout(Augmentation):
    """Hides a square. Its centre is anywhere in the image; near a border, a part of the square is outside.

        y[i,j] = fill   for a ≤ i < a + size and b ≤ j < b + size,   else x[i,j]
        a, b = centre − ⌊size/2⌋

    Parameters
        size : length of the square's sides, in pixels
        fill : value of the hidden pixels, in [0, 1]
    Raises
        OptionError : also when called on smaller images
    Source
        T. DeVries and G. Taylor, Improved regularization of convolutional neural networks with cutout, 2017, section 3

    >>> x, _ = Cutout(2)(np.ones((1, 3, 3, 1)), None, np.random.default_rng(2))
    >>> x[0, :, :, 0].tolist()
    [[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]
    """

    size: int
    fill: float = 0.0

    def __post_init__(self) -> None:
        as_count("Cutout", "size", self.size)
        as_number("Cutout", "fill", self.fill, "[0, 1]")

    def images(self, x: Array, rng: np.random.Generator) -> Array:
        xp = array_namespace(x)
        n, h, w, _ = x.shape
        if self.size > max(h, w):
            raise OptionError("Cutout", f"a size within the images' {h}×{w} pixels", str(self.size))
        hidden = []
        for length in (h, w):
            place = np.arange(length) - rng.integers(length, size=n)[:, None] + self.size // 2  # (N, H), (N, W)
            hidden.append(xp.asarray((place >= 0) & (place < self.size), device=x.device))
        square = (hidden[0][:, :, None] & hidden[1][:, None, :])[..., None]  # (N, H, W, 1)
        cut: Array = xp.where(square, xp.asarray(self.fill, dtype=x.dtype, device=x.device), x)
        return cut
