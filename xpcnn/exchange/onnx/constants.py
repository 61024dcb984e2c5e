"""Arithmetic with shapes: what exporters write as nodes although it is known.

A shape is an integer array whose first number, the batch's, is −1, which `Reshape` takes for any. Weights may change
their axes here, too, but no array of them is made larger.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...typing import NDArray
from .file import Node
from .graph_state import GraphState

MOST_COMPUTED = 2**16  # numbers of an array
MOST_WEIGHTS = 2**28  # of one that holds the same number everywhere
_CAST = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}
_ARITHMETIC: dict[str, Any] = {
    "Add": np.add,
    "Div": np.floor_divide,
    "Mod": np.remainder,
    "Mul": np.multiply,
    "Sub": np.subtract,
}


def fold(node: Node, state: GraphState) -> NDArray | None:
    """The node's result, if it depends on constants alone, or is a shape; else None.

    Raises
        FormatError : it cannot be computed
    """
    if node.operator == "Constant":
        return _constant(node)
    if node.operator == "Shape":
        return _shape(node, state)
    given = [name for name in node.inputs if name]
    if node.operator == "CastLike":
        given = given[:1]
    if node.operator not in _FOLDERS or not given or not all(state.is_constant(name) for name in given):
        return None
    result = np.asarray(_FOLDERS[node.operator](node, state, state.required(node, 0)))
    if result.dtype.kind == "f":
        views = any(np.may_share_memory(result, state.required(node, number)) for number in range(len(given)))
        state.charge(node, 0 if views or not any(result.strides) else result.nbytes)
    elif result.size > MOST_COMPUTED:
        raise node.refuse(f"at most {MOST_COMPUTED} integers", str(result.size))
    return result


def _constant(node: Node) -> NDArray:
    array = node.tensor("value")
    if array is not None:
        return array
    if node.has("value_int"):
        return np.asarray(node.integer("value_int", 0))
    if node.has("value_ints"):
        return np.asarray(node.integers("value_ints", ()), np.int64)
    return np.asarray(node.number("value_float", 0.0), np.float32)


def _shape(node: Node, state: GraphState) -> NDArray:
    known = state.constant(node.inputs[0], node.where) if node.inputs else None
    shape = known.shape if known is not None else (-1, *state.value(node).sizes)
    end = node.integer("end", len(shape))
    return np.asarray(shape[node.integer("start", 0) : end], np.int64)


def _gather(node: Node, state: GraphState, array: NDArray) -> NDArray:
    indices = state.required(node, 1)
    if array.dtype.kind == "f" or indices.size * array.size > MOST_COMPUTED:
        raise node.refuse("a few integers", f"{array.dtype} {array.shape}")
    return np.asarray(np.take(array, indices, axis=node.integer("axis", 0)))


def _slice(node: Node, state: GraphState, array: NDArray) -> NDArray:
    starts, ends = (state.required(node, number).tolist() for number in (1, 2))
    axes, steps = (state.optional(node, number) for number in (3, 4))
    at = [slice(None)] * array.ndim
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        step = 1 if steps is None else int(steps[i])
        at[i if axes is None else int(axes[i])] = slice(start, end, step)
    return array[tuple(at)]


def _concat(node: Node, state: GraphState, first: NDArray) -> NDArray:
    arrays = [state.required(node, number) for number in range(len(node.inputs))]
    if sum(array.size for array in arrays) > MOST_COMPUTED:
        raise node.refuse("a few numbers", f"{len(arrays)} arrays of {first.dtype}")
    return np.concatenate(arrays, axis=node.integer("axis", 0))


def _constant_of_shape(node: Node, state: GraphState, shape: NDArray) -> NDArray:
    """One number, that stands for all: weights may be written so, as large as they like."""
    value = node.tensor("value")
    sizes = [int(size) for size in shape.ravel()]
    if len(sizes) > 8 or min(sizes, default=0) < 0 or math.prod(sizes) > MOST_WEIGHTS:
        raise node.refuse(f"at most {MOST_WEIGHTS} numbers", f"sizes {sizes[:8]}")
    number = np.zeros((), "float32") if value is None else value.reshape(())
    return np.broadcast_to(number, sizes)


def _expand(node: Node, state: GraphState, array: NDArray) -> NDArray:
    sizes = [int(size) for size in state.required(node, 1).ravel()]
    shape = np.broadcast_shapes(array.shape, tuple(max(size, 0) for size in sizes))
    if len(shape) > 8 or min(sizes, default=0) < 0 or math.prod(shape) > MOST_WEIGHTS:
        raise node.refuse(f"at most {MOST_WEIGHTS} numbers", f"sizes {sizes[:8]}")
    return np.broadcast_to(array, shape)


def _reshape(node: Node, state: GraphState, array: NDArray) -> NDArray:
    sizes = [int(size) for size in state.required(node, 1)]
    if node.integer("allowzero", 0) == 0:
        sizes = [array.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return array.reshape(sizes)


def _flatten(node: Node, state: GraphState, array: NDArray) -> NDArray:
    axis = node.integer("axis", 1)
    return array.reshape(int(np.prod(array.shape[:axis])), -1)


def _arithmetic(node: Node, state: GraphState, first: NDArray) -> NDArray:
    """Of integers; or of two numbers. A size may be added to any, but the batch's is not known."""
    second, operator = state.required(node, 1), node.operator
    if first.dtype.kind == second.dtype.kind == "f" and first.size * second.size <= MOST_COMPUTED:
        return np.asarray((np.true_divide if operator == "Div" else _ARITHMETIC[operator])(first, second))
    if "f" in (first.dtype.kind, second.dtype.kind) or first.size * second.size > MOST_COMPUTED:
        raise node.refuse("a few integers", f"{first.dtype} {first.shape} and {second.dtype} {second.shape}")
    if operator == "Mod" and (node.integer("fmod", 0) or not np.all(second)):
        raise node.refuse("fmod 0, and no division by 0", "another")
    if operator in ("Sub", "Mul", "Div") and (np.any(first < 0) or np.any(second < (operator == "Div"))):
        raise node.refuse("sizes that do not depend on the batch's", "another")
    return np.asarray(_ARITHMETIC[operator](first, second))


def _equal(node: Node, state: GraphState, first: NDArray) -> NDArray:
    second = state.required(node, 1)
    if "f" in (first.dtype.kind, second.dtype.kind) or first.size * second.size > MOST_COMPUTED:
        raise node.refuse("a few integers", f"{first.dtype} {first.shape} and {second.dtype} {second.shape}")
    if np.any(first < 0) or np.any(second < 0):  # −1 stands for the batch's size
        raise node.refuse("sizes that do not depend on the batch's", "another")
    return np.asarray(first == second)


def _range(node: Node, state: GraphState, start: NDArray) -> NDArray:
    """Numbers from one on, before another; a negative end may stand for the batch's size."""
    given = [state.required(node, number) for number in range(3)]
    if any(each.size != 1 or each.dtype != start.dtype or not np.isfinite(each).all() for each in given):
        raise node.refuse("three finite numbers of one type", "others")
    begin, end, step = (each.item() for each in given)
    if not step or end < 0:
        raise node.refuse("sizes that do not depend on the batch's, and a step", f"{end} and {step}")
    count = max(math.ceil((end - begin) / step), 0)
    if count > MOST_COMPUTED:
        raise node.refuse("a few numbers", str(count))
    return np.asarray(begin + np.arange(count) * step, start.dtype)


def _cast(node: Node, state: GraphState, array: NDArray) -> NDArray:
    node.ignore("saturate", "round_mode")
    if node.operator == "CastLike":
        like = state.constant(node.inputs[1], node.where)
        return array.astype(state.dtype if like is None else like.dtype)
    to = node.integer("to", 1)
    if to not in _CAST or (array.dtype.kind == "f" and not np.all(np.isfinite(array))):
        raise node.refuse("finite numbers, to an integer or floating type", f"type {to}")
    return array.astype(_CAST[to])


_FOLDERS: dict[str, Callable[[Node, GraphState, NDArray], Any]] = {
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    "Cast": _cast,
    "CastLike": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Equal": _equal,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": lambda node, state, array: array,
    "Neg": lambda node, state, array: -array,
    "Range": _range,
    "Reshape": _reshape,
    "Size": lambda node, state, array: array.size,
    "Slice": _slice,
    "Sqrt": lambda node, state, array: np.sqrt(array),
    "Squeeze": lambda node, state, array: np.squeeze(array, state.integers(node, 1, "axes")),
    "Transpose": lambda node, state, array: np.transpose(
        array, node.integers("perm", tuple(reversed(range(array.ndim))))
    ),
    "Unsqueeze": lambda node, state, array: np.expand_dims(array, state.integers(node, 1, "axes") or ()),
}
