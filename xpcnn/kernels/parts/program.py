"""The calls of a network on the parts of a batch, and the memory they are made in.

A batch of N items is cut into parts whose sizes depend on N alone. Each goes through the whole network on one thread:
forward, and after the loss of the whole batch, backward. The gradients of the parts are added in their order. So the
results are the same, bit for bit, for any number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...typing import NDArray, Shape
from ..batch_last import batch_first, chunks
from ..memory import aligned, empty
from ..threads import PASS, parallel
from .step import Call, PartStep, Scratch, Values

ITEMS, MOST = 32, 8  # in a part, about; parts of a batch
SUM = 1 << 16  # numbers of gradients in a unit of work


@dataclass(frozen=True, eq=False)
class Entry:
    """A step of a network.

    Parameters
        reads, writes : shapes (…, C) of an item of x and y; the step before writes as many numbers as this one reads
        names : of its gradients in the network, by those in the layer
    """

    step: PartStep
    reads: Shape
    writes: Shape
    names: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Chain:
    """A network's steps, one after the other.

    Parameters
        reads, writes : shapes (…, C) of an item of the network's input and output
        trained : the first step with gradients
        gradients : their shapes, by their names in the network
    """

    entries: Sequence[Entry]
    reads: Shape
    writes: Shape
    trained: int
    gradients: Mapping[str, Shape]
    dtype: Any


class Parts:
    """The programs of the parts of N items, for one batch at a time.

    Parameters
        threads : that may run them
    """

    def __init__(self, chain: Chain, items: int, threads: int) -> None:
        self.chain, self.items = chain, items
        self.shape, self.like = (items, *chain.writes), np.empty(0, chain.dtype)  # of y
        self.cuts = chunks(items, -(-items // count(items)))
        self.slots = min(threads, len(self.cuts))  # thread t runs parts t, t + slots, …
        self.drawn = {
            i: np.empty((items, *entry.reads), bool) for i, entry in enumerate(chain.entries) if entry.step.draws
        }
        scratches = [Scratch() for _ in range(self.slots)]
        self.parts = [
            Part(chain, items, {i: each[items] for i, each in self.drawn.items()}, scratches[p % self.slots])
            for p, items in enumerate(self.cuts)
        ]

    def forward(self, x: NDArray) -> NDArray:
        """y of the whole batch x, (N, …, C) each."""
        for i, keep in self.drawn.items():
            layer: Any = self.chain.entries[i].step.layer
            np.greater_equal(layer.rng.random(keep.shape, dtype="float32"), layer.p, out=keep)
        y = batch_first(empty((*self.chain.writes, self.items), self.chain.dtype))

        def run(p: int) -> None:
            part, items = self.parts[p], self.cuts[p]
            np.copyto(batch_first(part.x), x[items])
            for call in part.forward:
                call()
            np.copyto(y[items], batch_first(part.y))

        self._each(run)
        return y

    def backward(self, dy: NDArray) -> dict[str, NDArray]:
        """The gradients of all parameters, of the batch that was the last in `forward`."""

        def run(p: int) -> None:
            part = self.parts[p]
            np.copyto(batch_first(part.dy), dy[self.cuts[p]])
            for call in part.backward:
                call()

        self._each(run)
        first, *rest = (part.gradients for part in self.parts)
        total = empty(first.shape, first.dtype)

        def add(numbers: slice) -> None:
            out = total[numbers]
            np.copyto(out, first[numbers])
            for each in rest:
                np.add(out, each[numbers], out=out)

        parallel(add, chunks(total.size, SUM), PASS * total.size * len(self.parts))
        return named(total, self.chain.gradients)

    def _each(self, run: Any) -> None:
        def work(slot: int) -> None:
            for p in range(slot, len(self.parts), self.slots):
                run(p)

        parallel(work, range(self.slots), math.inf)


class Part:
    """The calls for n items, with the memory of what is kept from forward to backward.

    Parameters
        items : where they are in the batch
        drawn : random numbers of steps that draw, (n, …, C), by the numbers of these steps
        scratch : of the thread that runs it
    """

    def __init__(self, chain: Chain, items: slice, drawn: Mapping[int, NDArray], scratch: Scratch) -> None:
        self.n, self.drawn = items.stop - items.start, drawn
        self.gradients = aligned((sum(map(math.prod, chain.gradients.values())),), chain.dtype)
        self._kept: dict[int, NDArray] = {}
        for _ in range(2):  # the second time, the thread's memory has its size
            self.forward, self.backward = self._bind(chain, scratch)

    def _bind(self, chain: Chain, scratch: Scratch) -> tuple[list[Call], list[Call]]:
        entries, n, last = chain.entries, self.n, len(chain.entries)
        own = named(self.gradients, chain.gradients)
        sizes = [n * math.prod(shape) for shape in (entries[0].reads, *(entry.writes for entry in entries))]
        steps = [entry.step for entry in entries]
        held = holders(steps)
        kept = {held[value] for value in _kept(steps)}
        turns = {holder: turn % 2 for turn, holder in enumerate(dict.fromkeys(held))}
        values, changes = dict[int, NDArray](), dict[int, NDArray]()
        for i, holder in enumerate(held):
            if holder in values:
                values[i] = values[holder]
            elif i in kept:
                if i not in self._kept:
                    self._kept[i] = aligned((sizes[i],), chain.dtype)
                values[i] = self._kept[i]
            else:
                values[i] = scratch.array(f"value {turns[i]}", (sizes[i],), chain.dtype)
        changes[last] = aligned((sizes[last],), chain.dtype)
        turn = turns[held[last]]
        for i in reversed(range(last)):
            if entries[i].step.in_place:
                changes[i] = changes[i + 1]
            else:
                turn = 1 - turn  # so that ∂L/∂v is in the memory that v was in
                changes[i] = scratch.array(f"value {turn}", (sizes[i],), chain.dtype)
        forward: list[Call] = []
        backward: list[Call] = []
        for i, entry in enumerate(entries):
            x, y = values[i].reshape(*entry.reads, n), values[i + 1].reshape(*entry.writes, n)
            dy, dx = changes[i + 1].reshape(*entry.writes, n), changes[i].reshape(*entry.reads, n)
            grads = {key: own[name] for key, name in entry.names.items()}
            bound = Values(x, y, dy, dx if i > chain.trained else None, grads, self.drawn.get(i))
            there, back = entry.step.bind(bound, scratch)
            forward.append(there)
            if i >= chain.trained:
                backward.insert(0, back)
        self.x = values[0].reshape(*chain.reads, n)
        self.y, self.dy = (each[last].reshape(*chain.writes, n) for each in (values, changes))
        return forward, backward


def count(items: int) -> int:
    """The parts of that many items: two or more, so that two threads have work."""
    return max(2, min(MOST, items // ITEMS))


def named(flat: NDArray, shapes: Mapping[str, Shape]) -> dict[str, NDArray]:
    """Parts of an array, by name."""
    found, start = {}, 0
    for name, shape in shapes.items():
        found[name] = flat[start : start + math.prod(shape)].reshape(shape)
        start += math.prod(shape)
    return found


def holders(steps: Sequence[PartStep], training: bool = True) -> list[int]:
    """For each value the one in whose memory it is: its own, or that of what its step writes over."""
    found = [0]
    for i, step in enumerate(steps):
        over = step.in_place and not (training and i and steps[i - 1].keeps_output)
        found.append(found[i] if over else i + 1)
    return found


def _kept(steps: Sequence[PartStep]) -> set[int]:
    """The values that backward reads, and the network's input and output."""
    needed = {0, len(steps)}
    needed |= {i for i, step in enumerate(steps) if step.keeps_input}
    return needed | {i + 1 for i, step in enumerate(steps) if step.keeps_output}
