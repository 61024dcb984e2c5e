"""Converts images from the usual shapes to (N, H, W, C), and to floats for a network."""

from __future__ import annotations

import math

import numpy as np

from ..errors import DataError
from ..typing import NDArray, Shape


def to_images(
    who: str, array: NDArray, *, image_shape: Shape | None = None, channels_first: bool | None = None
) -> NDArray:
    """The images in an array, with its numbers; see `scale_of` for the number that they are divided by.

    Parameters
        array : (N, H, W, C), (N, H, W) if they are grey, or (N, D), one row per image
        image_shape : of the images in rows, (H, W) or (H, W, C); optional for squares
        channels_first : the array is (N, C, H, W); None refuses an array that looks so
    Raises
        DataError : it does not hold images

    >>> to_images("file", np.zeros((2, 784), int)).shape
    (2, 28, 28, 1)
    """
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise DataError(who, "images (N, H, W, C), (N, H, W) or (N, H·W·C), at least one", str(array.shape))
    if array.ndim == 2 and channels_first and (image_shape is None or len(image_shape) == 3):
        height, width, channels = image_shape or square(who, array.shape[1])
        array = _rows(who, array, (channels, height, width))
    elif array.ndim == 2:
        array = _rows(who, array, image_shape or square(who, array.shape[1]))
    return array[..., None] if array.ndim == 3 else channels_last(who, array, channels_first)


def channels_last(who: str, array: NDArray, channels_first: bool | None, remedy: str = "") -> NDArray:
    """Images (N, H, W, C), unchanged or, with channels_first, from (N, C, H, W).

    Parameters
        channels_first : None refuses images that look like that, see `looks_channels_first`
        remedy : for the error, instead of that option
    Raises
        DataError
    """
    if channels_first:
        return array.transpose(0, 2, 3, 1)
    if channels_first is None and looks_channels_first(array.shape[1:]):
        remedy = remedy or "pass channels_first=True if they are (N, C, H, W), else channels_first=False"
        raise DataError(who, "images (N, H, W, C)", str(array.shape), remedy)
    return array


def looks_channels_first(shape: Shape) -> bool:
    """True if (C, H, W) is more likely than (H, W, C): 1, 3 or 4 rows, or fewer rows than columns and channels.

    >>> looks_channels_first((13, 64, 64)), looks_channels_first((9, 9, 200)), looks_channels_first((4, 8, 3))
    (True, False, False)
    """
    return shape[2] > 4 and (shape[0] in (1, 3, 4) or shape[0] < min(shape[1:]))


def to_floats(images: NDArray, scale: float) -> NDArray:
    """Images as float32, divided by the scale; not copied if the scale is 1 and they are floats already.

    >>> to_floats(np.array([0, 255], np.uint8), 255).tolist()
    [0.0, 1.0]
    """
    if scale == 1 and images.dtype == np.float32:
        return images
    floats: NDArray = images.astype(np.float32)
    floats /= np.float32(scale)
    return floats


def square(who: str, numbers: int) -> Shape:
    """The shape of an image with that many numbers: a grey square, or else an RGB one.

    Raises
        DataError : neither fits

    >>> square("file", 784), square("file", 3072)
    ((28, 28, 1), (32, 32, 3))
    """
    for channels in (1, 3):
        side = math.isqrt(numbers // channels)
        if side * side * channels == numbers:
            return (side, side, channels)
    raise DataError(who, "grey or RGB squares in rows", f"{numbers} numbers a row", "pass image_shape=(H, W, C)")


def _rows(who: str, array: NDArray, shape: Shape) -> NDArray:
    if len(shape) not in (2, 3) or math.prod(shape) != array.shape[1] or min(shape) < 1:
        raise DataError(who, f"rows of {math.prod(shape)} numbers, for image_shape {shape}", str(array.shape[1]))
    return array.reshape(len(array), *shape)
