"""Pictures of any shape brought to one size, and maps of that size brought back to the picture's.

squash  the whole picture, stretched: its proportions are lost (Keras' default)
crop    the largest part in the middle that has the size's proportions (torchvision's Resize and CenterCrop; Keras'
        crop_to_aspect_ratio)
pad     the whole picture in the middle, in its proportions, with an even border (Keras' pad_to_aspect_ratio)
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ..errors import OptionError
from ..extras import need
from ..options import as_choice, as_pair
from ..typing import NDArray, Pair

RESIZES = ("squash", "crop", "pad")
Size: TypeAlias = tuple[int, int]  # height, width
_NEAREST = 0  # Pillow's number


def as_resize(who: str, resize: str, size: Pair | None) -> tuple[Size | None, str]:
    """The size (height, width) or None, and the way of resizing, checked.

    Raises
        OptionError : neither a size nor a way; or a way other than squash without a size
    """
    as_choice(who, "resize", resize, RESIZES)
    if size is None and resize != "squash":
        raise OptionError(who, f"a size, as there is resize={resize!r}", "none", "pass size=64; --option size=64")
    return None if size is None else as_pair(who, "size", size), resize


def resized(image: Any, size: Size, how: str, *, nearest: bool = False, fill: int = 0) -> Any:
    """The picture in that size, bicubically, or for a mask with the nearest pixel's value.

    Parameters
        image : of Pillow, in a mode of plain numbers
        fill : the border's value
    """
    height, width = size
    options: dict[str, Any] = {"resample": _NEAREST} if nearest else {}
    if how == "squash":
        return image.resize((width, height), **options)
    if how == "crop":
        return image.resize((width, height), box=_window((image.height, image.width), size), **options)
    top, left, tall, wide = _inside((image.height, image.width), size)
    whole = need("PIL.Image", "resize", "to read pictures").new(image.mode, (width, height), fill)
    whole.paste(image.resize((wide, tall), **options), (left, top))
    return whole


def restored(mask: NDArray, size: Size, how: str, *, fill: int = 0) -> NDArray:
    """A mask (H, W) of a resized picture, in the size (height, width) of the picture itself.

    Parameters
        fill : the value where the network has seen nothing, beyond a crop

    >>> restored(np.array([[1, 2]], np.uint8), (2, 4), "squash").tolist()
    [[1, 1, 2, 2], [1, 1, 2, 2]]
    >>> restored(np.array([[7]], np.uint8), (1, 3), "crop", fill=255).tolist()
    [[255, 7, 255]]
    """
    if how == "crop":
        left, top, right, bottom = (round(each) for each in _window(size, mask.shape))
        whole = np.full(size, fill, mask.dtype)
        whole[top:bottom, left:right] = _nearest(mask, (bottom - top, right - left))
        return whole
    if how == "pad":
        top, left, tall, wide = _inside(size, mask.shape)
        mask = mask[top : top + tall, left : left + wide]
    return _nearest(mask, size)


def _nearest(mask: NDArray, size: Size) -> NDArray:
    rows, columns = ((2 * np.arange(n) + 1) * old // (2 * n) for n, old in zip(size, mask.shape, strict=True))
    values: NDArray = mask[rows[:, None], columns]
    return values


def _window(size: Size, to: Any) -> tuple[float, float, float, float]:
    """The largest part of a picture that has the other size's proportions: left, top, right, bottom."""
    height, width = size
    factor = min(height / to[0], width / to[1])
    tall, wide = to[0] * factor, to[1] * factor
    left, top = max((width - wide) / 2, 0.0), max((height - tall) / 2, 0.0)  # both may be a rounding below 0
    return left, top, min(left + wide, width), min(top + tall, height)


def _inside(size: Size, to: Any) -> tuple[int, int, int, int]:
    """Where a picture lies in a padded one: top, left, height, width."""
    factor = min(to[0] / size[0], to[1] / size[1])
    tall, wide = (min(max(round(old * factor), 1), new) for old, new in zip(size, to, strict=True))
    return (to[0] - tall) // 2, (to[1] - wide) // 2, tall, wide
