"""The layers of a network that was planned: whether they still compute what they did, and their parameters now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ShapeError
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
