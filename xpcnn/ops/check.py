"""The checks that every operation makes on what it is given, each ending in one clear line."""

from __future__ import annotations

from typing import Any

from ..backend import array_namespace, dtype_name
from ..errors import DTypeError, OptionError, ShapeError
from ..typing import Array, Pair


def check_floats(who: str, *arrays: Array | None) -> Any:
    """The arrays' namespace, once they are known to share one floating dtype (None is passed over).

    Complex numbers pass: linear and smooth operations work on them, and complex-step derivatives need them.
    """
    xp = array_namespace(*arrays)
    first = next(array for array in arrays if array is not None)
    if not xp.isdtype(first.dtype, ("real floating", "complex floating")):
        raise DTypeError(
            who, "float32 or float64", dtype_name(first), "convert it, e.g. xpcnn.asarray(x, dtype='float32')"
        )
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
    """Refuse `x` unless it is a batch (N ≥ 1) with these axes after it; a name stands for any size ≥ 1."""
    fits = x.ndim == len(axes) + 1 and all(
        isinstance(axis, str) or axis == size for axis, size in zip(axes, x.shape[1:], strict=True)
    )
    if not fits:
        expected = "(" + ", ".join(["N", *map(str, axes)]) + ")"
        if len(axes) == 3 and x.ndim == 4 and x.shape[1] == axes[2]:
            remedy = "images are channels last: move axis 1 to the end"
        elif x.ndim == len(axes):
            remedy = "add the batch axis: x[None, ...]"
        elif isinstance(axes[-1], int) and x.ndim == len(axes) + 1:
            remedy = f"build the layer for {x.shape[-1]}, or convert the input"
        else:
            remedy = "reshape the input"
        raise ShapeError(who, f"input {expected}", str(tuple(x.shape)), remedy)
    if 0 in x.shape:
        raise ShapeError(who, "at least one item along every axis", str(tuple(x.shape)), "skip empty batches")


def check_gradient(who: str, dy: Array, shape: tuple[int, ...]) -> None:
    """Refuse a `dy` whose shape is not that of the forward pass's output."""
    if tuple(dy.shape) != tuple(shape):
        raise ShapeError(
            f"{who} backward",
            f"dy {tuple(shape)}, as forward's output",
            str(tuple(dy.shape)),
            "pass the cache of the same forward call",
        )


def pair(who: str, name: str, value: Pair, *, least: int = 1) -> tuple[int, int]:
    """(height, width) from one number for both or from two, each an integer of at least `least`."""
    both: Any = (value, value) if _is_int(value) else value
    if not (isinstance(both, (tuple, list)) and len(both) == 2 and all(_is_int(v) and v >= least for v in both)):
        raise OptionError(who, f"{name}: an integer ≥ {least} or a pair of them", repr(value))
    return int(both[0]), int(both[1])


def positive(who: str, name: str, value: int) -> int:
    """The value, once it is known to be an integer of at least one."""
    if not (_is_int(value) and value >= 1):
        raise OptionError(who, f"{name}: an integer ≥ 1", repr(value))
    return int(value)


def _is_int(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
