"""The layers of a network that was planned: whether they still compute what they did, and their parameters now."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from ..errors import OptionError, ShapeError
from .layer import Layer

_METHODS = {"forward", "backward"}  # attributes of a single object that take the place of its class's
_GEOMETRY = ("window", "groups", "padding", "before", "after")  # attributes that steps read when they are made


class PlannedLayers:
    """All layers of a network, and the attributes that steps of a plan read once."""

    def __init__(self, model: Layer) -> None:
        self._attributes = [vars(layer) for _, layer in model.named_layers()]
        self._geometry = [(own, key, own[key]) for own in self._attributes for key in _GEOMETRY if key in own]

    def have_own_methods(self) -> bool:
        """True if an object was given a `forward` or `backward` of its own."""
        return not all(map(_METHODS.isdisjoint, self._attributes))

    def changed(self) -> bool:
        """True if an attribute is another object than when this was made."""
        return any(own.get(key) is not value for own, key, value in self._geometry)


def private(model: Layer) -> Layer:
    """A copy of the network whose arrays nobody else has; NumPy's are read-only.

    Raises
        OptionError : it has hooks, which would observe a copy
    """
    if any(layer.observed for _, layer in model.named_layers()):
        remedy = "plan the network that they observe, or that eval_mode was given"
        raise OptionError("plan", "a network without hooks for frozen=True", "hooks", remedy)
    copy = deepcopy(model)
    for _, layer, key in copy.named_arrays(buffers=True, frozen=True):
        array = getattr(layer, key)
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    return copy


def current(layer: Layer, key: str) -> Callable[[], Any]:
    """Return the parameter as it is at the time of the call."""
    planned = getattr(layer, key)

    def read() -> Any:
        array = getattr(layer, key)
        if array is planned or array is None:
            return array
        if type(array) is not type(planned) and planned is not None:
            expected = f"the {key} of {type(layer).__name__} as it was"
            raise ShapeError("plan", expected, type(array).__name__, "make a new plan")
        shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", type(array).__name__)
        if planned is None or shape != planned.shape or dtype != planned.dtype:
            got = str(dtype) if shape is None else f"{dtype} {tuple(shape)}"
            raise ShapeError("plan", f"the {key} of {type(layer).__name__} as it was", got, "make a new plan")
        return array

    return read


def kind_of(array: Any) -> tuple[Any, ...]:
    """What a plan was made for: another array of the same kind may take its place."""
    return type(array), getattr(array, "shape", None), getattr(array, "dtype", None)
