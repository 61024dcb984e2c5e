"""Data sets by name, for the command line and for settings in files."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..errors import OptionError
from .dataset import Dataset
from .digits import digits
from .mnist import mnist

_BY_NAME: dict[str, Callable[..., Dataset]] = {"digits": digits, "mnist": mnist}


def names() -> tuple[str, ...]:
    """What `load` knows."""
    return tuple(_BY_NAME)


def load(name: str, **options: Any) -> Dataset:
    """The data set of that name.

    Parameters
        options : the arguments of its function, such as `folder` for mnist
    Raises
        OptionError : no data set has that name, or its function does not take these arguments
        DataError : its files are missing

    >>> load("digits").name
    'digits'
    """
    if name not in _BY_NAME:
        raise OptionError("load", "one of " + ", ".join(_BY_NAME), repr(name))
    make = _BY_NAME[name]
    known = inspect.signature(make).parameters
    if unknown := sorted(options.keys() - known.keys()):
        raise OptionError(f"load {name}", "options among " + (", ".join(known) or "none"), ", ".join(unknown))
    return make(**options)
