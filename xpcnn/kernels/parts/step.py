"""What training in parts asks of a layer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
        sums : of a step that needs sums of the batch, what its parts have in common
        number : of the part
        more : of a step that reads several values, those after x
        infers : whether nothing is kept for backward, which is not called
    """

    x: NDArray
    y: NDArray
    dy: NDArray
    dx: NDArray | None
    grads: Mapping[str, NDArray]
    drawn: NDArray | None = None
    sums: Any = None
    number: int = 0
    more: tuple[NDArray, ...] = ()
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
    in_place = False  # it writes y over x
    alters_dy = False  # it writes to dy, and dx over dy
    draws = False  # it drops numbers at random; the draw is that of the whole batch
    passes_dy = False  # dx, that of each value it reads, is dy

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    @abstractmethod
    def bind(self, values: Values, scratch: Scratch) -> tuple[Call, Call]:
        """The calls of forward and backward."""


class Sums(ABC):
    """What the parts of a batch have in common in a step that needs sums of the batch."""

    @abstractmethod
    def after_forward(self) -> None:
        """What is made of the sums of all parts."""

    @abstractmethod
    def after_backward(self) -> None:
        """What is made of the sums of all parts."""

    @abstractmethod
    def move(self) -> None:
        """What the layer keeps of them; no part fails after this."""


class SummingStep(PartStep):
    """A step whose calls have two halves; the second needs sums over the first of all parts."""

    @abstractmethod
    def sums(self, shape: Shape, sizes: Sequence[int], dtype: Any) -> Sums:
        """For parts of these sizes, and items of that shape."""

    @abstractmethod
    def halves(self, values: Values, scratch: Scratch) -> tuple[tuple[Call, Call], tuple[Call, Call]]:
        """The calls of forward and backward."""

    def bind(self, values: Values, scratch: Scratch) -> tuple[Call, Call]:
        raise NotImplementedError("`halves` has the calls")


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


class Adding(PartStep):
    """The step of the sum of two values."""

    in_place = True
    passes_dy = True

    def bind(self, values: Values, scratch: Scratch) -> tuple[Call, Call]:
        (other,) = values.more
        return partial(np.add, values.x, other, values.y), lambda: None
