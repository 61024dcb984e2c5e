"""What training in parts asks of a layer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...typing import NDArray, Shape
from ..batch_last import batch_first
from ..memory import aligned

Call: TypeAlias = Callable[[], object]


class Values(NamedTuple):
    """The arrays of a step, (…, C, n) each; dx is None if nobody reads it.

    Parameters
        grads : where it writes the gradients of its parameters, by their names in the layer
        drawn : of a step that draws, which numbers are kept, (n, …, C)
        infers : whether nothing is kept for backward, which is not called
    """

    x: NDArray
    y: NDArray
    dy: NDArray
    dx: NDArray | None
    grads: Mapping[str, NDArray]
    drawn: NDArray | None = None
    infers: bool = False


class Scratch:
    """Memory of one thread, which its steps use one after the other."""

    def __init__(self) -> None:
        self._memory: dict[str, NDArray] = {}

    def array(self, name: str, shape: Shape, dtype: Any) -> NDArray:
        """An array in the memory of that name, which other steps use as well."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size > self._memory.setdefault(name, aligned((0,), np.uint8)).size:
            self._memory[name] = aligned((size,), np.uint8)
        array: NDArray = self._memory[name][:size].view(dtype).reshape(shape)
        return array


class PartStep(ABC):
    """One layer of a network that is trained in parts."""

    keeps_input = False  # its backward reads x
    keeps_output = False  # its backward reads y
    in_place = False  # it writes y over x, and dx over dy
    draws = False  # it drops numbers at random; the draw is that of the whole batch

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.relu = False  # it applies the ReLU after it, too

    def takes_relu(self, infers: bool) -> bool:
        """Whether it can apply the ReLU after it, in inference or in training."""
        return False

    @abstractmethod
    def bind(self, values: Values, scratch: Scratch) -> tuple[Call, Call]:
        """The calls of forward and backward."""


class AsItIs(PartStep):
    """The step of a layer that runs as it does on a whole batch."""

    keeps_input = True  # its cache may refer to it

    def bind(self, values: Values, scratch: Scratch) -> tuple[Call, Call]:
        x, y, dy, dx, own, *_ = values
        caches: list[Any] = [None]

        def infer() -> None:
            np.copyto(batch_first(y), self.layer(batch_first(x)))

        def forward() -> None:
            out, caches[0] = self.layer.forward(batch_first(x))
            np.copyto(batch_first(y), out)

        def backward() -> None:
            gradient, grads = self.layer.backward(batch_first(dy), caches[0], input_grad=dx is not None)
            for name, array in own.items():
                np.copyto(array, grads[name])
            if dx is not None:
                np.copyto(batch_first(dx), gradient)

        return infer if values.infers else forward, backward
