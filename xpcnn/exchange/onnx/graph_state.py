"""What is known of the values of an ONNX graph while it is read, node after node."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import FormatError
from ...nn import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    Flatten,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool1d,
    GlobalMaxPool2d,
    Layer,
    MaxPool1d,
    MaxPool2d,
)
from ...nn.sequences import as_images
from ...typing import NDArray
from .arranging import arranged
from .file import MOST_BYTES, MOST_NODES, Contents, Node, read_tensor
from .value import Axis, Known, Made, Value

MOST_NUMBERS = 2**26  # of one item, anywhere in the network
MOST_SIDE = 2**14  # of an image


class GraphState:
    """The names that nodes may use.

    Parameters
        contents : of the file
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.opset, self.dtype, self.batch = contents.opset, contents.dtype, contents.batch
        self.known: dict[str, Known] = {**contents.refused}
        self._tensors = {**contents.tensors}
        self._constants: dict[str, NDArray] = {}
        self._producers: dict[str, Node] = {}
        self._arranged: dict[tuple[str, tuple[Axis, ...]], str] = {}
        self._called: dict[str, str] = {}  # entries that stand for no node
        self._taken = {name for node in contents.nodes for name in (*node.inputs, *node.outputs)}
        self._charged = self._nodes = 0

    def announce(self, node: Node) -> None:
        """The node makes its outputs: they have not been there before, and what it is made of has.

        Raises
            FormatError : that is not so, as where nodes go round in a circle
        """
        undefined = [name for name in node.inputs if name and not self.is_defined(name)]
        again = [name for name in node.outputs if name and self.is_defined(name)]
        if undefined or again or not node.outputs:
            raise node.refuse("nodes in the order in which they run", f"{(undefined + again)[:3]} here")
        self._producers.update({name: node for name in node.outputs})
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise node.refuse(f"at most {MOST_NODES} nodes, with those within others", "more")

    def define(self, node: Node, result: Known | list[Made] | NDArray) -> None:
        """What the node's outputs are; of most, all but the first are nothing that a layer gives."""
        for number, name in enumerate(node.outputs):
            if name:
                if isinstance(result, list):
                    self.known[name] = result[number]
                elif number:
                    self.known[name] = node.refuse("one output", f"a use of its output {number + 1}")
                elif isinstance(result, np.ndarray):
                    self._constants[name] = result
                else:
                    self.known[name] = result

    def enter(self, node: Node, tensors: Mapping[str, Any]) -> None:
        """The constants of a graph within the node, by names that nothing has had."""
        if again := [name for name in tensors if self.is_defined(name)]:
            raise node.refuse("each name once", f"{again[:3]} again")
        self._tensors |= tensors

    def stand_for(self, name: str, other: str, node: Node) -> None:
        """The value of that name, an output of the node, is what another one is."""
        if (constant := self.constant(other, node.where)) is not None:
            self._constants[name] = constant
        elif isinstance(known := self.known.get(other), Made):
            self.known[name] = Made(known.value, (other,))
        else:
            self.known[name] = known or node.refuse("outputs that its graph makes", repr(other))

    def is_defined(self, name: str) -> bool:
        return name in self.known or self.is_constant(name)

    def is_constant(self, name: str) -> bool:
        return name in self._constants or name in self._tensors

    def producer(self, name: str) -> Node | None:
        """The node that makes it; None for the inputs and the file's tensors."""
        return self._producers.get(name)

    def node_name(self, name: str) -> str:
        """What the layer that makes it is called: as the node."""
        node = self._producers.get(name)
        return self._called.get(name, name) if node is None else node.name

    def constant(self, name: str, who: str) -> NDArray | None:
        """A constant's numbers; None where it is none."""
        if name not in self._constants and name in self._tensors:
            self._constants[name] = read_tensor(self._tensors[name], who)
        return self._constants.get(name)

    def required(self, node: Node, number: int) -> NDArray:
        """The node's input of that number, a constant."""
        array = self.optional(node, number)
        if array is None:
            raise node.refuse(f"a constant as input {number + 1}", "none")
        return array

    def optional(self, node: Node, number: int) -> NDArray | None:
        """The same, or None where the node has no such input."""
        name = node.inputs[number] if number < len(node.inputs) else ""
        array = self.constant(name, node.where) if name else None
        if name and array is None:
            self.blame(node)
            raise node.refuse(f"a constant as input {number + 1}", "a value that is computed")
        return array

    def integers(self, node: Node, number: int, attribute: str) -> tuple[int, ...] | None:
        """Integers that are an input in newer opsets, and an attribute in older ones; None where there is neither."""
        given = self.optional(node, number)
        if given is not None:
            return tuple(int(each) for each in given.ravel())
        return node.integers(attribute, ()) if node.has(attribute) else None

    def weights(self, node: Node, number: int) -> NDArray:
        """The node's input of that number, weights of a layer: finite numbers."""
        array = self.required(node, number)
        self.charge(node, array.nbytes)
        floats = array.dtype.kind == "f"
        if not floats or not np.all(np.isfinite(array)):
            got = "NaN or infinity" if floats else str(array.dtype)
            raise node.refuse(f"finite numbers as input {number + 1}", got)
        return array

    def charge(self, node: Node, size: int) -> None:
        """Count bytes that are copied: a file may name the same weights in ten thousand nodes."""
        self._charged += size
        if self._charged > MOST_BYTES:
            raise node.refuse(f"weights of at most {MOST_BYTES} bytes in all", "more")

    def blame(self, node: Node) -> None:
        """Raise the error of an input that is no layer, if there is one: it is the earlier reason."""
        for name in node.inputs:
            known = self.known.get(name)
            if isinstance(known, FormatError):
                raise known

    def value(self, node: Node, number: int = 0) -> Value:
        """What is known of the node's input of that number."""
        if number >= len(node.inputs) or not node.inputs[number]:
            raise node.refuse(f"{number + 1} inputs", str(len(node.inputs)))
        return self.made(node.inputs[number], node).value

    def made(self, name: str, node: Node) -> Made:
        known = self.known.get(name)
        if isinstance(known, FormatError):
            raise known
        if known is None:
            self.blame(node)
            raise node.refuse("a value that is computed from the network's input", "a constant")
        return known

    def images(self, node: Node) -> tuple[str, Value]:
        """The node's first input as images (N, H, W, C) or sequences (N, L, C)."""
        name, value = node.inputs[0], self.value(node)
        if len(value.axes) not in (2, 3):
            raise node.refuse("images (N, C, H, W) or (N, C, L)", f"an item of sizes {value.sizes}")
        channels, *space = value.axes
        return self.arranged(name, [*space, channels])

    def as_images(self, node: Node, shape: tuple[int, int, int]) -> Value:
        """Images (H, W, C) that a node makes of images, or sequences (1, L, C) that it makes of sequences."""
        if min(shape) < 1 or (shape[0] > 1 and max(shape[:2]) > MOST_SIDE):
            raise node.refuse(f"images of 1 to {MOST_SIDE} a side", str(shape))
        images = len(self.value(node).axes) == 3
        return limited(Value.plain(shape, (2, 0, 1)) if images else Value.plain(shape[1:], (1, 0)), node)

    def ending(self, name: str, chosen: Sequence[int]) -> tuple[str, Value, int]:
        """The value as an array whose last axes, as many as are returned, are these of the graph's."""
        made = self.known[name]
        assert isinstance(made, Made)
        value, own = made.value, made.value.own
        wanted = sorted(part for axis in chosen for part in value.axes[axis])
        for count in range(1, len(own) + 1):
            if [part for axis in own[-count:] for part in axis] == wanted and (wanted or own[-count] == ()):
                return name, value, count
        others = [axis for number, axis in enumerate(value.axes) if number not in chosen]
        name, value = self.arranged(name, [*others, *(value.axes[axis] for axis in chosen)])
        return name, value, len(chosen)

    def last(self, name: str, *chosen: int) -> tuple[str, Value]:
        """The value as an array whose last axis is these of the graph's."""
        name, value, count = self.ending(name, chosen)
        if count > 1:
            own = value.own
            name, value = self.arranged(name, [*own[:-count], tuple(part for axis in own[-count:] for part in axis)])
        return name, value

    def arranged(self, name: str, groups: Sequence[Axis], called: str = "") -> tuple[str, Value]:
        """The value as an array whose axes are these groups of parts, under a name of its own.

        Parameters
            called : of the layer that does it; "" for the value's name and the layer's kind
        """
        made = self.known[name]
        assert isinstance(made, Made)
        key = (name, tuple(groups))
        if key not in self._arranged:
            layers, value = arranged(made.value, groups)
            root, base = name, self.node_name(name)
            for layer in layers:
                inputs: tuple[str, ...] = (root,)
                if isinstance(layer, Flatten) and (pool := self._pooled(root)) is not None:
                    layer, inputs = pool
                kind = type(layer).__name__
                own = called or (base if base.endswith(kind) else f"{base}_{kind}")
                root = self.add(own, Made(value, inputs, layer))
            self._arranged[key] = root
        made = self.known[self._arranged[key]]
        assert isinstance(made, Made)
        return self._arranged[key], made.value

    def add(self, called: str, made: Made) -> str:
        """Take in a value that no node makes, whose layer is called so; return the name that it gets."""
        number = len(self._called)
        while (name := f"{called}/{number}") in self._taken or self.is_defined(name):
            number += 1
        self._called[name] = called
        self.known[name] = made
        return name

    def _pooled(self, name: str) -> tuple[Layer, tuple[str, ...]] | None:
        """Global pooling to rows in the place of one to images of a pixel, which are flattened then."""
        made = self.known[name]
        while isinstance(made, Made) and made.layer is None and made.inputs:
            made = self.known[made.inputs[0]]
        kind = _GLOBAL.get(type(made.layer)) if isinstance(made, Made) and made.layer is not None else None
        if not isinstance(made, Made) or kind is None or set(made.value.shape[:-1]) != {1}:
            return None
        before = self.known[made.inputs[0]]
        if isinstance(made.layer, MaxPool1d | MaxPool2d):
            window = as_images(made.layer).window
            if not isinstance(before, Made) or window.kernel != before.value.size or any(window.padding):
                return None
        return kind(), made.inputs


_GLOBAL: dict[type[Layer], type[Layer]] = {
    AdaptiveAvgPool1d: GlobalAvgPool1d,
    AdaptiveAvgPool2d: GlobalAvgPool2d,
    MaxPool1d: GlobalMaxPool1d,
    MaxPool2d: GlobalMaxPool2d,
}


def limited(value: Value, node: Node) -> Value:
    if math.prod(value.shape) > MOST_NUMBERS:
        raise node.refuse(f"at most {MOST_NUMBERS} numbers", str(value.sizes))
    return value


def same(value: Value, name: str) -> Made:
    """The value of that name, of which the graph's axes alone have changed."""
    return Made(value, (name,))
