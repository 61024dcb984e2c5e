"""Images as files have them, brought to the form of a `Split`: (N, H, W, C), uint8 or float32 in [0, 1]."""

from __future__ import annotations

import math

import numpy as np

from ..errors import DataError
from ..typing import Host, Shape


def to_images(who: str, array: Host, *, image_shape: Shape | None = None, channels_first: bool | None = None) -> Host:
    """The images of an array.

    Whole numbers are 0 … 255, whatever their type; other numbers must lie in [0, 1].

    Parameters
        array : (N, H, W, C), (N, H, W) if they are grey, or (N, D), one row an image
        image_shape : of the images in rows, (H, W) or (H, W, C); where they are squares it can be left out
        channels_first : the array is (N, C, H, W); None refuses an array that looks so
    Raises
        DataError : it holds no images, or their values are neither in [0, 1] nor whole numbers 0 … 255

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
    if array.ndim == 3:
        array = array[..., None]
    elif channels_first:
        array = array.transpose(0, 2, 3, 1)
    elif channels_first is None and array.shape[1] in (1, 3, 4) and array.shape[3] > 4:
        remedy = "pass channels_first=True if they are (N, C, H, W), else channels_first=False"
        raise DataError(who, "images (N, H, W, C)", str(array.shape), remedy)
    return _values(who, array)


def to_floats(images: Host) -> Host:
    """Bytes 0 … 255 as float32 in [0, 1]; floats as they are, not copied.

    >>> to_floats(np.array([0, 255], np.uint8)).tolist()
    [0.0, 1.0]
    """
    if images.dtype != np.uint8:
        return images
    floats: Host = images.astype(np.float32)
    floats /= np.float32(255)
    return floats


def square(who: str, numbers: int) -> Shape:
    """The shape of an image of so many numbers: a grey square, or else an RGB one.

    Raises
        DataError : it is neither

    >>> square("file", 784), square("file", 3072)
    ((28, 28, 1), (32, 32, 3))
    """
    for channels in (1, 3):
        side = math.isqrt(numbers // channels)
        if side * side * channels == numbers:
            return (side, side, channels)
    raise DataError(who, "grey or RGB squares in rows", f"{numbers} numbers a row", "pass image_shape=(H, W, C)")


def _rows(who: str, array: Host, shape: Shape) -> Host:
    if len(shape) not in (2, 3) or math.prod(shape) != array.shape[1] or min(shape) < 1:
        raise DataError(who, f"rows of {math.prod(shape)} numbers, for image_shape {shape}", str(array.shape[1]))
    return array.reshape(len(array), *shape)


def _values(who: str, array: Host) -> Host:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf":
        raise DataError(who, "images of numbers", str(array.dtype), "convert them to uint8")
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(who, "finite images", "NaN or infinity", "leave such images out")
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.ascontiguousarray(array, np.float32)
    if low >= 0 and high <= 255:
        narrow = array.astype(np.uint8)
        if array.dtype.kind != "f" or (narrow == array).all():
            return np.ascontiguousarray(narrow)
    kind = "whole numbers" if array.dtype.kind != "f" else "numbers"
    remedy = "scale them to [0, 1]: images / 255, or (images − low) / (high − low)"
    raise DataError(who, "images in [0, 1], or of whole numbers 0 … 255", f"{kind} from {low} to {high}", remedy)
