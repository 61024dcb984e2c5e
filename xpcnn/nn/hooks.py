"""Hooks: the caller's functions, which run at each layer of a network in place of the layer's own.

Layer times, statistics, pictures and the search for a NaN all use them.

    class Times(Hooks):
        def forward(self, name, layer, x):
            begun = time.perf_counter()
            result = layer.forward(x)
            print(name, time.perf_counter() - begun)
            return result

    model = with_hooks(network, Times())

`with_hooks` returns a network of the same layers, not copies: it shares their parameters and running statistics. Each
layer runs separately, through the hooks; no neighbours are fused. Parameters and gradients keep their names.
"""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from ..typing import Array, Cache, Shape
from .container import Container
from .layer import Layer, check_layer


class Hooks:
    """Functions that run at each layer that is not a container; by default they run the layer. Override what you need.

    `name` is the layer's dotted name; the first one if the layer occurs several times.

    >>> import numpy as np
    >>> from xpcnn.nn import Linear, ReLU, Sequential
    >>> class Shapes(Hooks):
    ...     def infer(self, name, layer, x):
    ...         y = layer(x)
    ...         print(name, type(layer).__name__, y.shape)
    ...         return y
    >>> _ = with_hooks(Sequential(Linear(2, 3), ReLU()), Shapes())(np.ones((1, 2), np.float32))
    0 Linear (1, 3)
    1 ReLU (1, 3)
    """

    def forward(self, name: str, layer: Layer, x: Array) -> tuple[Array, Cache]:
        """Run the layer's forward, in training."""
        return layer.forward(x)

    def backward(
        self, name: str, layer: Layer, dy: Array, cache: Cache, *, input_grad: bool
    ) -> tuple[Array | None, dict[str, Array]]:
        """Run the layer's backward; `cache` is the one that `forward` of these hooks returned."""
        return layer.backward(dy, cache, input_grad=input_grad)

    def infer(self, name: str, layer: Layer, x: Array) -> Array:
        """Run the layer in inference."""
        return layer(x)


def leaf_layers(model: Layer, kind: type[Layer] = Layer) -> dict[str, Layer]:
    """The layers of that class that are not containers, each once, by their dotted names."""
    return {
        name: layer
        for name, layer in model.named_layers()
        if isinstance(layer, kind) and not isinstance(layer, Container)
    }


def find_layer(
    who: str, model: Layer, layer: str | int, kind: type[Layer] = Layer, *, also: str = ""
) -> tuple[str, Layer]:
    """Find the layer with that dotted name among the leaf layers; return its name and the layer.

    Parameters
        also : what else the caller accepts, for the error
    Raises
        OptionError : there is none; the error lists the layers that exist
    """
    check_layer(who, model)
    found, name = leaf_layers(model, kind), str(layer)
    if name in found:
        return name, found[name]
    inside = [each for each in found if each.startswith(f"{name}.")]
    kinds = "layers" if kind is Layer else f"{kind.__name__} layers"
    what = "a layer inside of it" if inside else f"one of the network's {kinds}"
    listed = ", ".join(f"{each or repr('')} {type(found[each]).__name__}" for each in inside or found) or "none"
    raise OptionError(who, f"{what}: {listed}{also}", repr(name))


def with_hooks(model: Layer, hooks: Hooks) -> Layer:
    """The network, with each layer that is not a container running through `hooks`; `Concat` as a join is a layer.

    >>> import numpy as np
    >>> from xpcnn.nn import Linear
    >>> layer = Linear(2, 3, rng=0)
    >>> x = np.ones((1, 2), np.float32)
    >>> bool((with_hooks(layer, Hooks())(x) == layer(x)).all())
    True
    """
    check_layer("with_hooks", model)
    if not isinstance(hooks, Hooks):
        remedy = "derive from nn.Hooks, and pass an instance"
        raise OptionError("with_hooks", "an instance of Hooks", repr(hooks)[:80], remedy)
    names = {id(layer): name for name, layer in model.named_layers()}
    made: dict[int, Layer] = {}

    def wrap(layer: Layer) -> Layer:
        if id(layer) not in made:
            made[id(layer)] = (
                layer.with_children({name: wrap(child) for name, child in layer.children().items()})
                if isinstance(layer, Container) and (layer.children() or layer.arity == (1, 1))
                else _Hooked(names[id(layer)], layer, hooks)
            )
        return made[id(layer)]

    return wrap(model)


class _Hooked(Layer):
    """A layer that runs through hooks; everything else is delegated to the layer."""

    observed = True

    def __init__(self, name: str, layer: Layer, hooks: Hooks) -> None:
        self._name, self._layer, self._hooks = name, layer, hooks
        for names in ("parameter_names", "buffer_names"):  # the layer's arrays keep their names
            setattr(self, names, getattr(layer, names))
        self.arity = layer.arity

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return self._hooks.forward(self._name, self._layer, x)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        return self._hooks.backward(self._name, self._layer, dy, cache, input_grad=input_grad)

    def __call__(self, x: Array) -> Array:
        return self._hooks.infer(self._name, self._layer, x)

    def children(self) -> dict[str, Layer]:
        return self._layer.children()

    def __getattr__(self, key: str) -> Any:
        if key == "_layer":  # during copying or unpickling
            raise AttributeError(key)
        return getattr(self._layer, key)

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        return self._layer.multiply_adds(input_shape, output_shape)

    def __repr__(self) -> str:
        return repr(self._layer)
