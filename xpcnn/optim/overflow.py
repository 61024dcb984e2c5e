"""Overflow on a device, where looking would mean waiting."""

from __future__ import annotations

from ..backend import is_numpy
from ..typing import Array


def show_overflow(p: Array, squares: Array) -> None:
    """On a device, make p NaN where the squares that divide its step have overflowed: 0·∞ is NaN.

    Otherwise its steps, divided by infinity, would be 0 forever, and nobody would notice.
    """
    if not is_numpy(p):
        p += 0 * squares
