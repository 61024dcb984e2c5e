"""The check of options that are numbers."""

from __future__ import annotations

from numbers import Real
from typing import Any

from ..errors import OptionError


def number(who: str, name: str, value: Any, interval: str = "(-inf, inf)") -> float:
    """The value as a float, once it is known to be a number in the interval; NaN is in none.

    Parameters
        interval : two numbers in round brackets, which leave the end out, or square ones, which let it in
    Raises
        OptionError

    >>> number("Dropout", "p", 0.5, "[0, 1)")
    0.5
    """
    low, high = map(float, interval[1:-1].split(","))
    fits = isinstance(value, Real) and not isinstance(value, bool) and low <= float(value) <= high
    if not fits or (value == low and interval[0] == "(") or (value == high and interval[-1] == ")"):
        raise OptionError(who, f"{name}: a number in {interval}", repr(value))
    return float(value)
