"""ONNX files to networks."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ...errors import FormatError, OptionError, XpcnnError
from ...io.model_file import SavedModel
from ...options import as_choice, as_path, as_shape
from ...typing import NDArray, Shape
from . import fused_patterns, reshaping, windows  # noqa: F401  register their readers
from .constants import fold
from .file import Contents, Input, Node, read_file
from .graph_state import MOST_NUMBERS, GraphState
from .layers import to_channels_first
from .network import assemble
from .operators import READERS
from .refusal import refusal
from .value import Known, Made, Value, channels_first


def import_onnx(
    path: str | os.PathLike[str],
    *,
    input_shape: Iterable[Any] | Mapping[str, Any] | None = None,
    layout: Literal["NCHW", "NHWC"] | None = None,
    output: str | None = None,
) -> SavedModel:
    """Read a network from an ONNX file; it runs and trains like any other. Files from strangers are safe to open.

    The network is channels last, whatever the file is: it takes images (N, H, W, C), and its weights have their axes
    and columns reordered, so that it gives what the graph gives. Layers that share weights in the file get their own.
    A file in which dropout and batch norm have been left out or merged with convolutions, as most exporters do, gives
    a network without them; where they are there, it has them, with their running statistics.

    A chain of layers is a `Sequential`, everything else a `Graph`, whose entries have the names of the file's nodes.
    Weights may lie in a second file in the same folder, as PyTorch writes them. Of several inputs, all of the same
    type and each with the batch as its first axis, the network takes those that the wanted outputs depend on.

    Parameters
        input_shape : an item's shape (H, W, C), where the file leaves it open; of several inputs, a shape or None for
            each in the order of the file, or a mapping by name
        layout : which axis of the graph's inputs has the channels; None for what `export_onnx` has noted, else for
            the last if the graph begins by bringing it to the front, else for the first
        output : name of the one output that is wanted, or of any other value in the graph; None for all outputs
    Returns
        the network, its input's shape, and the classes if `export_onnx` has written any; `extra` names the program
        that made the file
    Raises
        FormatError : the file is damaged, or holds an operator or structure that no layers of `xpcnn.nn` stand for
        FileError : it is missing or cannot be read
        OptionError : input_shape is missing, or is not the file's; there is no such output
        MissingExtraError : onnx is not installed

    >>> import tempfile
    >>> from xpcnn import models
    >>> from xpcnn.exchange import export_onnx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx(models.mlp((8, 8, 1), 3), folder + "/model.onnx", input_shape=(8, 8, 1), classes="abc")
    ...     saved = import_onnx(folder + "/model.onnx")
    >>> saved.input_shape, saved.classes
    ((8, 8, 1), ('a', 'b', 'c'))
    >>> saved.model
    Sequential(
      (0) Flatten()
      (1) Linear(in_features=64, out_features=128, bias=True)
      (2) ReLU()
      (3) Linear(in_features=128, out_features=3, bias=True)
    )
    """
    path = as_path("import_onnx", path)
    contents = read_file(path)
    who = str(path)
    inputs = _inputs(who, contents, input_shape, layout)
    targets = contents.outputs if output is None else (output,)
    state = _read(GraphState(contents), inputs, targets)
    if state.wanted:
        state = _read(GraphState(contents, state.wanted), inputs, targets)
    if output is not None and output not in state.known:
        raise OptionError(who, f"output: {', '.join(contents.outputs)[:200]}, or another value", repr(output))
    if error := refusal(state, targets, fused_patterns.PARTS):
        raise error
    targets = tuple(state.in_graph_order(name) for name in targets)
    ends = [_end(who, state.known.get(name)) for name in targets]
    classes = contents.classes if len(ends) == 1 and len(contents.classes) == ends[0].shape[-1] else ()
    model, read = assemble(state, targets)
    shapes: Any = [inputs[name].shape for name in read]
    shape = shapes[0] if len(read) == 1 else tuple(shapes)
    return SavedModel(model, shape, classes, {"producer": contents.producer})


def _end(who: str, known: Known | None) -> Value:
    """The value, if it can be an output."""
    if not isinstance(known, Made) or known.value.image is not None:
        got = "an image's numbers in another order" if isinstance(known, Made) else "another"
        raise FormatError(who, "an output in rows or images", got)
    if known.value.axes not in _orders(len(known.value.shape)):
        expected = "an output with its channels first or last, and height before width"
        raise FormatError(who, expected, "another order", "leave out the last Transpose")
    return known.value


def _read(state: GraphState, inputs: Mapping[str, Value], targets: Iterable[str]) -> GraphState:
    """The state, once it knows what all nodes make of these inputs."""
    state.known.update({name: Made(value, ()) for name, value in inputs.items()})
    _run(state, state.contents.nodes)
    for name in targets:
        state.settle(name)
    return state


def _run(state: GraphState, nodes: Iterable[Node]) -> None:
    """Find out what each node makes; of an `If` whose condition is known, the nodes that would run."""
    for node in nodes:
        state.announce(node)
        condition = state.constant(node.inputs[0], node.where) if node.operator == "If" and node.inputs else None
        if condition is None or condition.size != 1:
            state.define(node, _understand(node, state))
            continue
        inner, tensors, outputs = node.branch("then_branch" if condition.reshape(()) else "else_branch")
        state.enter(node, tensors)
        _run(state, inner)
        for name, made in zip(node.outputs, outputs, strict=True):
            state.stand_for(name, made, node)


def _understand(node: Node, state: GraphState) -> Known | list[Made] | NDArray:
    """What the node makes; an error, if it is no layer by itself."""
    try:
        result: Known | list[Made] | NDArray | None = fold(node, state)
        if result is None:
            if node.operator not in READERS:
                raise node.refuse("an operator that layers of xpcnn.nn stand for", node.operator)
            result = READERS[node.operator](node, state)
        if node.unread():
            raise node.refuse("known attributes", ", ".join(node.unread()))
        return result
    except FormatError as error:
        return error
    except (XpcnnError, ValueError, TypeError, ArithmeticError, LookupError) as error:
        return node.refuse("inputs and attributes that fit together", str(error))


def _orders(rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of items in the graph: channels last, and channels first."""
    return tuple(range(rank)), channels_first(rank)


def _inputs(who: str, contents: Contents, input_shape: Any, layout: str | None) -> dict[str, Value]:
    """The inputs as the network will have them, by name."""
    if layout is not None:
        as_choice("import_onnx", "layout", layout, ("NCHW", "NHWC"))
    names = [each.name for each in contents.inputs]
    if input_shape is None or isinstance(input_shape, Mapping):
        input_shape = input_shape or {}
    elif len(names) == 1:
        input_shape = {names[0]: input_shape}
    elif isinstance(input_shape, tuple | list) and len(input_shape) == len(names):
        input_shape = dict(zip(names, input_shape, strict=True))
    else:
        raise OptionError(who, f"input_shape: one each of {', '.join(names)[:200]}", repr(input_shape)[:80])
    if unknown := [str(name) for name in input_shape if name not in names]:
        raise OptionError(who, f"input_shape of {', '.join(names)[:200]}", unknown[0][:80])
    return {each.name: _input(who, contents, each, input_shape.get(each.name), layout) for each in contents.inputs}


def _input(who: str, contents: Contents, given: Input, input_shape: Iterable[int] | None, layout: str | None) -> Value:
    """The input as the network will have it."""
    who = who if len(contents.inputs) == 1 else f"{who}: input {given.name[:80]}"
    sizes = given.sizes[1:]
    rank = len(sizes)
    if layout is None and contents.layout in ("NCHW", "NHWC"):
        layout = contents.layout
    if layout is None:
        turned = next((node for node in contents.nodes if given.name in node.inputs), None)
        perm = turned.integers("perm", ()) if turned is not None and turned.operator == "Transpose" else ()
        layout = "NHWC" if rank > 1 and perm == to_channels_first(rank) else "NCHW"
    last, first = _orders(rank)
    axes = last if layout == "NHWC" else first
    stated: dict[int, int | None] = dict(zip(axes, sizes, strict=True))
    if input_shape is not None:
        said = as_shape("import_onnx", input_shape)
        if len(said) != rank or any(stated[axis] not in (None, size) for axis, size in enumerate(said)):
            expected = tuple(stated[axis] or "any" for axis in range(rank))
            raise OptionError(who, f"input_shape {expected}".replace("'", ""), str(said))
        stated = dict(enumerate(said))
    shape: Shape = tuple(stated[axis] or 0 for axis in range(rank))
    if not all(shape):
        raise OptionError(who, "input_shape, which the file leaves open", "none", "pass it, such as (32, 32, 3)")
    if math.prod(shape) > MOST_NUMBERS:
        raise FormatError(who, f"an input of at most {MOST_NUMBERS} numbers", str(shape))
    return Value(shape, axes)
