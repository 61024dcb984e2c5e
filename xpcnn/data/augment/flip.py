"""Mirror images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...backend import array_namespace
from ...errors import OptionError
from ...options import as_flag, as_number
from ...typing import Array
from .base import Motion, Move, per_image


@dataclass(frozen=True)
class Flip(Motion):
    """Mirrors an image with probability p, from left to right, from top to bottom, or both independently.

        y[i,j] = x[i, W−1−j]            y[i,j] = x[H−1−i, j]

    Parameters
        horizontal, vertical : which of them
        p : probability of each flip, in [0, 1]
    Raises
        OptionError

    >>> x, _ = Flip(p=1)(np.array([[[[0.25], [0.5]]]]), None, np.random.default_rng(0))
    >>> x[0, 0, :, 0].tolist()
    [0.5, 0.25]
    """

    horizontal: bool = True
    vertical: bool = False
    p: float = 0.5

    def __post_init__(self) -> None:
        as_number("Flip", "p", self.p, "[0, 1]")
        flags = [as_flag("Flip", name, getattr(self, name)) for name in ("horizontal", "vertical")]
        if not any(flags):
            raise OptionError("Flip", "horizontal, vertical or both", "neither", "leave it out")

    def motion(self, x: Array, rng: np.random.Generator) -> Move:
        xp, axes = array_namespace(x), [axis for wanted, axis in ((self.horizontal, 2), (self.vertical, 1)) if wanted]
        flipped = [(axis, per_image(xp, rng.random(x.shape[0]) < self.p, x, xp.bool)) for axis in axes]

        def move(images: Array, fill: int | None = None) -> Array:
            for axis, here in flipped:
                images = xp.where(here, xp.flip(images, axis=axis), images)
            return images

        return move
