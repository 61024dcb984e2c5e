"""Convolutional networks with every gradient written by hand, once, for NumPy and CuPy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import backend, course, data, errors, exchange, explain, io, models, nn, ops, optim, plot, training
    from .backend import asarray, synchronize, to_numpy, use_backend
    from .gradient_check import gradcheck
    from .ops.dispatch import use_implementation
    from .random import seed
    from .saved import load

__version__ = "0.2.0.dev0"

__all__ = [
    "asarray",
    "backend",
    "course",
    "data",
    "errors",
    "exchange",
    "explain",
    "gradcheck",
    "io",
    "load",
    "models",
    "nn",
    "ops",
    "optim",
    "plot",
    "seed",
    "synchronize",
    "to_numpy",
    "training",
    "use_backend",
    "use_implementation",
]

# Imported on first use, so that `xpcnn --help` need not wait for NumPy.
_FUNCTIONS = {
    "asarray": "backend",
    "gradcheck": "gradient_check",
    "load": "saved",
    "seed": "random",
    "synchronize": "backend",
    "to_numpy": "backend",
    "use_backend": "backend",
    "use_implementation": "ops.dispatch",
}


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        value = getattr(import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)
    elif name in __all__:
        value = import_module(f"{__name__}.{name}")
    else:
        raise _missing(name)
    globals()[name] = value
    return value


def _missing(name: str) -> AttributeError:
    """The error for another name; one of a part of xpcnn is told with that part."""
    from importlib.util import find_spec

    from .habits import TOP, no_such_name

    if not name.startswith("_") and name not in TOP and find_spec(f"{__name__}.{name}") is None:
        for part in ("nn", "optim", "data", "training", "models", "io", "exchange"):
            if name in import_module(f"{__name__}.{part}").__all__:
                return AttributeError(f"module {__name__!r} has no attribute {name!r}; here: {part}.{name}")
    return no_such_name(__name__, name, __all__)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
