"""How the layers of a network are wired: which value each of them reads, and which it writes.

A value is an array that flows through the network; value 0 is its input. In backward, the gradient of a value is the
sum of what all its readers hand back, (1) of `xpcnn.nn.graph`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from ..nn import Concat, Layer, Residual
from ..nn.container import Container
from ..nn.hooks import leaf_layers
from ..typing import Array
from .run import Visit


@dataclass(eq=False)
class Node:
    """A call of a layer; or a container that joins what its children return.

    Parameters
        name : dotted, in the network
        layer : the layer, or the container
        reads, writes : numbers of values
        visit : the call; None for a container
    """

    name: str
    layer: Layer
    reads: tuple[int, ...]
    writes: int
    visit: Visit | None = None

    @property
    def title(self) -> str:
        """Its name, and its kind."""
        joins = {Residual: "Add", Concat: "Concat"}
        kind = (
            joins.get(type(self.layer), type(self.layer).__name__) if self.visit is None else type(self.layer).__name__
        )
        return f"{self.name} {kind}".strip()


@dataclass(eq=False)
class Wiring:
    """All calls of a pass, in their order, and the values between them; `output` is the number of the network's."""

    nodes: list[Node]
    values: list[Array]
    output: int

    def readers(self, value: int) -> list[tuple[Node, int]]:
        """The calls that read a value, each with the place of the value among those that it reads."""
        return [(node, k) for node in self.nodes for k, each in enumerate(node.reads) if each == value]

    def depths(self) -> list[int]:
        """Of each node, the number of nodes on the longest way to it from the input."""
        depth = {0: 0}
        for node in self.nodes:
            depth[node.writes] = 1 + max(depth[each] for each in node.reads)
        return [depth[node.writes] for node in self.nodes]


def wire(model: Layer, x: Array, visits: list[Visit]) -> Wiring:
    """Find out how the calls of one pass over `x` are wired.

    >>> import numpy as np
    >>> from xpcnn.explain.run import run
    >>> from xpcnn.nn import Linear, Residual, Sequential, Tanh
    >>> model = Sequential(Residual(Sequential(Linear(2, 2), Tanh())), Linear(2, 3))
    >>> x = np.ones((1, 2), "float32")
    >>> wired = wire(model, x, run(model, None, x).visits)
    >>> [(node.title, node.reads, node.writes) for node in wired.nodes]
    [('0.body.0 Linear', (0,), 1), ('0.body.1 Tanh', (1,), 2), ('0 Add', (2, 0), 3), ('1 Linear', (3,), 4)]
    """
    names = {id(layer): name for name, layer in leaf_layers(model).items()}
    calls: dict[str, deque[Visit]] = {}
    for visit in visits:
        calls.setdefault(visit.name, deque()).append(visit)
    values, nodes = [x], list[Node]()
    number = {id(x): 0}  # of each value

    def write(name: str, layer: Layer, given: Any, y: Array, visit: Visit | None) -> Array:
        reads = tuple(number[id(each)] for each in (given if isinstance(given, tuple | list) else (given,)))
        number[id(y)] = len(values)
        values.append(y)
        nodes.append(Node(name, layer, reads, number[id(y)], visit))
        return y

    def follow(name: str, layer: Layer, given: Any) -> Any:
        if not isinstance(layer, Container) or not (layer.children() or layer.arity == (1, 1)):
            own = names.get(id(layer), name)
            visit = calls[own].popleft()
            return write(own, layer, given, visit.y, visit)
        made: dict[str, Any] = {}

        def child(key: str, each: Layer, x: Any) -> Any:
            made[key] = follow(f"{name}.{key}".strip("."), each, x)
            return made[key]

        y = layer.run_children(given, child)
        if isinstance(y, tuple) or id(y) in number:
            return y
        parts = [made["body"], made.get("shortcut", given)] if isinstance(layer, Residual) else [*made.values()]
        return write(name, layer, parts, y, None)

    output = follow("", model, x)
    return Wiring(nodes, values, number[id(output)])
