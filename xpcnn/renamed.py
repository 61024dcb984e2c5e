"""Renamed public names: the old ones work for one more version, with a warning that states the new ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .errors import warn
from .habits import no_such_name


def renamed(module: str, **names: str) -> Callable[[str], Any]:
    """A module's `__getattr__` for names that it no longer has.

    Parameters
        module : its `__name__`
        names : new name for each old one
    """

    def look_up(name: str) -> Any:
        if name not in names:
            raise no_such_name(module, name, sys.modules[module].__all__)
        warn_of_new_name(f"{module}.{name}", names[name])
        return getattr(sys.modules[module], names[name])

    return look_up


def warn_of_new_name(old: str, new: str) -> None:
    """Warn that a name has changed."""
    warn(old, f"this name goes with the next version; it is {new} now", f"write {new}")
