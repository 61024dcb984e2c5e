"""The base class of layers without parameters that run one operation, a forward/backward pair of `xpcnn.ops`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..typing import Array, Cache
from .layer import Layer


class OpLayer(Layer):
    """Base class of layers without parameters that run one operation, a forward/backward pair of `xpcnn.ops`.

    >>> class Double(OpLayer):
    ...     pair = (lambda x: (2 * x, None), lambda dy, cache: 2 * dy)
    """

    pair: tuple[Callable[..., tuple[Any, Cache]], Callable[[Array, Cache], Any]]

    def options(self) -> dict[str, Any]:
        """The keyword arguments of the operation's forward; by default those of the constructor."""
        return self.config()

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return self.pair[0](x, **self.options())

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        return self.pair[1](dy, cache) if input_grad else None, {}
