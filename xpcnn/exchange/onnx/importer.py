"""ONNX files to networks."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import chain
from typing import Any, Literal

from ...errors import FormatError, OptionError, XpcnnError
from ...io.model_file import SavedModel
from ...options import as_choice, as_path, as_shape
from ...typing import NDArray, Shape
from . import activations, fused_patterns, moving, normalization, pooling, resizing  # noqa: F401  register readers
from .constants import fold
from .file import Contents, Node, read_file
from .graph_state import MOST_NUMBERS, GraphState
from .layers import to_channels_first
from .network import assemble
from .operators import READERS
from .refusal import refusal
from .value import Known, Made, Value


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
        output : name of the one output that is wanted, or of any other value in the graph, as programs that show the
            file's graph list them; None for all outputs
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
    begin = _inputs(who, contents, input_shape, layout)
    targets = contents.outputs if output is None else (output,)
    state = GraphState(contents)
    state.known.update({name: Made(value, ()) for name, value in begin.items()})
    _run(state, contents.nodes)
    if output is not None and output not in state.known:
        near = get_close_matches(output, filter(state.producer, state.known), 3, 0.5)
        expected = f"output: {', '.join(dict.fromkeys((*near, *contents.outputs)))[:200]}, or another value"
        raise OptionError(who, expected, repr(output)[:100])
    if error := refusal(state, targets, fused_patterns.PARTS):
        raise error
    wide = [value for value in begin.values() if len(value.shape) > 1]
    last = bool(wide) and all(value == Value.plain(value.shape, range(len(value.shape))) for value in wide)
    targets = tuple(_end(who, state, name, last) for name in targets)
    end = state.known[targets[0]]
    fits = len(targets) == 1 and isinstance(end, Made) and len(contents.classes) == end.value.shape[-1]
    classes = contents.classes if fits else ()
    model, read = assemble(state, targets)
    shapes: Any = tuple(begin[name].shape for name in read)
    return SavedModel(model, shapes if len(read) > 1 else shapes[0], classes, {"producer": contents.producer})


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


def _end(who: str, state: GraphState, name: str, last: bool) -> str:
    """The name of the value as an output: in the order of the inputs; or as the graph has it, where that is last.

    So are images after a last Transpose, and sequences (N, L, C) whose array has these axes.
    """
    known = state.known.get(name)
    if not isinstance(known, Made) or not known.value.axes:
        raise FormatError(who, "an output with an axis besides the batch's", "another")
    value, axes = known.value, range(len(known.value.axes))
    own, other = [*axes], [*axes[1:], 0]
    own, other = (own, other) if last else (other, own)
    kept, turned = ([value.axes[axis] for axis in order] for order in (other, own))
    in_place = [*chain(*kept)] == [*range(len(value.parts))] != [*chain(*turned)]
    if in_place and (len(axes) == 2 or (not value.moved and tuple(kept) == value.own)):
        own = other
    return state.arranged(name, [value.axes[axis] for axis in own])[0]


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


def _inputs(who: str, contents: Contents, input_shape: Any, layout: str | None) -> dict[str, Value]:
    """The inputs as the network will have them, by name."""
    if layout is not None:
        as_choice("import_onnx", "layout", layout, ("NCHW", "NHWC"))
    names = list(contents.inputs)
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
    return {name: _input(who, contents, name, input_shape.get(name), layout) for name in names}


def _input(who: str, contents: Contents, name: str, input_shape: Iterable[int] | None, layout: str | None) -> Value:
    """That input as the network will have it."""
    who = who if len(contents.inputs) == 1 else f"{who}: input {name[:80]}"
    sizes = contents.inputs[name][1:]
    rank = len(sizes)
    if layout is None and contents.layout in ("NCHW", "NHWC"):
        layout = contents.layout
    if layout is None:
        turned = next((node for node in contents.nodes if name in node.inputs), None)
        perm = turned.integers("perm", ()) if turned is not None and turned.operator == "Transpose" else ()
        layout = "NHWC" if rank > 1 and perm == to_channels_first(rank) else "NCHW"
    axes = range(rank) if layout == "NHWC" else (rank - 1, *range(rank - 1))
    stated: dict[int, int | None] = dict(zip(axes, sizes, strict=True))
    if input_shape is not None:
        given = as_shape("import_onnx", input_shape)
        if len(given) != rank or any(stated[axis] not in (None, size) for axis, size in enumerate(given)):
            expected = tuple(stated[axis] or "any" for axis in range(rank))
            raise OptionError(who, f"input_shape {expected}".replace("'", ""), str(given))
        stated = dict(enumerate(given))
    shape: Shape = tuple(stated[axis] or 0 for axis in range(rank))
    if not all(shape):
        raise OptionError(who, "input_shape, which the file leaves open", "none", "pass it, such as (32, 32, 3)")
    if math.prod(shape) > MOST_NUMBERS:
        raise FormatError(who, f"an input of at most {MOST_NUMBERS} numbers", str(shape))
    return Value.plain(shape, tuple(axes))
