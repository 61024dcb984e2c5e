"""An ONNX file from anybody, read into plain objects: nodes, weights, inputs and outputs.

Nothing in the file is run or looked up, and nothing is allocated of a size that the file only claims. No other file
is opened but one of weights, in the same folder: `external_data`.

Source: the ONNX specification, https://github.com/onnx/onnx/blob/main/docs/IR.md
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FileError, FormatError
from ...extras import need
from ...io.document import parse_json
from ...typing import NDArray, Shape
from .external_data import bring_in
from .protobuf_size import other_than_weights

MOST_BYTES = 2**30  # of a file, and of the weights of all its nodes together
MOST_OTHER = 2**24  # bytes of a file that are not weights
MOST_NODES = 10_000
MOST_ENDS = 64  # inputs, and outputs
OLDEST_OPSET = 7

# The numbers of element types and of attributes' types in ONNX's protocol buffers
_DTYPES = {1: "float32", 6: "int32", 7: "int64", 9: "bool", 11: "float64"}
_FIELDS = {"f": 1, "i": 2, "s": 3, "t": 4, "g": 5, "floats": 6, "ints": 7}


class Node:
    """An operator with its inputs, outputs and attributes.

    Parameters
        proto : the node in the file
        file : the file's name, for errors
        number : its place among the nodes
    """

    def __init__(self, proto: Any, file: str, number: int) -> None:
        names = (proto.name, proto.op_type, proto.domain, *proto.input, *proto.output)
        _check_text(file, (*names, *(attribute.name for attribute in proto.attribute)))
        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}::"
        self.operator = f"{domain}{proto.op_type}"
        self.name = _short(proto.name or f"{proto.op_type}_{number}")
        self.inputs: tuple[str, ...] = tuple(proto.input)
        self.outputs: tuple[str, ...] = tuple(proto.output)
        self.where = f"{file}: node {_short(proto.name or number)} ({_short(self.operator)})"
        self._file = file
        self._attributes = {attribute.name: attribute for attribute in proto.attribute}
        self._read: set[str] = set()

    def integer(self, name: str, default: int) -> int:
        value = self._value(name, "i")
        return default if value is None else int(value)

    def integers(self, name: str, default: Shape) -> Shape:
        value = self._value(name, "ints")
        return default if value is None else tuple(value)

    def number(self, name: str, default: float) -> float:
        value = self._value(name, "f")
        return default if value is None else float(value)

    def numbers(self, name: str) -> tuple[float, ...]:
        return tuple(self._value(name, "floats") or ())

    def text(self, name: str, default: str) -> str:
        value = self._value(name, "s")
        return default if value is None else str(value, "ascii", "replace")

    def tensor(self, name: str) -> NDArray | None:
        value = self._value(name, "t")
        return None if value is None else read_tensor(value, self.where)

    def branch(self, name: str) -> tuple[list[Node], dict[str, Any], list[str]]:
        """The nodes, constants and outputs of a graph within the graph."""
        graph = self._value(name, "g")
        if graph is None or len(graph.output) != len(self.outputs):
            raise self.refuse(f"a graph {name} with {len(self.outputs)} outputs", "another")
        _check_text(self.where, (each.name for each in (*graph.initializer, *graph.output)))
        nodes = [Node(node, self._file, number) for number, node in enumerate(graph.node)]
        return nodes, {tensor.name: tensor for tensor in graph.initializer}, [each.name for each in graph.output]

    def axis(self, axis: int, rank: int) -> int:
        """That axis of a batch of items with `rank` axes, counted from the batch's."""
        if not -rank - 1 <= axis <= rank:
            raise self.refuse(f"an axis of {rank + 1}", str(axis))
        return axis % (rank + 1)

    def item_axis(self, axis: int, rank: int) -> int:
        """That axis of a batch of items, counted from the first of an item."""
        if (own := self.axis(axis, rank)) == 0:
            raise self.refuse("an axis of items", "the batch's")
        return own - 1

    def has(self, name: str) -> bool:
        return name in self._attributes

    def ignore(self, *names: str) -> None:
        """Attributes that change nothing here."""
        self._read.update(names)

    def unread(self) -> list[str]:
        """Attributes that nobody has asked for."""
        return sorted(self._attributes.keys() - self._read)

    def refuse(self, expected: str, got: str, remedy: str = "") -> FormatError:
        return FormatError(self.where, expected, _short(got), remedy)

    def _value(self, name: str, field: str) -> Any:
        self._read.add(name)
        attribute = self._attributes.get(name)
        if attribute is None:
            return None
        if attribute.type != _FIELDS[field]:
            raise self.refuse(f"attribute {name} of type {_FIELDS[field]}", f"type {attribute.type}")
        return getattr(attribute, field)


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Parameters
        nodes : in the order of the file
        tensors : the constants, by name, as they are in the file
        inputs : by name, their sizes, the batch's first; None where the file leaves one open
        refused : inputs that no network can take, by name, with the reason
        outputs : their names
        dtype : the inputs'
        opset : the version of the operators
        classes, layout : as the file's properties have them, if `export_onnx` wrote them; or empty
        producer : the program that wrote the file
    """

    nodes: list[Node]
    tensors: dict[str, Any]
    inputs: dict[str, tuple[int | None, ...]]
    refused: dict[str, FormatError]
    outputs: tuple[str, ...]
    dtype: str
    opset: int
    classes: tuple[str, ...]
    layout: str
    producer: str

    @property
    def batch(self) -> int | None:
        """The number of items, where the file fixes it."""
        return next(iter(self.inputs.values()))[0]


def read_file(path: str | os.PathLike[str]) -> Contents:
    """The contents of an ONNX file.

    Raises
        FormatError : it is none, or one that no network can be read from
        FileError : it is missing or cannot be read
        MissingExtraError : onnx is not installed
    """
    who = str(path)
    onnx = need("onnx", "import_onnx", "for files in its format")
    try:
        size = Path(path).stat().st_size
        data = Path(path).read_bytes() if size <= MOST_BYTES else b""
    except OSError as error:
        raise FileError.unreadable(who, error) from error
    if not 0 < size <= MOST_BYTES:
        raise FormatError(who, f"an ONNX file of at most {MOST_BYTES} bytes", f"one of {size}")
    model = onnx.ModelProto()
    try:
        if size > MOST_OTHER and (other := other_than_weights(data)) > MOST_OTHER:
            raise FormatError(who, f"at most {MOST_OTHER} bytes that are not weights", str(other))
        model.ParseFromString(data)
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # whatever the parser stumbles over, the file is at fault
        raise FormatError(who, "a whole ONNX file", _short(error), "get the file again") from error
    graph = model.graph
    if not 0 < len(graph.node) <= MOST_NODES:
        raise FormatError(who, f"an ONNX graph of 1 to {MOST_NODES} nodes", str(len(graph.node)))
    opsets = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    if len(opsets) != 1 or not OLDEST_OPSET <= opsets[0] <= newest:
        got = ", ".join(map(str, opsets[:5])) or "none"
        raise FormatError(who, f"one opset, {OLDEST_OPSET} to {newest}", got, "upgrade onnx, or export it again")
    if graph.sparse_initializer:
        raise FormatError(who, "dense weights", "sparse ones")
    _check_text(who, (each.name for each in (*graph.initializer, *graph.input, *graph.output)))
    bring_in(graph.initializer, Path(path), MOST_BYTES - size)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    given = [each for each in graph.input if each.name not in tensors]
    for ends, what in ((given, "inputs"), (graph.output, "outputs")):
        if not 1 <= len({each.name for each in ends}) == len(ends) <= MOST_ENDS:
            raise FormatError(who, f"1 to {MOST_ENDS} {what}, each once", str(len(ends)))
    inputs, dtype, refused = _inputs(who, given)
    properties = {each.key: each.value for each in model.metadata_props}
    return Contents(
        [Node(node, who, number) for number, node in enumerate(graph.node)],
        tensors,
        inputs,
        refused,
        tuple(each.name for each in graph.output),
        dtype,
        opsets[0],
        _classes(properties.get("classes", "")),
        properties.get("layout", ""),
        _short(f"{model.producer_name} {model.producer_version}".strip()),
    )


def read_tensor(proto: Any, who: str) -> NDArray:
    """A constant's numbers, a view of the file's where there is one.

    Raises
        FormatError : its numbers are in another file, of another type, or not as many as its shape says
    """
    from onnx import numpy_helper

    name, dims = _short(proto.name), tuple(proto.dims)
    if proto.data_location or proto.external_data:
        raise FormatError(who, f"{name}: weights in the file itself", "a reference to another file", "save it as one")
    if proto.data_type not in _DTYPES:
        raise FormatError(who, f"{name}: " + ", ".join(_DTYPES.values()), f"element type {proto.data_type}")
    stored = max(len(getattr(proto, field)) for field in ("float_data", "int32_data", "int64_data", "double_data"))
    held = len(proto.raw_data) // np.dtype(_DTYPES[proto.data_type]).itemsize if proto.raw_data else stored
    if min(dims, default=1) < 0 or len(dims) > 8 or math.prod(dims) != held:
        raise FormatError(who, f"{name}: as many numbers as its shape says", f"{held} for {_short(dims)}")
    try:
        array: NDArray = numpy_helper.to_array(proto)
    except MemoryError:
        raise
    except Exception as error:  # whatever it stumbles over, the file is at fault
        raise FormatError(who, f"{name}: a whole tensor", _short(error)) from error
    return array


def _inputs(who: str, given: Sequence[Any]) -> tuple[dict[str, tuple[int | None, ...]], str, dict[str, FormatError]]:
    """The inputs that a network can take, of one type and with the batch first, and why it cannot take the others."""
    taken, refused = dict[str, tuple[int | None, ...]](), dict[str, FormatError]()
    dtype = ""
    for each in given:
        where = f"{who}: input {_short(each.name)}" if len(given) > 1 else who
        try:
            sizes, own = _input_type(where, each)
            first, batch = next(iter(taken.items()), (each.name, sizes))
            if (own, sizes[0]) != (dtype or own, batch[0]):
                expected = f"{dtype} ({batch[0] or 'N'}, …), as of {_short(first)}"
                raise FormatError(where, expected, f"{own} ({sizes[0] or 'N'}, …)")
            taken[each.name], dtype = sizes, own
        except FormatError as error:
            refused[each.name] = error
    if not taken:
        raise next(iter(refused.values()))
    return taken, dtype, refused


def _input_type(who: str, value: Any) -> tuple[tuple[int | None, ...], str]:
    kind = value.type.tensor_type
    dtype = _DTYPES.get(kind.elem_type, "")
    if dtype not in ("float32", "float64"):
        raise FormatError(who, "an input of float32 or float64", dtype or f"element type {kind.elem_type}")
    sizes = tuple(each.dim_value if each.HasField("dim_value") else None for each in kind.shape.dim)
    sizes = tuple(None if size == -1 else size for size in sizes)  # as Paddle writes what is open
    if not 2 <= len(sizes) <= 8 or any(size is not None and size < 1 for size in sizes):
        raise FormatError(who, "an input (N, …) of sizes ≥ 1", _short(sizes))
    return sizes, dtype


def _classes(text: str) -> tuple[str, ...]:
    """The names that `export_onnx` wrote; none where the property is something else."""
    try:
        names = parse_json(text)
    except ValueError:
        return ()
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()


def _check_text(who: str, names: Iterable[str | bytes]) -> None:
    """The parser gives bytes where a name is no UTF-8."""
    if wrong := [name for name in names if isinstance(name, bytes)]:
        raise FormatError(who, "names in UTF-8", repr(wrong[0])[:80], "get the file again")


def _short(value: object) -> str:
    """Text from a file, on one line and not too long."""
    return " ".join(str(value).split())[:120]
