"""Checks of the arguments of operations; each raises an error of one clear line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backend import array_namespace, dtype_name
from ..errors import DTypeError, OptionError, ShapeError
from ..typing import Array

_FLOATS = ("float32", "float64", "complex64", "complex128")
_NUMPY_FLOATS = frozenset(map(np.dtype, _FLOATS))


def check_floats(who: str, *arrays: Array | None) -> Any:
    """Check that all arrays have the same floating dtype; return their namespace. None is skipped, except as the first.

    Complex numbers pass: linear and smooth operations work on them, and complex-step derivatives need them.
    """
    first = arrays[0]
    if first is None:
        raise DTypeError(who, "an array", "None", "pass an array, such as xpcnn.asarray(x)")
    if type(first) is np.ndarray and first.dtype in _NUMPY_FLOATS:  # the usual case, in fewer steps
        for array in arrays:
            if array is not None and not (type(array) is np.ndarray and array.dtype == first.dtype):
                break
        else:
            return np
    check_array(who, *arrays)
    xp = array_namespace(*arrays)
    if dtype_name(first) not in _FLOATS:
        remedy = "xpcnn.asarray(x, dtype='float32'), and for images of 0 … 255 also / 255"
        raise DTypeError(who, "float32 or float64", dtype_name(first), remedy)
    for array in arrays:
        if array is not None and array.dtype != first.dtype:
            raise DTypeError(
                who,
                "arrays of one dtype",
                f"{dtype_name(first)} and {dtype_name(array)}",
                f"xpcnn.asarray(x, dtype='{dtype_name(array)}'), or layer.astype('{dtype_name(first)}')",
            )
    return xp


def check_batch(who: str, x: Array, *axes: int | str) -> None:
    """Refuse `x` unless it is a batch (N ≥ 1) followed by these axes; a name stands for any size ≥ 1."""
    check_array(who, x)
    fits = x.ndim == len(axes) + 1
    for size, axis in zip(x.shape[1:], axes, strict=False):
        if size != axis and not isinstance(axis, str):
            fits = False
    if not fits:
        expected = "(" + ", ".join(["N", *map(str, axes)]) + ")"
        if len(axes) in (2, 3) and x.ndim == len(axes) + 1 and x.shape[1] == axes[-1]:
            remedy = f"{'images' if x.ndim == 4 else 'sequences'} are channels last: move axis 1 to the end"
        elif x.ndim == len(axes):
            remedy = "add the batch axis: x[None, ...]"
        elif len(axes) == 1 and x.ndim > 2:
            remedy = _one_row(x, axes[0])
        elif isinstance(axes[-1], int) and x.ndim == len(axes) + 1:
            remedy = f"build the layer for {x.shape[-1]}, or convert the input"
        else:
            remedy = "reshape the input"
        raise ShapeError(who, f"input {expected}", str(tuple(x.shape)), remedy)
    if 0 in x.shape:
        raise ShapeError(who, "at least one item along every axis", str(tuple(x.shape)), "skip empty batches")


def _one_row(x: Array, axis: int | str) -> str:
    """The remedy for (N, …, D) where (N, `axis`) is expected."""
    numbers = math.prod(x.shape[1:])
    return "put Flatten() before" + ("" if numbers == axis else f", and build the layer for {numbers}")


def check_items(who: str, x: Array, *others: Array | None) -> Any:
    """Check that x is a batch (N ≥ 1) of items of any shape, of the others' floating dtype; return the namespace."""
    check_array(who, x)
    check_batch(who, x, *x.shape[1:])
    return check_floats(who, x, *others)


def check_gradient(who: str, dy: Array, shape: tuple[int, ...], *others: Array | None) -> Any:
    """Check that dy has the shape of forward's output, and the others' floating dtype; return the namespace."""
    xp = check_floats(f"{who} backward", dy, *others)
    if tuple(dy.shape) != tuple(shape):
        raise ShapeError(
            f"{who} backward",
            f"dy {tuple(shape)}, as forward's output",
            str(tuple(dy.shape)),
            "pass the cache of the same forward call",
        )
    return xp


def check_cache(who: str, cache: Any, fits: bool) -> None:
    """Refuse a cache that does not fit what its forward returns."""
    if not fits:
        got = f"{type(cache).__name__} of {len(cache)}" if isinstance(cache, (tuple, list)) else type(cache).__name__
        remedy = "y, cache = its own forward(…), and then backward(dy, cache); of a loss, backward(cache)"
        raise OptionError(f"{who} backward", "the cache that this object's forward returned", got, remedy)


def check_array(who: str, *arrays: Array | None) -> None:
    """Refuse values that are no arrays, and the kinds of NumPy array for which * and @ mean something else.

    None is skipped, except as the first.
    """
    for number, x in enumerate(arrays):
        if type(x) is np.ndarray or (x is None and number):
            continue
        if not hasattr(x, "ndim") or not hasattr(x, "dtype") or isinstance(x, (np.matrix, np.ma.MaskedArray)):
            raise DTypeError(who, "an array", type(x).__name__, "convert it: xpcnn.asarray(x)")
