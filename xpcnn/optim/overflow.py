"""Overflow: on NumPy it is looked for; on a device, where looking would mean waiting, it is made to show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..backend import is_numpy
from ..typing import Array


def show_overflow(p: Array, squares: Array) -> None:
    """On a device, make p NaN where the squares that divide its step have overflowed: 0·∞ is NaN.

    Otherwise its steps, divided by infinity, would be 0 forever, and nobody would notice.
    """
    if not is_numpy(p):
        p += 0 * squares


def squares(arrays: Iterable[tuple[str, Any]]) -> float:
    """The sum of all squares of named NumPy arrays; NaN or infinite if a number is, or is too large."""
    return sum(float(np.vdot(array, array)) for _, array in arrays)


def not_finite(arrays: Iterable[tuple[str, Any]]) -> str:
    """The names of the first few arrays with NaN or infinity."""
    names = [name for name, array in arrays if not np.isfinite(array).all()]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
