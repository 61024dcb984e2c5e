"""The images of one input of a split, whether they are an array or a source."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..errors import DataError
from .pixels import channels_last, to_floats
from .scale import BYTE, SIXTEEN_BITS, as_scale, extremes_of, scale_of
from .source import Items, Joined, Mapped, Source, as_source


def as_inputs(images: Any, channels_first: bool | None) -> list[Items]:
    """The images of each input of a `Split`, (N, H, W, C), or in a tuple (N, …).

    Parameters
        images : of one input, or a tuple of those of each;  channels_first : see `Split`
    Raises
        DataError
    """
    in_tuple = isinstance(images, tuple)
    inputs = [as_source("Split", "images", each) for each in (images if in_tuple else (images,))]
    if not inputs:
        raise DataError("Split", "images of one input at least", "an empty tuple")
    for each in inputs:
        if (len(each.shape) < 2 if in_tuple else len(each.shape) != 4) or 0 in each.shape:
            expected = "inputs (N, …), at least one" if in_tuple else "images (N, H, W, C), at least one"
            raise DataError("Split", expected, str(each.shape), "add missing axes; for rows or sequences, pass (x,)")
        if len(each) != len(inputs[0]):
            raise DataError("Split", f"{len(inputs[0])} items of each input", str(len(each)))
    return [_channels_last(each, channels_first) if len(each.shape) == 4 else each for each in inputs]


def _channels_last(images: Items, channels_first: bool | None) -> Items:
    """Images (N, H, W, C), from (N, C, H, W) if so stated."""
    if not isinstance(images, Source):
        return channels_last("Split", images, channels_first)
    channels_last("Split", np.broadcast_to(np.zeros((), np.uint8), images.shape), channels_first)  # refuses
    return Mapped(images, partial(channels_last, "Split", channels_first=True)) if channels_first else images


def as_floats(images: Items, scale: float) -> Items:
    """The images divided by the scale."""
    return Mapped(images, partial(to_floats, scale=scale)) if isinstance(images, Source) else to_floats(images, scale)


def input_scale(images: Items, stated: float | None) -> float:
    """The stated scale, or that of the numbers, or of a source's type; see `scale_of`."""
    if stated is not None:
        return as_scale("Split", stated)
    if isinstance(images, Source) and images.extremes is None and images.dtype in (np.uint8, np.uint16):
        return BYTE if images.dtype == np.uint8 else SIXTEEN_BITS
    return scale_of("Split", [images])


def joined(first: Items, second: Items) -> Items:
    """The items of one, then those of the other."""
    if isinstance(first, Source) or isinstance(second, Source):
        return Joined(first, second)
    return np.concatenate([first, second])


def is_unit(images: Items, scale: float) -> bool:
    """True if all images are in [0, 1] after division by the scale."""
    if isinstance(images, Source) and images.dtype.kind == "u" and np.iinfo(images.dtype).max <= scale:
        return True
    low, high = extremes_of("Split", images)
    return low >= 0 and high <= scale
