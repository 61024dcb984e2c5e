"""What a network costs: a table of its layers.

Multiply-adds. A layer that makes M of them forward makes, backward,

    M for its parameters' gradients, where it has any, and
    M for its input's gradient, where anything before it is trained and so waits for it.            (1)

That is 2·M for a convolution, M for a layer without parameters, and M for the first trained layer, whose dx
nobody needs. All numbers are for one item of a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..backend import array_namespace
from ..errors import OptionError
from ..options import as_count
from ..table import columns
from ..typing import Array, Shape
from .container import Container, located
from .layer import Layer

_HEADER = ("Layer", "Output", "Parameters", "Forward", "Backward", "Output KiB")


@dataclass
class _Row:
    name: str
    output: Shape = ()
    parameters: str = ""
    forward: int | None = None  # multiply-adds; None for a container, whose layers have rows of their own
    backward: int = 0
    bytes: int = 0

    def cells(self) -> tuple[str, ...]:
        output = str(self.output)
        if self.forward is None:
            return self.name, output, "", "", "", ""
        return self.name, output, self.parameters, f"{self.forward:,}", f"{self.backward:,}", _kib(self.bytes)


def table(layer: Layer, input_shape: Shape) -> str:
    """The layers' outputs, parameters, multiply-adds and memory, and their sums; runs inference on zeros.

    Parameters
        layer : a layer; containers are walked through, their layers indented
        input_shape : one item's, without the batch axis, such as (28, 28, 1)
    Returns
        str : a row for each time that a layer runs; the parameters of one that has run before stand in brackets
    Raises
        OptionError : input_shape is no sequence of integers ≥ 1
        ShapeError : the network does not take such items

    >>> from xpcnn.nn import Conv2d, Linear, Sequential
    >>> print(table(Sequential(Conv2d(1, 6, 5), Conv2d(6, 6, 24)), (28, 28, 1)))
    Layer       Output       Parameters  Forward  Backward  Output KiB
    ------------------------------------------------------------------
    Sequential  (1, 1, 6)
      0 Conv2d  (24, 24, 6)         156   86,400    86,400        13.5
      1 Conv2d  (1, 1, 6)        20,742   20,736    41,472         0.0
    ------------------------------------------------------------------
    Total                        20,898  107,136   127,872        13.5
    multiply-adds forward + backward: 235,008; memory of parameters: 81.6 KiB, of outputs: 13.5 KiB an item
    """
    rows = _rows(layer, _checked(input_shape))
    leaves = [row for row in rows if row.forward is not None]
    parameters = list(layer.parameters().values())
    forward, backward = sum(row.forward or 0 for row in leaves), sum(row.backward for row in leaves)
    outputs = _kib(sum(row.bytes for row in leaves))
    total = (
        "Total",
        "",
        f"{sum(math.prod(each.shape) for each in parameters):,}",
        f"{forward:,}",
        f"{backward:,}",
        outputs,
    )
    memory = _kib(sum(_bytes(each) for each in parameters))
    closing = (
        f"multiply-adds forward + backward: {forward + backward:,}; "
        f"memory of parameters: {memory} KiB, of outputs: {outputs} KiB an item"
    )
    return columns(_HEADER, [row.cells() for row in rows], total, left=(0, 1)) + "\n" + closing


def _rows(root: Layer, input_shape: Shape) -> list[_Row]:
    rows: list[_Row] = []
    waiting: dict[int, Array] = {}  # arrays that depend on something trained, by identity
    counted: set[int] = set()  # layers that have run

    def run(name: str, layer: Layer, x: Array, depth: int) -> Array:
        row = _Row("  " * depth + f"{name} {type(layer).__name__}".strip())
        rows.append(row)
        trained = bool(layer.parameters())
        needs_dx = id(x) in waiting
        if isinstance(layer, Container):
            y = layer.run_children(x, lambda name, child, x: located(name, run, name, child, x, depth + 1))
        else:
            y = layer(x)
            number = f"{sum(math.prod(each.shape) for each in layer.parameters().values()):,}"
            row.parameters = f"({number})" if trained and id(layer) in counted else number
            row.forward = layer.multiply_adds(tuple(x.shape[1:]), tuple(y.shape[1:]))
            row.backward = row.forward * (trained + needs_dx)  # (1)
            row.bytes = _bytes(y)
            counted.add(id(layer))
        row.output = tuple(y.shape[1:])
        if trained or needs_dx:
            waiting[id(y)] = y
        return y

    run("", root, root.zeros(input_shape), 0)
    return rows


def _checked(input_shape: Shape) -> Shape:
    if not isinstance(input_shape, (tuple, list)):
        raise OptionError("summary", "input_shape: one item's axes, such as (28, 28, 1)", repr(input_shape))
    return tuple(as_count("summary", "each axis of input_shape", size) for size in input_shape)


def _bytes(array: Array) -> int:
    xp = array_namespace(array)
    return math.prod(array.shape) * int(xp.finfo(array.dtype).bits) // 8


def _kib(size: int) -> str:
    return f"{size / 1024:,.1f}"
