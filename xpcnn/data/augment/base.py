"""Shared by the augmentations: the checks of a batch, and draws on its device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ...errors import OptionError, ShapeError
from ...ops.check import check_batch, check_floats
from ...typing import Array, NDArray

Augment: TypeAlias = Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]
Move: TypeAlias = Callable[..., Any]  # see `Motion.motion`


class Augmentation(ABC):
    """Base of the augmentations that change images and leave their labels as they are.

    >>> from xpcnn.data.augment import Flip
    >>> isinstance(Flip(), Augmentation)
    True
    """

    clips: ClassVar[bool] = False  # whether numbers outside [0, 1] are clipped

    def __call__(self, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        check_images(type(self).__name__, x, rng)
        return self.images(x, rng), y

    @abstractmethod
    def images(self, x: Array, rng: np.random.Generator) -> Array:
        """The changed images, (N, H, W, C), in new memory or x itself."""


class Motion(Augmentation):
    """Base of the augmentations that move pixels: the mask (N, H, W) or the image (N, H, W, C) to learn moves with its
    image, by the same draw. A mask takes the nearest pixel's class, and `ignore_index` outside; an image is moved as x.

    Attributes
        ignore_index : the class of what comes from outside a mask, such as 255

    >>> from xpcnn.data.augment import Flip
    >>> issubclass(Flip, Motion)
    True
    """

    ignore_index: int | None = None

    def __call__(self, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        xp = check_images(type(self).__name__, x, rng)
        move = self.motion(x, rng)
        return move(x), y if y is None or y.ndim < 3 else self._target(xp, x, y, move)

    def __repr__(self) -> str:
        said = [f"{name}={value!r}" for name, value in vars(self).items() if (name, value) != ("ignore_index", None)]
        return f"{type(self).__name__}({', '.join(said)})"

    def images(self, x: Array, rng: np.random.Generator) -> Array:
        moved: Array = self.motion(x, rng)(x)
        return moved

    @abstractmethod
    def motion(self, x: Array, rng: np.random.Generator) -> Move:
        """A draw for these images: moves them, or others of their height and width.

        Returns
            f(images, fill=None) : with a fill, the nearest pixels, and that value outside
        """

    def _target(self, xp: Any, x: Array, y: Array, move: Move) -> Array:
        """The mask or image to learn, moved."""
        who, (n, h, w, _) = type(self).__name__, x.shape
        is_mask = xp.isdtype(y.dtype, "integral")
        if tuple(y.shape[:3]) != (n, h, w) or y.ndim != (3 if is_mask else 4):
            expected = f"masks {(n, h, w)} or images {(n, h, w)} + (C,), as large as the images"
            raise ShapeError(who, expected, str(tuple(y.shape)), "leave it out")
        moved: Array
        if not is_mask:
            moved = move(y)
            return moved
        outside = -1 if self.ignore_index is None else self.ignore_index
        moved = move(xp.astype(y, xp.int64)[..., None], outside)[..., 0]
        if self.ignore_index is None and not xp.all(moved != -1):
            remedy = f"pass {who}(…, ignore_index=255), and CrossEntropyLoss(ignore_index=255)"
            remedy += "; to a command, --option ignore_index=255"
            raise OptionError(who, "ignore_index, the class of what comes from outside a mask", "None", remedy)
        return moved


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
