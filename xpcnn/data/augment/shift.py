"""Images moved by whole pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...backend import array_namespace
from ...errors import OptionError
from ...ops import dispatch
from ...options import as_label, as_number, as_pair
from ...typing import Array, Pair
from .base import Motion, Move


@dataclass(frozen=True, repr=False)
class Shift(Motion):
    """Moves an image by up to `pixels` pixels, up or down and to the left or right.

        y[i,j] = x[i + a, j + b]        a, b uniform in −pixels … pixels

    Parameters
        pixels : the largest shift, or (height, width)
        fill : value of the pixels that come from outside, in [0, 1]
        ignore_index : their class in a mask, see `Motion`
    Raises
        OptionError : also when called on images that are not larger

    >>> x, _ = Shift(2)(np.ones((1, 4, 4, 1)), None, np.random.default_rng(3))
    >>> x[0, :, :, 0].tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """

    pixels: Pair
    fill: float = 0.0
    ignore_index: int | None = None

    def __post_init__(self) -> None:
        as_pair("Shift", "pixels", self.pixels, least=0)
        as_number("Shift", "fill", self.fill, "[0, 1]")
        as_label("Shift", self.ignore_index)

    def motion(self, x: Array, rng: np.random.Generator) -> Move:
        return _motion("Shift", x, self.pixels, self.fill, rng)


@dataclass(frozen=True, repr=False)
class Crop(Motion):
    """Pads an image with zeros and cuts its original size out at a random position: `Shift`, as it is known from CIFAR.

    Parameters
        padding : rows and columns on each side, or (height, width)
        ignore_index : the class of the padding in a mask, see `Motion`
    Raises
        OptionError : also when called on images that are not larger
    Source
        K. He et al., Deep residual learning for image recognition, 2015, section 4.2

    >>> import numpy as np
    >>> images, labels = Crop(2)(np.ones((4, 8, 8, 1), np.float32), np.zeros(4, int), np.random.default_rng(0))
    >>> images.shape
    (4, 8, 8, 1)
    """

    padding: Pair
    ignore_index: int | None = None

    def __post_init__(self) -> None:
        as_pair("Crop", "padding", self.padding, least=0)
        as_label("Crop", self.ignore_index)

    def motion(self, x: Array, rng: np.random.Generator) -> Move:
        return _motion("Crop", x, self.padding, 0.0, rng)


def _motion(who: str, x: Array, most: Pair, outside: float, rng: np.random.Generator) -> Move:
    xp = array_namespace(x)
    n, h, w, _ = x.shape
    limits = as_pair(who, "pixels", most, least=0)
    if limits[0] >= h or limits[1] >= w:
        raise OptionError(who, f"less than the images' {h}×{w} pixels", repr(most))
    starts = [xp.asarray(rng.integers(-limit, limit + 1, n), device=x.device) for limit in limits]  # (N,)

    def move(images: Array, fill: int | None = None) -> Array:
        moved: Array = dispatch.output("shift_images", images, *starts, fill=outside if fill is None else fill)
        return moved

    return move
