"""What reads operators: `READERS` has a function for each that is a layer, or moves a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ... import nn
from ...backend import asarray
from ...typing import NDArray
from .file import Node
from .graph_state import GraphState
from .value import Made, Value

Reader: TypeAlias = Callable[[Node, GraphState], Made | list[Made]]
Kind = TypeVar("Kind", bound=Callable[..., Any])  # a reader, or one that takes more
READERS: dict[str, Reader] = {}


def reads(*operators: str) -> Callable[[Kind], Kind]:
    def register(reader: Kind) -> Kind:
        READERS.update(dict.fromkeys(operators, reader))
        return reader

    return register


def give(layer: nn.Layer, node: Node, state: GraphState, **arrays: NDArray) -> nn.Layer:
    """The layer, with these weights for its own."""
    for name, array in arrays.items():
        own = getattr(layer, name)
        if own is None or tuple(own.shape) != array.shape:
            raise node.refuse(f"{name} {None if own is None else tuple(own.shape)}", str(array.shape))
        setattr(layer, name, asarray(np.array(array, state.dtype, order="C")))  # a copy: optimizers write into it
    return layer


def per_channel(array: NDArray, value: Value, node: Node) -> NDArray:
    """One number for each of the value's channels, from a constant that is broadcast along its other axes."""
    spread = value.spread(array)
    if spread is None or any(size > 1 for size in spread.shape[:-1]):
        got = f"a constant {array.shape} for items of sizes {value.sizes}"
        raise node.refuse(f"a number for each of {value.shape[-1]} channels", got)
    return np.broadcast_to(spread.reshape(-1), value.shape[-1:])


def plainly(number: float) -> float:
    """The decimal number that was meant: a file holds 0.1 as 0.10000000149."""
    return float(str(np.float32(number)))
