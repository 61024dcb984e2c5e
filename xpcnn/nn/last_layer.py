"""The layer that makes a network's output."""

from __future__ import annotations

from .graph import Graph
from .layer import Layer
from .sequential import Sequential


def last_layer(model: Layer) -> list[tuple[str, Layer]]:
    """The names and layers on the way to the layer that makes the output; none if that is `model` itself.

    >>> from xpcnn.nn import Linear, Softmax
    >>> last_layer(Sequential(Linear(4, 2), Softmax()))
    [('1', Softmax())]
    """
    children = model.children()
    if isinstance(model, Sequential) and children:
        name = list(children)[-1]
    elif isinstance(model, Graph) and len(model.outputs) == 1 and model.outputs[0] in children:
        name = model.outputs[0]
    else:
        return []
    return [(name, children[name]), *last_layer(children[name])]
