"""The calls of a network on the parts of a batch, and the memory they are made in.

A batch of N items is cut into parts whose sizes depend on N alone. Each goes through the whole network on one thread:
forward, and after the loss of the whole batch, backward. The gradients of the parts are added in their order. So the
results are the same, bit for bit, for any number of threads.

Where a step needs sums of the whole batch, as batch norm does, the threads wait for each other: the calls of a part are
cut into stretches there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ...typing import NDArray, Shape
from ..batch_last import batch_first, chunks
from ..memory import aligned, empty
from ..threads import PASS, parallel
from .memory import Use, of_changes, of_values
from .step import Call, PartStep, Scratch, SummingStep, Sums, Values

ITEMS, MOST = 32, 8  # in a part, about; parts of a batch
SUM = 1 << 16  # numbers of gradients in a unit of work

Stretches: TypeAlias = list[list[Call]]


@dataclass(frozen=True, eq=False)
class Entry:
    """A step of a network.

    Parameters
        reads, writes : numbers of values
        shapes, makes : (…, C) of an item of each, as the step takes them
        names : of its gradients in the network, by those in the layer
    """

    step: PartStep
    reads: tuple[int, ...]
    writes: int
    shapes: tuple[Shape, ...]
    makes: Shape
    names: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Wiring:
    """A network's steps in order; value 0 is its input, the last step's its output.

    Parameters
        reads, writes : shapes (…, C) of an item of the network's input and output
        gradients : their shapes, by their names in the network
    """

    entries: Sequence[Entry]
    reads: Shape
    writes: Shape
    gradients: Mapping[str, Shape]
    dtype: Any

    def sizes(self) -> list[int]:
        """The numbers of an item of each value."""
        made = {entry.writes: math.prod(entry.makes) for entry in self.entries} | {0: math.prod(self.reads)}
        return [made[value] for value in range(len(made))]

    def asked(self) -> list[bool]:
        """For each value, whether its gradient leads to one of a parameter."""
        found = {0: False}
        for entry in self.entries:
            found[entry.writes] = bool(entry.names) or any(found[value] for value in entry.reads)
        return [found[value] for value in range(len(found))]


class Parts:
    """The programs of the parts of N items, for one batch at a time.

    Parameters
        threads : that may run them
    """

    def __init__(self, wiring: Wiring, items: int, threads: int) -> None:
        self.wiring, self.items = wiring, items
        self.shape, self.like = (items, *wiring.writes), np.empty(0, wiring.dtype)  # of y
        self.cuts = chunks(items, -(-items // count(items)))
        self.slots = min(threads, len(self.cuts))  # thread t runs parts t, t + slots, …
        numbered = list(enumerate(wiring.entries))
        self.drawn = {i: np.empty((items, *entry.shapes[0]), bool) for i, entry in numbered if entry.step.draws}
        sizes = [cut.stop - cut.start for cut in self.cuts]
        self.sums: dict[int, Sums] = {
            i: entry.step.sums(entry.makes, sizes, wiring.dtype)
            for i, entry in numbered
            if isinstance(entry.step, SummingStep)
        }
        scratches = [Scratch() for _ in range(self.slots)]
        self.parts = [
            Part(
                wiring,
                number,
                cut.stop - cut.start,
                {i: each[cut] for i, each in self.drawn.items()},
                self.sums,
                scratches[number % self.slots],
            )
            for number, cut in enumerate(self.cuts)
        ]

    def forward(self, x: NDArray) -> NDArray:
        """y of the whole batch x, (N, …, C) each."""
        for i, keep in self.drawn.items():
            layer: Any = self.wiring.entries[i].step.layer
            np.greater_equal(layer.rng.random(keep.shape, dtype="float32"), layer.p, out=keep)
        y = batch_first(empty((*self.wiring.writes, self.items), self.wiring.dtype))
        self._each(
            [part.forward for part in self.parts],
            [each.after_forward for each in self.sums.values()],
            lambda p: np.copyto(batch_first(self.parts[p].x), x[self.cuts[p]]),
            lambda p: np.copyto(y[self.cuts[p]], batch_first(self.parts[p].y)),
        )
        for each in self.sums.values():
            each.move()
        return y

    def backward(self, dy: NDArray) -> dict[str, NDArray]:
        """The gradients of all parameters, of the batch that was the last in `forward`."""
        self._each(
            [part.backward for part in self.parts],
            [each.after_backward for each in reversed(self.sums.values())],
            lambda p: np.copyto(batch_first(self.parts[p].dy), dy[self.cuts[p]]),
        )
        first, *rest = (part.gradients for part in self.parts)
        total = empty(first.shape, first.dtype)

        def add(numbers: slice) -> None:
            out = total[numbers]
            np.copyto(out, first[numbers])
            for each in rest:
                np.add(out, each[numbers], out=out)

        parallel(add, chunks(total.size, SUM), PASS * total.size * len(self.parts))
        return named(total, self.wiring.gradients)

    def _each(
        self,
        stretches: list[Stretches],
        between: list[Call],
        first: Callable[[int], object],
        last: Callable[[int], object] = lambda p: None,
    ) -> None:
        """Run the stretches of each part, and what is between them once."""

        def work(number: int, slot: int) -> None:
            for p in range(slot, len(self.parts), self.slots):
                if number == 0:
                    first(p)
                for call in stretches[p][number]:
                    call()
                if number == len(between):
                    last(p)

        for number in range(len(between) + 1):
            parallel(partial(work, number), range(self.slots), math.inf)
            if number < len(between):
                between[number]()


class Part:
    """The calls for n items, with the memory of what is kept from forward to backward.

    Parameters
        number, n : of the part, and of its items
        drawn : random numbers of steps that draw, (n, …, C), by the numbers of these steps
        sums : of steps that need them, likewise
        scratch : of the thread that runs it
    """

    def __init__(
        self,
        wiring: Wiring,
        number: int,
        n: int,
        drawn: Mapping[int, NDArray],
        sums: Mapping[int, Sums],
        scratch: Scratch,
    ) -> None:
        self.number, self.n, self.drawn, self.sums = number, n, drawn, sums
        self.gradients = aligned((sum(map(math.prod, wiring.gradients.values())),), wiring.dtype)
        self._kept: dict[int, NDArray] = {}
        own = Scratch() if sums else scratch  # other parts run between its stretches
        for _ in range(2):  # the second time, the memory has its size
            self.forward, self.backward = self._bind(wiring, own, scratch)

    def _bind(self, wiring: Wiring, own: Scratch, scratch: Scratch) -> tuple[Stretches, Stretches]:
        n, dtype, sizes, asked = self.n, wiring.dtype, wiring.sizes(), wiring.asked()
        gradients = named(self.gradients, wiring.gradients)
        uses = [Use(entry.step, entry.reads, entry.writes) for entry in wiring.entries]
        holders, places = of_values(uses, len(sizes))
        changes, start = of_changes(uses, asked)

        def value(number: int, shape: Shape) -> NDArray:
            holder = holders[number]
            if holder in places:
                return own.array(f"place {places[holder]}", (*shape, n), dtype)
            if holder not in self._kept:
                self._kept[holder] = aligned((n * sizes[holder],), dtype)
            return self._kept[holder].reshape(*shape, n)

        def place(number: int, shape: Shape) -> NDArray:
            return own.array(f"place {number}", (*shape, n), dtype)

        forward: Stretches = [[]]
        backs: list[Stretches] = []  # of each step
        for i, (entry, change) in enumerate(zip(wiring.entries, reversed(changes), strict=True)):
            x, *more = map(value, entry.reads, entry.shapes)
            dx = None if change.dx[0] is None else place(change.dx[0], entry.shapes[0])
            bound = Values(
                x,
                value(entry.writes, entry.makes),
                place(change.dy, entry.makes),
                dx,
                {key: gradients[name] for key, name in entry.names.items()},
                self.drawn.get(i),
                self.sums.get(i),
                self.number,
                tuple(more),
            )
            before, after = list[Call](), list[Call]()
            if change.dy != change.given:
                before.append(partial(np.copyto, bound.dy, place(change.given, entry.makes)))
            for one, added, shape in zip(change.dx, change.added, entry.shapes, strict=True):
                if one is not None and added is not None:
                    other, to = (place(each, shape) for each in added)
                    after.append(partial(np.add, other, place(one, shape), to))
            if isinstance(entry.step, SummingStep):
                (there, then), (back, ending) = entry.step.halves(bound, scratch)
                forward[-1].append(there)
                forward.append([then])
                backs.append([[*before, back], [ending, *after]] if asked[entry.writes] else [[], []])
            else:
                there, back = entry.step.bind(bound, scratch)
                forward[-1].append(there)
                backs.append([[*before, back, *after] if asked[entry.writes] else []])
            if i == len(wiring.entries) - 1:
                self.y = bound.y.reshape(*wiring.writes, n)
        self.x = value(0, wiring.reads)
        self.dy = place(start, wiring.writes)
        backward: Stretches = [[]]
        for here, *later in reversed(backs):
            backward[-1].extend(here)
            backward.extend(later)
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
