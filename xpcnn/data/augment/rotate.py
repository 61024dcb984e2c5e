"""Images turned about their centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...backend import array_namespace
from ...ops.gather import pixels
from ...options import as_label, as_number
from ...typing import Array, NDArray
from .base import Motion, Move


@dataclass(frozen=True, repr=False)
class Rotate(Motion):
    """Turns an image about its centre by a random angle θ, anticlockwise if θ > 0.

    Each pixel (i, j) is read at the position (r, s); both are measured from the centre

        r = i cos θ + j sin θ,   s = j cos θ − i sin θ          θ uniform in [−degrees, degrees]

    by bilinear interpolation between the four pixels around that position; those outside the image have the value
    `fill`.

    Parameters
        degrees : the largest angle, in [0, 180]
        fill : value outside the image, in [0, 1]
        ignore_index : the class outside a mask, see `Motion`
    Raises
        OptionError

    >>> x, _ = Rotate(0)(np.eye(3)[None, :, :, None], None, np.random.default_rng(0))
    >>> x[0, :, :, 0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    degrees: float
    fill: float = 0.0
    ignore_index: int | None = None

    def __post_init__(self) -> None:
        as_number("Rotate", "degrees", self.degrees, "[0, 180]")
        as_number("Rotate", "fill", self.fill, "[0, 1]")
        as_label("Rotate", self.ignore_index)

    def motion(self, x: Array, rng: np.random.Generator) -> Move:
        degrees = rng.uniform(-self.degrees, self.degrees, x.shape[0])
        xp, (r, s) = array_namespace(x), _positions(x, degrees)

        def move(images: Array, fill: int | None = None) -> Array:
            if fill is None:
                return _interpolated(images, r, s, self.fill)
            rows, columns = (xp.astype(xp.floor(each + 0.5), xp.int64) for each in (r, s))
            y, inside = pixels(images, rows, columns)
            turned: Array = xp.where(inside, y, xp.asarray(fill, dtype=y.dtype, device=y.device))
            return turned

        return move


def rotated(x: Array, degrees: NDArray, fill: float) -> Array:
    """The images, each turned by its own angle; see `Rotate`.

    Parameters
        x : Array (N, H, W, C), float
        degrees : NumPy array (N,)
        fill : the value outside
    """
    return _interpolated(x, *_positions(x, degrees), fill)


def _positions(x: Array, degrees: NDArray) -> tuple[Array, Array]:
    """r and s, (N, H, W), from the corner."""
    xp = array_namespace(x)
    h, w = x.shape[1:3]

    def here(numbers: NDArray, axis: int) -> Array:
        """Numbers along one of the axes (N, H, W), on x's device."""
        shape = tuple(-1 if each == axis else 1 for each in range(3))
        array: Array = xp.reshape(xp.asarray(numbers, dtype=x.dtype, device=x.device), shape)
        return array

    angle = np.deg2rad(degrees)
    cos, sin = here(np.cos(angle), 0), here(np.sin(angle), 0)  # (N, 1, 1)
    i, j = here(np.arange(h) - (h - 1) / 2, 1), here(np.arange(w) - (w - 1) / 2, 2)  # (1, H, 1), (1, 1, W)
    return i * cos + j * sin + (h - 1) / 2, j * cos - i * sin + (w - 1) / 2  # (N, H, W)


def _interpolated(x: Array, r: Array, s: Array, fill: float) -> Array:
    """The images at these positions, bilinearly."""
    xp = array_namespace(x)
    top, left = xp.floor(r), xp.floor(s)
    row, column = xp.astype(top, xp.int64), xp.astype(left, xp.int64)
    below, right = r - top, s - left  # distance of the position from there, in [0, 1)
    y: Array = xp.zeros_like(x)
    covered = xp.zeros_like(r)[..., None]
    for down, row_weight in ((0, 1 - below), (1, below)):
        for across, column_weight in ((0, 1 - right), (1, right)):
            values, inside = pixels(x, row + down, column + across)
            weight = (row_weight * column_weight)[..., None] * xp.astype(inside, x.dtype)  # (N, H, W, 1)
            y += weight * values
            covered += weight
    return y if not fill else y + fill * (1 - covered)
