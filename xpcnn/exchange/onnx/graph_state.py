"""What is known of the values of an ONNX graph while it is read, node after node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import FormatError
from ...nn import ChannelShuffle, Linear, Unflatten
from ...typing import NDArray, Shape
from .file import MOST_BYTES, MOST_NODES, Contents, Node, read_tensor
from .value import Known, Made, Reshaped, Value, channels_first

MOST_NUMBERS = 2**26  # of one item, anywhere in the network


class GraphState:
    """The names that nodes may use.

    Parameters
        contents : of the file
        rows : `wanted`, of an earlier reading of the file; None in the first

    Attributes
        wanted : the rows that products are to make, by their names: those of which images are made whose numbers
            stand in another order than the layers'. The file is read again then, for it is the products' weights
            that are put into that order, and so what comes after them knows of it
    """

    def __init__(self, contents: Contents, rows: Mapping[str, Value] | None = None) -> None:
        self.contents = contents
        self.wanted: dict[str, Value] = {}
        self._rows = rows or {}
        self._products: dict[str, str] = {}  # for rows: the product that made their numbers, each in its place
        first = contents.inputs[0]
        self.opset, self.dtype, self.batch = contents.opset, first.dtype, first.sizes[0]
        self.known: dict[str, Known] = {**contents.refused}
        self._tensors = {**contents.tensors}
        self._constants: dict[str, NDArray] = {}
        self._producers: dict[str, Node] = {}
        self._charged = 0
        self._nodes = 0

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
                    self._trace(name, node)

    def _trace(self, name: str, node: Node) -> None:
        """Note the product whose numbers stand in the value."""
        made = self.known[name]
        if not isinstance(made, Made) or len(made.inputs) > 1:
            return
        before = node.inputs if isinstance(made.layer, Linear) else made.inputs  # a sum with a bias, or one value
        for each in before:
            known = self.known.get(each)
            if each in self._products and isinstance(known, Made) and known.value == made.value:
                self._products.setdefault(name, self._products[each])

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
        """The node that makes it; None for the input and the file's tensors."""
        return self._producers.get(name)

    def node_name(self, name: str) -> str:
        """The name of the node that makes it."""
        node = self._producers.get(name)
        return name if node is None else node.name

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

    def weights(self, node: Node, number: int) -> NDArray:
        """The node's input of that number, weights of a layer: finite numbers."""
        array = self.required(node, number)
        self.charge(node, array.nbytes)
        if array.dtype.kind != "f" or not np.all(np.isfinite(array)):
            raise node.refuse(f"finite numbers as input {number + 1}", str(array.dtype))
        return array

    def charge(self, node: Node, size: int) -> None:
        """Count bytes that are copied: a file may name the same weights in ten thousand nodes."""
        self._charged += size
        if self._charged > MOST_BYTES:
            raise node.refuse(f"weights of at most {MOST_BYTES} bytes in all", "more")

    def value(self, node: Node, number: int = 0) -> Value:
        """What is known of the node's input of that number."""
        if number >= len(node.inputs) or not node.inputs[number]:
            raise node.refuse(f"{number + 1} inputs", str(len(node.inputs)))
        return self.value_of(node.inputs[number], node)

    def reshaped(self, node: Node) -> Reshaped | None:
        """The node's first input, if it is on the way from one shape to another."""
        known = self.known.get(node.inputs[0]) if node.inputs else None
        return known if isinstance(known, Reshaped) else None

    def sizes(self, node: Node) -> Shape:
        """The first input's shape in the graph, one item's, also on the way from one shape to another."""
        reshaped = self.reshaped(node)
        return self.value(node).sizes if reshaped is None else reshaped.turned

    def row(self, product: Node, size: int) -> Value:
        """What a product of rows makes: in the layers' order, or in the one that an earlier reading wanted."""
        name = product.outputs[0]
        self._products[name] = name
        return self._rows.get(name, Value((size,), (0,)))

    def settle(self, name: str) -> Known | None:
        """What is known of the value as it is: a row with more axes is images (N, C, H, W), or sequences."""
        known = self.known.get(name)
        if isinstance(known, Reshaped):
            known = self.known[name] = self.unflattened(name, known, channels_first(len(known.sizes)))
        return known

    def unflattened(self, name: str, known: Reshaped, axes: tuple[int, ...]) -> Known:
        """Images or sequences of which that row is made, whose axes in the graph are these; else what is known."""
        root, node = self.known[known.root], self.producer(name)
        if (
            not isinstance(root, Made)
            or len(root.value.shape) != 1
            or len(known.sizes) not in (2, 3)
            or known.perm
            or node is None
        ):
            return known
        shape = tuple(known.sizes[axes.index(axis)] for axis in range(len(axes)))
        images = Value(shape, axes)
        row = images.as_row()
        if root.value != row:
            product = self._products.get(known.root)
            if product is None or self._rows or self.wanted.setdefault(product, row) != row:
                remedy = "put Gemm right before it"
                return node.refuse("an image of numbers in an order that one product can give them", "others", remedy)
        return Made(images, (known.root,), Unflatten(shape))

    def value_of(self, name: str, node: Node) -> Value:
        known = self.settle(name)
        if isinstance(known, FormatError):
            raise known
        if known is None:
            self.blame(node)
            raise node.refuse("a value that is computed from the network's input", "a constant")
        if isinstance(known, Reshaped):
            raise node.refuse("images, or rows with one axis", f"an item of sizes {known.sizes}")
        return known.value

    def in_graph_order(self, name: str) -> str:
        """The name of the value with a row's numbers in the graph's order, and not in that of the layers' images."""
        made = self.known.get(name)
        if not isinstance(made, Made) or made.value.image is None or made.value.image.axes != (2, 0, 1):
            return name
        ordered = f"{name}, in the graph's order"
        if ordered not in self.known:
            height, width, _ = made.value.image.shape
            self.known[ordered] = Made(Value(made.value.shape, (0,)), (name,), ChannelShuffle(height * width))
        return ordered

    def blame(self, node: Node) -> None:
        """Raise the error of an input that is no layer, if there is one: it is the earlier reason."""
        for name in node.inputs:
            known = self.known.get(name)
            if isinstance(known, FormatError):
                raise known

    def images(self, node: Node) -> Value:
        """The node's first input, which must be images (N, C, H, W)."""
        value = self.value(node)
        if value.axes != (2, 0, 1):
            raise node.refuse("images (N, C, H, W)", f"an item of sizes {value.sizes}, channels at {value.axes}")
        return value

    def windowed(self, node: Node) -> Value:
        """The node's first input, which must be images (N, C, H, W) or sequences (N, C, L)."""
        value = self.value(node)
        return value if value.axes == (1, 0) else self.images(node)

    def rows(self, node: Node) -> Value:
        """The node's first input, which must be rows (N, features)."""
        value = self.value(node)
        if len(value.shape) != 1:
            raise node.refuse("rows (N, features)", f"an item of sizes {value.sizes}")
        return value
