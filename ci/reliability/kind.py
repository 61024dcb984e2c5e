"""What a kind of file is, to those that damage files and read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .damage import Change

_MOST_TO_RUN = 2**14  # numbers of an input on which a network that was read is tried


class SenselessError(Exception):
    """What was read makes no sense, and was taken all the same."""


@dataclass
class Kind:
    """A kind of file.

    Parameters
        file : its name; a whole one stands in the folder
        read : what xpcnn makes of it, from its path
        changes : that it is put through, in turn
        checked : whether a change of a byte that changes what is read must be noticed
        touched : what must be as before after a refusal
    """

    file: str
    read: Callable[[Path], Any]
    changes: tuple[Change, ...]
    checked: bool = False
    touched: Callable[[], Any] = tuple


def ran(saved: Any) -> tuple[Any, ...]:
    """What the network that was read says; it must not fail where its file was taken."""
    if np.prod(saved.input_shape, dtype=float) > _MOST_TO_RUN:
        return ()
    return (np.asarray(saved.model(np.zeros((1, *saved.input_shape), "float32"))),)
