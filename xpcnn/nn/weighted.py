"""The base class of layers with a weight and a bias."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ..typing import Array, Cache
from .layer import Layer


class WeightedLayer(Layer):
    """Base class of layers with a `weight` and a `bias`, of which either may be None, and their gradients."""

    parameter_names = ("weight", "bias")
    costly_weight: ClassVar[bool] = False  # whether pair_backward can leave the gradients of a frozen layer out
    pair_backward: ClassVar[Callable[..., tuple[Array | None, Array | None, Array | None]]]  # of `xpcnn.ops`

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        frozen = self.costly_weight and self.infers and bool(self.frozen)
        options = {"weight_grad": False} if frozen else {}
        dx, dw, db = self.pair_backward(dy, cache, input_grad=input_grad, **options)
        return dx, {name: grad for name, grad in (("weight", dw), ("bias", db)) if grad is not None}
