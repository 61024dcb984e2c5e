"""A kind of file, for the checks that damage and read files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .damage import Change

_MOST_TO_RUN = 2**14  # most numbers in an input on which a loaded network is tried


class SenselessError(Exception):
    """The contents make no sense, but were accepted."""


@dataclass
class Kind:
    """A kind of file.

    Parameters
        file : its name; an intact one is in the folder
        read : reads it with xpcnn, from its path
        changes : the changes to apply, in turn
        checked : any change of a byte that changes the result of `read` must be detected
        touched : returns the state that must be unchanged after a refusal
    """

    file: str
    read: Callable[[Path], Any]
    changes: tuple[Change, ...]
    checked: bool = False
    touched: Callable[[], Any] = tuple


def ran(saved: Any) -> tuple[Any, ...]:
    """The output of a loaded network; it must not fail if its file was accepted."""
    shapes = saved.input_shape if saved.model.arity[0] > 1 else (saved.input_shape,)
    if sum(np.prod(shape, dtype=float) for shape in shapes) > _MOST_TO_RUN:
        return ()
    x = tuple(np.zeros((1, *shape), "float32") for shape in shapes)
    y = saved.model(x if len(x) > 1 else x[0])
    return tuple(map(np.asarray, y)) if isinstance(y, tuple) else (np.asarray(y),)  # a tuple of several outputs
