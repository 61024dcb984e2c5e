"""Checks the types of data sets' options before a file is opened: they may come from a command line."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter
from numbers import Integral, Real
from typing import Any

from ..errors import OptionError
from ..options import MOST, repeated
from .resizing import RESIZES


def check_options(who: str, options: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> None:
    """Refuse an option of a type that the data set's function does not accept.

    Parameters
        options : by name; each is among the parameters
        parameters : of the function; None is valid if it is the default
    Raises
        OptionError : states the expected and the actual value
    """
    for name, value in options.items():
        kind, fits = _KINDS.get(name, ("anything", _is_anything))
        if not (fits(value) or (value is None and parameters[name].default is None)):
            raise OptionError(who, f"{name}: {kind}", repr(value))


def _is_path(value: Any) -> bool:
    """True for a path, but not for an empty text, which Path turns into the current folder."""
    return isinstance(value, str | os.PathLike) and os.fspath(value) != "" and "\0" not in os.fspath(value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and 1 <= int(value) <= MOST


def _is_scale(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < math.inf


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) in (2, 3) and all(map(_is_count, value))


def _is_names(value: Any) -> bool:
    """True for different texts, but not for a single text, which Python treats as its letters."""
    many = isinstance(value, Iterable) and not isinstance(value, str)
    return many and all(isinstance(name, str) for name in value) and repeated(value) is None


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_wholes(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(map(_is_whole, value))


def _is_addresses(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, Iterable) and all(isinstance(each, str) for each in value))


def _is_anything(value: Any) -> bool:
    return True


# The functions themselves check `size`, `label` and numbers that must be in an interval.
_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "broken": ("error or skip", lambda value: value in ("error", "skip")),
    "buffer": ("an integer ≥ 1", _is_count),
    "cache": ("a path", _is_path),
    "channels": ("1 for grey, 3 for RGB", _is_count),
    "channels_first": ("True or False", _is_flag),
    "classes": ('the classes\' names, which differ, such as ["cat", "dog"]', _is_names),
    "coarse": ("True or False", _is_flag),
    "encoding": ("a text's, such as utf-8 or cp1252", lambda value: isinstance(value, str)),
    "ending": ("of files, such as .png", lambda value: isinstance(value, str)),
    "folder": ("a path", _is_path),
    "ignore_index": ("an integer from 0 to 255", lambda value: _is_whole(value) and 0 <= value <= 255),
    "image": ("a column's name or number", lambda value: isinstance(value, str) or _is_whole(value)),
    "image_shape": ("(H, W) or (H, W, C), such as (28, 28, 1)", _is_shape),
    "labels": ("a path", _is_path),
    "masks": ("a path", _is_path),
    "mirrors": ("addresses", _is_addresses),
    "missing": ("error or skip", lambda value: value in ("error", "skip")),
    "most_bytes": ("an integer from 1 to 2⁶³ − 1", _is_count),
    "parts": ("False, or None to look for parts", _is_flag),
    "resize": (", ".join(RESIZES), lambda value: value in RESIZES),
    "regression": ("True or False", _is_flag),
    "scale": ("a number above 0", _is_scale),
    "source": ("memory, cache or disk", lambda value: value in ("memory", "cache", "disk")),
    "split": ("a column's name or number", lambda value: isinstance(value, str) or _is_whole(value)),
    "test": ("a path", _is_path),
    "values": ("integers, one a class, such as [0, 255]", _is_wholes),
}
