"""Shared by the augmentations: the checks of a batch, and draws on its device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ...errors import OptionError
from ...ops.check import check_batch, check_floats
from ...typing import Array, NDArray

Augment: TypeAlias = Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]


class Augmentation(ABC):
    """Base of the augmentations that change images and leave their labels as they are."""

    clips: ClassVar[bool] = False  # whether numbers outside [0, 1] are clipped

    def __call__(self, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        check_images(type(self).__name__, x, rng)
        return self.images(x, rng), y

    @abstractmethod
    def images(self, x: Array, rng: np.random.Generator) -> Array:
        """The changed images, (N, H, W, C), in new memory or x itself."""


def check_images(who: str, x: Array, rng: np.random.Generator) -> Any:
    """The images' namespace, after checking that they are a batch of floats and that rng is a generator.

    Raises
        ShapeError, DTypeError, OptionError
    """
    check_batch(who, x, "H", "W", "C")
    if not isinstance(rng, np.random.Generator):
        raise OptionError(who, "rng: a NumPy Generator", repr(rng), "pass numpy.random.default_rng(seed)")
    return check_floats(who, x)


def per_image(xp: Any, draws: NDArray, x: Array, dtype: Any = None) -> Any:
    """One draw per image, (N,) on the host, as an array (N, 1, 1, 1) on x's device, in x's dtype or in another."""
    return xp.asarray(draws, dtype=dtype or x.dtype, device=x.device)[:, None, None, None]
