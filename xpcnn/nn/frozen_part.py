"""The frozen part at the beginning of a container, which runs as in inference, and the part after it, which is trained.

Nothing in the first part is trained, so backward ends before it, and it keeps nothing for backward. Where ∂L/∂x is
asked for all the same, the first part runs once more, from x, with what its backward needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..typing import Array, Cache
from .layer import Layer


class Divided:
    """A network in two parts: y = rest(frozen(x)).

    Parameters
        frozen : in which nothing is trained; several outputs are a tuple
        rest : with the names that its parameters have in the whole
        output : what computes the frozen part's output; None for the part itself
    """

    def __init__(self, frozen: Layer, rest: Layer, output: Callable[[Any], Any] | None = None) -> None:
        self.frozen, self.rest, self.output = frozen, rest, frozen if output is None else output

    def forward(self, x: Any) -> tuple[Any, Cache]:
        y, cache = self.rest.forward(self.output(x))
        return y, (x, cache)

    def backward(self, dy: Any, cache: Cache, *, input_grad: bool) -> tuple[Any, dict[str, Array]]:
        x, rest_cache = cache
        dx, grads = self.rest.backward(dy, rest_cache, input_grad=input_grad)
        if dx is not None and input_grad:
            _, frozen_cache = self.frozen.forward(x)
            dx, _ = self.frozen.backward(dx, frozen_cache)
        return dx, grads


def has_frozen(layer: Layer) -> bool:
    """Whether there is a frozen layer within."""
    return any(each.infers for _, each in layer.named_layers())


def can_stay(layer: Layer) -> bool:
    """Whether nothing within is trained, changes, or is random: its forward then is its inference."""
    leaves = (each for _, each in layer.named_layers() if not each.children())
    return all(not each.observed and (each.infers or _is_constant(each)) for each in leaves)


def computes_as_ours(layer: Layer, *methods: str) -> bool:
    """Whether the layer has these methods from xpcnn, not from a class of the user's own."""
    ours = __name__.partition(".")[0] + "."
    return all(getattr(type(layer), method).__module__.startswith(ours) for method in methods)


def _is_constant(layer: Layer) -> bool:
    changes = any(layer.named_arrays(buffers=True)) or bool(layer.generators())
    return not changes and computes_as_ours(layer, "__call__")
