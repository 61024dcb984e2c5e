"""Arithmetic with shapes: what exporters write as nodes although it is known.

A shape is an integer array whose first number, the batch's, is −1, which `Reshape` takes for any. Weights may change
their axes here, too, but no array of them is made larger.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...typing import NDArray
from .file import Node
from .graph_state import GraphState

MOST_NUMBERS = 4096  # of an array that is computed
MOST_WEIGHTS = 2**28  # of one that holds the same number everywhere
_CAST = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}


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
    if node.operator not in _FOLDERS or not given or not all(state.is_constant(name) for name in given):
        return None
    result = _FOLDERS[node.operator](node, state, state.required(node, 0))
    if result.dtype.kind == "f":
        views = any(np.may_share_memory(result, state.required(node, number)) for number in range(len(given)))
        state.charge(node, 0 if views or not any(result.strides) else result.nbytes)
    elif result.size > MOST_NUMBERS:
        raise node.refuse(f"at most {MOST_NUMBERS} integers", str(result.size))
    return result


def axes_of(node: Node, state: GraphState) -> tuple[int, ...] | None:
    """The attribute axes, which is an input in newer opsets; None where there is neither."""
    given = state.optional(node, 1)
    if given is not None:
        return tuple(int(axis) for axis in given.ravel())
    return node.integers("axes", ()) if node.has("axes") else None


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
    shape = known.shape if known is not None else (-1, *state.sizes(node))
    end = node.integer("end", len(shape))
    return np.asarray(shape[node.integer("start", 0) : end], np.int64)


def _gather(node: Node, state: GraphState, array: NDArray) -> NDArray:
    indices = state.required(node, 1)
    if array.dtype.kind == "f" or indices.size * array.size > MOST_NUMBERS:
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
    if sum(array.size for array in arrays) > MOST_NUMBERS:
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


def _reshape(node: Node, state: GraphState, array: NDArray) -> NDArray:
    sizes = [int(size) for size in state.required(node, 1)]
    if node.integer("allowzero", 0) == 0:
        sizes = [array.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return array.reshape(sizes)


def _squeeze(node: Node, state: GraphState, array: NDArray) -> NDArray:
    return np.squeeze(array, axes_of(node, state))


def _unsqueeze(node: Node, state: GraphState, array: NDArray) -> NDArray:
    return np.expand_dims(array, axes_of(node, state) or ())


def _transpose(node: Node, state: GraphState, array: NDArray) -> NDArray:
    return np.transpose(array, node.integers("perm", tuple(reversed(range(array.ndim)))))


def _add(node: Node, state: GraphState, first: NDArray) -> NDArray:
    return np.asarray(first + _other_integers(node, state, first))


def _of_sizes(node: Node, state: GraphState, first: NDArray) -> NDArray:
    """A difference, product or quotient of sizes that are known, which that of the batch is not."""
    second = _other_integers(node, state, first)
    if np.any(first < 0) or np.any(second < (1 if node.operator == "Div" else 0)):
        raise node.refuse("sizes that do not depend on the batch's", "another")
    return np.asarray({"Sub": np.subtract, "Mul": np.multiply, "Div": np.floor_divide}[node.operator](first, second))


def _equal(node: Node, state: GraphState, first: NDArray) -> NDArray:
    second = _other_integers(node, state, first)
    if np.any(first < 0) or np.any(second < 0):  # −1 stands for the batch's size
        raise node.refuse("sizes that do not depend on the batch's", "another")
    return np.asarray(first == second)


def _mod(node: Node, state: GraphState, first: NDArray) -> NDArray:
    second = _other_integers(node, state, first)
    if node.integer("fmod", 0) or not np.all(second):
        raise node.refuse("fmod 0, and no division by 0", "another")
    return np.asarray(first % second)


def _other_integers(node: Node, state: GraphState, first: NDArray) -> NDArray:
    second = state.required(node, 1)
    if "f" in (first.dtype.kind, second.dtype.kind) or first.size * second.size > MOST_NUMBERS:
        raise node.refuse("a few integers", f"{first.dtype} {first.shape} and {second.dtype} {second.shape}")
    return second


def _cast(node: Node, state: GraphState, array: NDArray) -> NDArray:
    node.ignore("saturate", "round_mode")
    to = node.integer("to", 1)
    if to not in _CAST or (array.dtype.kind == "f" and not np.all(np.isfinite(array))):
        raise node.refuse("finite numbers, to an integer or floating type", f"type {to}")
    return array.astype(_CAST[to])


_FOLDERS: dict[str, Callable[[Node, GraphState, NDArray], NDArray]] = {
    "Add": _add,
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Div": _of_sizes,
    "Equal": _equal,
    "Gather": _gather,
    "Identity": lambda node, state, array: array,
    "Mod": _mod,
    "Mul": _of_sizes,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _of_sizes,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
