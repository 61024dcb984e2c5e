"""Arrays as runs of numbers, for work that does not depend on an element's position.

An array without gaps is one run in memory, in any order of its axes. Any block of the run is a unit of work.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..typing import NDArray
from .memory import empty_like

BLOCK = 1 << 17  # elements
MINIMUM_SIZE = 1 << 13  # elements: with fewer, the operation's reference is as fast


def refuses_run(x: Any, *, times: int = 1) -> str | None:
    """The reason why an implementation that works on runs refuses this array, or None.

    Parameters
        times : so many times MINIMUM_SIZE it must have
    """
    if not isinstance(x, np.ndarray):
        return "the arrays are not NumPy's"
    if x.dtype.kind != "f":
        return "the numbers are not real"
    if x.size < times * MINIMUM_SIZE:
        return f"there are fewer than {times * MINIMUM_SIZE} numbers"
    return None


def as_run(x: NDArray, like: NDArray) -> NDArray:
    """x as one run in the memory order of `like`, which has no gaps; a view if x already has that order."""
    if any(x.strides[axis] != like.strides[axis] for axis in range(x.ndim) if x.shape[axis] > 1):
        ordered = empty_like(like)
        ordered[...] = x
        x = ordered
    run: NDArray = x.ravel(order="K")
    return run
