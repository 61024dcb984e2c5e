"""The layers of a network that was planned: whether they still compute what they did."""

from __future__ import annotations

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
