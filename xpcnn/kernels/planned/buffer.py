"""The memory of one value of a plan."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...typing import NDArray, Shape
from ..memory import aligned

Margin = tuple[int, int, int, int]  # top, bottom, left, right
NONE: Margin = (0, 0, 0, 0)


class Buffer:
    """A value's numbers: images (N, H, W, C) as (C, N, H, W) with a margin of zeros, anything else as it is.

    Parameters
        shape : of the value
        margin : zeros that the steps which read it want around its images
    """

    def __init__(self, shape: Shape, dtype: Any, margin: Margin = NONE) -> None:
        self.shape, self.margin, self.is_images = shape, margin, len(shape) == 4
        if not self.is_images:
            self.inside = self.padded = aligned(shape, dtype)
            return
        n, h, w, c = shape
        top, bottom, left, right = margin
        self.padded = aligned((c, n, top + h + bottom, left + w + right), dtype)
        self.inside = self.padded[:, :, top : top + h, left : left + w]

    @property
    def rows(self) -> NDArray:
        """All numbers with those of the margin, as contiguous rows, for functions f with f(0) = 0."""
        return self.padded.reshape(len(self.padded), -1)

    def fill(self, value: NDArray) -> None:
        """Copy a value of this shape in."""
        np.copyto(self.inside, value.transpose(3, 0, 1, 2) if self.is_images else value)

    def value(self) -> NDArray:
        """A copy, in the order of axes that the layers use."""
        return self._seen().copy()

    def copy_to(self, out: NDArray, first: int) -> None:
        """Copy the items from `first` on to an array."""
        np.copyto(out, self._seen()[first : first + len(out)])

    def _seen(self) -> NDArray:
        return self.inside.transpose(1, 2, 3, 0) if self.is_images else self.inside
