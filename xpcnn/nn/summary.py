"""The costs of a network: a table of its layers.

Multiply-adds. A layer with M of them in forward has in backward

    M for its parameters' gradients, if it has parameters, and
    M for its input's gradient, if a layer before it is trained and needs it.                       (1)

That is 2·M for a convolution, M for a layer without parameters, and M for the first trained layer, whose dx
is not needed. All numbers are for one item of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..backend import array_namespace
from ..errors import OptionError, ShapeError
from ..options import as_count
from ..table import Table, columns
from ..typing import Array, Shape

_HEADER = ("Layer", "Output", "Parameters", "Trained", "Forward", "Backward", "Output KiB")
_TRAINED = 3  # the column that is there only if some parameters are frozen


@dataclass
class Row:
    """One run of one layer. A container's row has no costs, because its layers have their own rows."""

    name: str
    output: Shape = ()
    parameters: str = ""
    trained: str = ""
    forward: int | None = None  # multiply-adds; None for a container
    backward: int = 0
    bytes: int = 0

    def cells(self) -> tuple[str, ...]:
        output = str(self.output)
        if self.forward is None:
            return self.name, output, "", "", "", "", ""
        costs = f"{self.forward:,}", f"{self.backward:,}", _kib(self.bytes)
        return self.name, output, self.parameters, self.trained, *costs


class Summary:
    """The rows of a network's table, in the order in which its layers run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._waiting: dict[int, Array] = {}  # arrays that depend on trained parameters, by identity
        self._counted: set[int] = set()  # layers that have run

    def begin(self, name: str, kind: str, depth: int) -> Row:
        """Add the row of a layer that is about to run; the layers within it follow, indented by one step."""
        row = Row("  " * depth + f"{name} {kind}".strip())
        self.rows.append(row)
        return row

    def end(self, row: Row, x: Array, y: Array, *, trained: bool) -> None:
        """Record that the row's layer computed y from x; `trained` is True if it has parameters."""
        row.output = item_shape(y)
        if trained or self._waits(x):
            self._waiting |= {id(each): each for each in (*several(y), y)}

    def count(
        self, row: Row, key: int, x: Array, y: Array, parameters: Iterable[Array], trained: int, multiply_adds: int
    ) -> None:
        """Write the costs of a layer into its row.

        Parameters
            key : the same for each run of one layer; from the second run on, its parameters are in brackets
            parameters, trained : all of them, and how many numbers in them are trained
            multiply_adds : of forward, for one item
        """
        numbers = sum(math.prod(each.shape) for each in parameters)
        again = numbers and key in self._counted
        row.parameters, row.trained = (f"({n:,})" if again else f"{n:,}" for n in (numbers, trained))
        row.forward = multiply_adds
        row.backward = multiply_adds * (bool(trained) + self._waits(x))  # (1)
        row.bytes = sum(map(_bytes, several(y)))
        self._counted.add(key)

    def _waits(self, x: Any) -> bool:
        return any(id(each) in self._waiting for each in several(x))

    def table(self, parameters: Iterable[Array], trained: int) -> Table:
        """The rows and their sums.

        Parameters
            parameters, trained : of the whole network, each once, and how many numbers in them are trained
        """
        arrays = list(parameters)
        costs = [row for row in self.rows if row.forward is not None]
        forward, backward = sum(row.forward or 0 for row in costs), sum(row.backward for row in costs)
        outputs = _kib(sum(row.bytes for row in costs))
        number = sum(math.prod(each.shape) for each in arrays)
        total = ("Total", "", f"{number:,}", f"{trained:,}", f"{forward:,}", f"{backward:,}", outputs)
        rows: list[tuple[str, ...]] = [_HEADER, total, *(row.cells() for row in self.rows)]
        if trained == number:
            rows = [(*row[:_TRAINED], *row[_TRAINED + 1 :]) for row in rows]
        memory = _kib(sum(_bytes(each) for each in arrays))
        closing = (
            f"multiply-adds forward + backward: {forward + backward:,}; "
            f"memory of parameters: {memory} KiB, of outputs: {outputs} KiB an item"
        )
        return columns(rows[0], rows[2:], rows[1], left=(0, 1)).and_line(closing)


def as_input_shape(input_shape: Shape, who: str = "summary") -> Shape:
    """Check that one item's axes, or those of each input, are integers ≥ 1, else raise an OptionError; return them."""
    if isinstance(input_shape, (tuple, list)) and input_shape and isinstance(input_shape[0], (tuple, list)):
        return tuple(as_input_shape(each, who) for each in input_shape)
    if getattr(input_shape, "ndim", 0) == 1:  # an array
        input_shape = tuple(input_shape)
    if not isinstance(input_shape, (tuple, list)):
        raise OptionError(who, "input_shape: one item's axes, such as (28, 28, 1)", repr(input_shape))
    return tuple(as_count(who, "each axis of input_shape", size) for size in input_shape)


@contextmanager
def speaking_of(input_shape: Any) -> Iterator[None]:
    """A block that runs a network on an item of that shape: an error about a missing axis speaks of the shape."""
    try:
        yield
    except ShapeError as error:
        if error.got == str((1, *input_shape)) and error.remedy.startswith("add the batch axis"):
            error.expected = error.expected.replace("input (N, ", "input_shape (")
            error.got, error.remedy = str(tuple(input_shape)), "pass all axes of an item, the channels last"
        raise


def several(value: Any) -> tuple[Array, ...]:
    """The arrays of a value, which is an array, a tuple of arrays, or arrays by name."""
    if isinstance(value, Mapping):
        return several(tuple(value.values()))
    return tuple(array for each in value for array in several(each)) if isinstance(value, tuple | list) else (value,)


def item_shape(value: Any) -> Shape:
    """The shape of one item, without the batch axis; for several arrays, a tuple of shapes."""
    if isinstance(value, tuple | list):
        return tuple(item_shape(each) for each in value)  # type: ignore[misc]
    return tuple(value.shape[1:])


def _bytes(array: Array) -> int:
    xp = array_namespace(array)
    return math.prod(array.shape) * int(xp.finfo(array.dtype).bits) // 8


def _kib(size: int) -> str:
    return f"{size / 1024:,.1f}"
