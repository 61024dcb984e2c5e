"""The list of calls that a network makes for one shape, and the memory it makes them in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ...typing import NDArray, Shape
from ..memory import aligned
from ..threads import one_blas_thread
from .buffer import NONE, Buffer, Margin
from .step import Call, PlanStep


class Entry(NamedTuple):
    """A step, and the numbers of the values that it reads and writes."""

    step: PlanStep
    reads: tuple[int, ...]
    writes: int


@dataclass
class Wiring:
    """A network's steps in order.

    Parameters
        shapes : of one item of each value, by the value's number
        inputs, outputs : numbers of values
    """

    entries: list[Entry]
    shapes: list[Shape]
    inputs: list[int]
    outputs: list[int]
    dtype: Any
    frozen: bool = False


class Program:
    """The calls for a batch of n items, with memory of its own: for one thread at a time."""

    def __init__(self, wiring: Wiring, n: int) -> None:
        held = _holders(wiring)  # the value in whose memory each value is
        margins: dict[int, Margin] = {}
        for step, reads, _ in wiring.entries:
            for value in reads:
                before = margins.get(held[value], NONE)
                margins[held[value]] = tuple(map(max, before, step.margin))  # type: ignore[assignment]
        buffers = {
            value: Buffer((n, *wiring.shapes[value]), wiring.dtype, margins.get(value, NONE)) for value in set(held)
        }
        memory = [buffers[value] for value in held]
        wanted = [step.workspace(memory[reads[0]].shape) for step, reads, _ in wiring.entries]
        sizes = [max((int(np.prod(each[i])) for each in wanted if i < len(each)), default=0) for i in range(3)]
        workspace = [aligned((size,), wiring.dtype) for size in sizes]
        self.calls: list[Call] = [
            step.bind([memory[value] for value in reads], memory[writes], workspace)
            for step, reads, writes in wiring.entries
        ]
        self.inputs = [memory[value] for value in wiring.inputs]
        self.outputs = [memory[value] for value in wiring.outputs]

    def run(self, arrays: Sequence[NDArray]) -> list[NDArray]:
        for buffer, array in zip(self.inputs, arrays, strict=True):
            buffer.fill(array)
        for call in self.calls:
            call()
        return [buffer.value() for buffer in self.outputs]


def _holders(wiring: Wiring) -> list[int]:
    """For each value, the value whose memory it is in: its own, or that of what its step writes over."""
    uses = Counter(value for entry in wiring.entries for value in entry.reads)
    uses.update(wiring.outputs)
    held = list(range(len(wiring.shapes)))
    for step, reads, writes in wiring.entries:
        if step.in_place and uses[reads[0]] == 1:
            held[writes] = held[reads[0]]
    return held


class Programs:
    """A network's programs: for each number of items, as many as there are threads that run one at the same time.

    A call says whether they are compiled.
    """

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self._idle: dict[tuple[int, bool], list[Any]] = {}
        self._many: list[Any] = []

    def __call__(self, arrays: Sequence[NDArray], compiled: bool) -> list[NDArray]:
        n = len(arrays[0])
        return self._run(self._idle.setdefault((n, compiled), []), partial(self._made, n, compiled), arrays)

    def of_many(self, arrays: Sequence[NDArray]) -> list[NDArray]:
        """The outputs of many items, in compiled blocks."""
        return self._run(self._many, partial(_compiled("compiled_blocks").CompiledBlocks, self.wiring), arrays)

    def takes_many(self, n: int, weights: int) -> bool:
        """Whether compiled blocks take n items, and need no more memory than one step after the other.

        Parameters
            weights : bytes of them; blocks have a copy in their order, and another one to see what changes
        """
        largest = sorted(map(math.prod, self.wiring.shapes))[-2:]  # values of an item, which live together
        return 2 * weights <= n * sum(largest) * np.dtype(self.wiring.dtype).itemsize and self._fits_blocks

    @cached_property
    def _fits_blocks(self) -> bool:
        return self._may_be_compiled() and bool(_compiled("compiled_blocks").takes(self.wiring))

    @staticmethod
    def _run(idle: list[Any], make: Callable[[], Any], arrays: Sequence[NDArray]) -> list[NDArray]:
        try:
            program = idle.pop()
        except IndexError:
            program = make()
        with one_blas_thread:
            outputs: list[NDArray] = program.run(arrays)
        idle.append(program)  # not after an error
        return outputs

    def _made(self, n: int, compiled: bool) -> Any:
        if not compiled or not self._may_be_compiled():
            return Program(self.wiring, n)
        return _compiled("compiled_program").CompiledProgram(self.wiring, n)

    def _may_be_compiled(self) -> bool:
        dtype = np.dtype(self.wiring.dtype)
        return dtype.char in "fd" and dtype.isnative


def _compiled(name: str) -> Any:
    return import_module(f"{__package__}.{name}")
