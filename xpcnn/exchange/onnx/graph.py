"""An ONNX graph while it is written: nodes, constants, and what is known of the values between them.

Layers are channels last, and ONNX's operators channels first: one item (…, C) of a batch is (C, …) in the graph.
So a row that was an image (H, W, C) has its numbers in the order (C, H, W) there, until a layer needs them in its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from ...typing import NDArray, Shape


@dataclass(frozen=True)
class Tensor:
    """A value in the graph.

    Parameters
        name : of the node that makes it, or the network's input
        shape : one item's, without the batch axis and channels last, as the layers have it
        order : of a row, the shape of the image whose numbers it holds channel after channel; None if it holds
            them as the layers do
    """

    name: str
    shape: Shape
    order: Shape | None = None


class Graph:
    """Nodes and constants, each under a name that no other has.

    Parameters
        opset : the version of ONNX's operators that is written
        inputs : names of the graph's inputs
    """

    def __init__(self, opset: int, inputs: Iterable[str]) -> None:
        self.opset = opset
        self.nodes: list[Any] = []
        self._ends = set(inputs)  # and outputs: what keeps its name
        self._values = set(self._ends)
        self.constants: dict[str, NDArray] = {}
        self._reordered: Counter[str] = Counter()  # by the row's name: each branch that wants its order has a node

    def node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """A node with one output, which has the node's name: the given one, or one with a number if that is taken."""
        from onnx import helper

        unique, number = name, 1
        while unique in self._values:
            unique, number = f"{name}.{number}", number + 1
        self._values.add(unique)
        self.nodes.append(helper.make_node(operator, inputs, [unique], name=unique, **attributes))
        return unique

    def finish(self, outputs: Mapping[str, tuple[str, Shape | None]]) -> None:
        """Give the outputs their names, which other values may have had.

        Parameters
            outputs : for each name the value, and the permutation of its axes, if it is to be transposed
        """
        from onnx import helper

        values = {output: value for output, (value, _) in outputs.items()}

        def rename(value: str, name: str) -> None:
            self._values ^= {value, name}
            values.update({output: name for output, each in values.items() if each == value})
            for node in self.nodes:
                for names in (node.input, node.output):
                    names[:] = [name if each == value else each for each in names]

        for output, (_, perm) in outputs.items():
            if output in self._values and (perm is not None or values[output] != output):
                rename(output, next(free for n in count(1) if (free := f"{output}.{n}") not in self._values))
            if perm is not None or values[output] in self._ends:
                operator, options = ("Transpose", {"perm": perm}) if perm is not None else ("Identity", {})
                name = f"{output}/{operator}"
                self.nodes.append(helper.make_node(operator, [values[output]], [output], name=name, **options))
                self._values.add(output)
            elif values[output] != output:
                rename(values[output], output)
            self._ends.add(output)

    def constant(self, name: str, array: NDArray) -> str:
        """The constant's name: the given one, or one with a number where another array has that."""
        unique, number = name, 1
        while unique in self.constants and not np.array_equal(self.constants[unique], array):
            unique, number = f"{name}.{number}", number + 1
        self.constants[unique] = array
        return unique

    def in_own_order(self, x: Tensor) -> Tensor:
        """The value as the layers have it: a row's numbers are put into their order."""
        if x.order is None:
            return x
        indices = self.constant(f"{x.name}/order", np.argsort(channels_first(x.order)))
        number = self._reordered[x.name]
        self._reordered[x.name] += 1
        name = f"{x.name}/Gather.{number}" if number else f"{x.name}/Gather"
        return Tensor(self.node("Gather", [x.name, indices], name, axis=1), x.shape)


def channels_first(order: Shape) -> NDArray:
    """For each place in a row whose numbers stand channel after channel: the place where the layers have it.

    >>> channels_first((2, 1, 3))  # rows a0 a1 a2 b0 b1 b2 become a0 b0 a1 b1 a2 b2
    array([0, 3, 1, 4, 2, 5])
    """
    return np.moveaxis(np.arange(math.prod(order)).reshape(order), -1, 0).ravel()
