"""Mirror images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...backend import array_namespace
from ...errors import OptionError
from ...options import as_flag, as_number
from ...typing import Array
from .base import Augmentation, per_image


@dataclass(frozen=True)
class Flip(Augmentation):
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

    def images(self, x: Array, rng: np.random.Generator) -> Array:
        xp = array_namespace(x)
        for wanted, axis in ((self.horizontal, 2), (self.vertical, 1)):
            if wanted:
                flipped = per_image(xp, rng.random(x.shape[0]) < self.p, x, xp.bool)
                x = xp.where(flipped, xp.flip(x, axis=axis), x)
        return x
