"""Warns if the numbers of pictures do not fit their scale: 0 … 16 of 255 is darkness, 255 of 1 is not an image."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from ..errors import warn
from .scale import BYTE, SIXTEEN_BITS, extremes_of, state, warn_of_misfit
from .source import Items

Remedy: TypeAlias = Callable[[float], str]  # the remedy: how to state a scale


def warn_of_dark_pictures(who: str, images: Items, bits: int, remedy: Remedy = state) -> None:
    """Warn if no pixel is a quarter as bright as white: 0 … 16 of 255, or 4095 of 65535.

    Parameters
        images : as `read_picture` returns them without a scale: uint8, where 255 is white
        bits : the largest number of bits per number in the pictures' files
    """
    white = BYTE if bits == 8 else SIXTEEN_BITS
    _, brightest = extremes_of(who, images)
    if 0 < brightest < BYTE / 4:
        largest = round(brightest * white / BYTE)
        about, likely = ("", largest) if bits == 8 else ("about ", 2 ** largest.bit_length() - 1)  # 4095 of 12 bits
        warn(who, f"pictures are divided by {white:g}, but the largest number is {about}{largest}", remedy(likely))


def warn_of_stated_scale(who: str, images: Items, bits: int, scale: float, remedy: Remedy = state) -> None:
    """Warn if the numbers of pictures do not fit the stated scale.

    Parameters
        images : as `read_picture` returns them with that scale;  bits : as for `warn_of_dark_pictures`
    """
    low, high = extremes_of(who, images)
    warn_of_misfit(who, low, high if bits > 16 else math.ceil(high), scale, whole=bits <= 16, remedy=remedy)
