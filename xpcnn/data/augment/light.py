"""Lighter and darker images, with more contrast and less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...backend import array_namespace
from ...ops.clip import clip
from ...options import as_number
from ...typing import Array
from .base import Augmentation, per_image


@dataclass(frozen=True)
class Brightness(Augmentation):
    """Multiplies an image by a random factor, and clips numbers above 1.

        y = min(f x, 1)                     f uniform in [1 − amount, 1 + amount]

    Parameters
        amount : in [0, 1]
    Raises
        OptionError
    Source
        Pillow's ImageEnhance.Brightness, and torchvision's ColorJitter

    >>> x, _ = Brightness(0.5)(np.full((1, 1, 1, 1), 0.5), None, np.random.default_rng(0))
    >>> round(float(x[0, 0, 0, 0]), 3)  # f = 1.137
    0.568
    """

    clips: ClassVar[bool] = True
    amount: float

    def __post_init__(self) -> None:
        as_number("Brightness", "amount", self.amount, "[0, 1]")

    def images(self, x: Array, rng: np.random.Generator) -> Array:
        xp = array_namespace(x)
        clipped: Array = clip(_factors(xp, x, self.amount, rng) * x, 0, 1)
        return clipped


@dataclass(frozen=True)
class Contrast(Augmentation):
    """Moves all pixels of an image away from its mean μ or towards it, and clips the result to [0, 1].

        y = min(max(f x + (1 − f) μ, 0), 1)         f uniform in [1 − amount, 1 + amount]

    μ is the mean over pixels and channels; each channel has the same weight.

    Parameters
        amount : in [0, 1]
    Raises
        OptionError
    Source
        Pillow's ImageEnhance.Contrast, and torchvision's ColorJitter, which weigh colours as eyes do

    >>> x, _ = Contrast(1)(np.array([[[[0.4], [0.6]]]]), None, np.random.default_rng(0))
    >>> x.round(3).ravel().tolist()  # f = 1.274
    [0.373, 0.627]
    """

    clips: ClassVar[bool] = True
    amount: float

    def __post_init__(self) -> None:
        as_number("Contrast", "amount", self.amount, "[0, 1]")

    def images(self, x: Array, rng: np.random.Generator) -> Array:
        xp = array_namespace(x)
        factor = _factors(xp, x, self.amount, rng)
        mean = xp.mean(x, axis=(1, 2, 3), keepdims=True)  # (N, 1, 1, 1)
        clipped: Array = clip(factor * x + (1 - factor) * mean, 0, 1)
        return clipped


def _factors(xp: object, x: Array, amount: float, rng: np.random.Generator) -> Array:
    """f, (N, 1, 1, 1)."""
    factors: Array = per_image(xp, rng.uniform(1 - amount, 1 + amount, x.shape[0]), x)
    return factors
