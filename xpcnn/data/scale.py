"""The number that stands for white: images are divided by it, so that a network gets numbers in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import DataError, warn
from ..options import as_number
from ..typing import NDArray
from .source import Items, Source, blocks

BYTE, SIXTEEN_BITS = 255.0, 65535.0
_DARK = 15  # 0 … 16 and 0 … 255 are different scales, not darker images


def state(number: float) -> str:
    """The remedy: how to state the scale, with that number as an example."""
    commands = f"--option scale={number:g} (predict, plot and serve: --scale {number:g})"
    return f"pass scale={number:g}, or what number is white; to a command, {commands}"


def as_scale(who: str, value: object) -> float:
    """The value as a scale; OptionError if it is not a number that float32 can divide by.

    >>> as_scale("file", 16)
    16.0
    """
    return as_number(who, "scale", value, "[1e-30, 1e+30]")


def scale_of(who: str, parts: Sequence[Items], stated: float | None = None) -> float:
    """The number that the images of all parts are divided by, from their types and their numbers.

    Booleans, numbers in [0, 1] and whole numbers 0 and 1 are divided by 1, other whole numbers 0 … 255 by 255, and
    uint16 by 65535. There is a warning if no number is half as large as that: 0 … 16 would be darkness.

    Parameters
        parts : arrays or sources of bool, integers or floats, each with at least one number
        stated : the scale, if it is known: 1 leaves numbers unchanged, also those below 0 and above 1. The numbers of
            a source are then read only if it knows its extremes
    Raises
        DataError : no numbers, numbers that are not finite, or none of these cases and nothing stated
        OptionError : `stated` is not a scale

    >>> scale_of("file", [np.array([0, 255])]), scale_of("file", [np.array([0, 1])])
    (255.0, 1.0)
    """
    if stated is not None and any(isinstance(part, Source) and part.extremes is None for part in parts):
        for part in parts:
            _check_numbers(who, part)
        return as_scale(who, stated)
    extremes = [extremes_of(who, part) for part in parts]
    low, high = min(least for least, _ in extremes), max(most for _, most in extremes)
    integers = all(part.dtype.kind in "iu" for part in parts)
    if stated is not None:
        scale = as_scale(who, stated)
        warn_of_misfit(who, low, high, scale, whole=integers or _are_whole(parts))
        return scale
    if low >= 0 and high <= 1 and (high > 0 or not integers):
        return 1.0
    if low >= 0 and high <= BYTE and _are_whole(parts):
        scale = BYTE
    elif all(part.dtype == np.uint16 for part in parts):
        scale = SIXTEEN_BITS
    else:
        kind = "whole numbers" if integers else "numbers"
        remedy = f"{state(BYTE)}; scale=1 takes numbers as they are"
        expected = "images in [0, 1], or of whole numbers 0 … 255"
        raise DataError(who, expected, f"{kind} from {low:zg} to {high:zg}", remedy)
    if 0 < high < scale / 2:
        warn(who, f"images are divided by {scale:g}, but the largest number is {high:g}", state(high))
    return scale


def warn_of_misfit(
    who: str, low: float, high: float, scale: float, *, whole: bool, remedy: Callable[[float], str] = state
) -> None:
    """Warn if numbers from `low` to `high` do not fit the stated scale.

    They are above it; or they are bytes and the scale is not a byte's; or they are fractions already.

    Parameters
        whole : they are whole numbers. For the scale 1, which leaves numbers unchanged, only these can be too large
        remedy : how to state a scale
    """
    too_large = high > scale and (whole or scale != 1)
    too_small = 0 < high <= BYTE < scale or (high <= 1 < scale and not whole)
    if low >= 0 and (too_large or too_small):
        warn(who, f"images are divided by the scale of {scale:g}, but the largest number is {high:g}", remedy(high))


def warn_of_dark_part(names: Sequence[str], parts: Sequence[Items], scale: float) -> None:
    """Warn if the largest number of one part is far below another's, although both have the same scale."""
    highs = [extremes_of(name, part)[1] for name, part in zip(names, parts, strict=True)]
    for name, high in zip(names, highs, strict=True):
        if 0 < high < max(highs) / _DARK:
            what = f"images are divided by {scale:g}, but the largest number is {high:g}, and elsewhere {max(highs):g}"
            warn(name, what, "if white is another number here, divide the images of each part by their own before")


def stored(who: str, array: NDArray, scale: float) -> NDArray:
    """Numbers in the smallest type that holds them: uint8, uint16 or float32, to be divided by the scale.

    Raises
        DataError : numbers that are not finite in float32

    >>> stored("file", np.array([0.0, 16.0]), 16).dtype, stored("file", np.array([0.5]), 1).dtype
    (dtype('uint8'), dtype('float32'))
    """
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) if scale == 1 else array * np.float32(scale)  # true is white
    if array.dtype != np.uint8:
        low, high = extremes_of(who, array)
        if low >= 0 and high <= SIXTEEN_BITS and (array.dtype.kind in "iu" or (scale > 1 and _are_whole([array]))):
            array = array.astype(np.uint8 if high <= BYTE else np.uint16)
    if array.dtype not in (np.uint8, np.uint16):
        with np.errstate(over="ignore"):
            array = np.asarray(array, np.float32)
            finite = np.isfinite(np.float32(max(abs(number) for number in extremes_of(who, array))) / np.float32(scale))
        if not finite:
            raise DataError(who, f"images that float32 holds, divided by {scale:g}", "infinity", state(BYTE))
    return np.ascontiguousarray(array)


def extremes_of(who: str, items: Items) -> tuple[float, float]:
    """The lowest and the highest number of all items.

    Raises
        DataError : they are no numbers, or not finite
    """
    _check_numbers(who, items)
    if isinstance(items, Source):
        if items.extremes is None:
            rows = (block.reshape(len(block), -1) for block in blocks(items))
            items.extremes = np.concatenate([np.stack([each.min(axis=1), each.max(axis=1)], axis=1) for each in rows])
        low, high = float(items.extremes[:, 0].min()), float(items.extremes[:, 1].max())
    else:
        low, high = float(items.min()), float(items.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(who, "finite images", "NaN or infinity", "leave such images out")
    return low, high


def _check_numbers(who: str, items: Items) -> None:
    if items.dtype.kind not in "biuf":
        raise DataError(who, "images of numbers", str(items.dtype), "convert them to uint8")


def _are_whole(parts: Sequence[Items]) -> bool:
    return all(
        part.dtype.kind in "biu" or all((image == np.rint(image)).all() for block in blocks(part) for image in block)
        for part in parts
    )
