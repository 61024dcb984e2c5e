"""Inference of a large batch in parts: each goes through the whole network on one thread, in memory made once.

Items do not depend on each other, so a thread takes part after part. Parts have the same sizes for any number of
threads, and so have the products: the results are the same, bit for bit.
"""

from __future__ import annotations

import math

import numpy as np

from ...typing import NDArray
from ..batch_last import batch_first, chunks
from ..memory import empty
from ..threads import parallel
from .memory import Use, of_values
from .program import Wiring
from .step import Call, Scratch, Values

ITEMS = 64  # in a part, at most


class Inference:
    """A network's inference. Several threads may call it."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self._idle: dict[int, list[Part]] = {}

    def __call__(self, x: NDArray) -> NDArray:
        """y of the whole batch x, (N, …, C) each."""
        items = len(x)
        y = batch_first(empty((*self.wiring.writes, items), self.wiring.dtype))
        cuts = chunks(items, min(ITEMS, -(-items // 2)))

        def work(cut: slice) -> None:
            n = cut.stop - cut.start
            idle = self._idle.setdefault(n, [])
            try:
                part = idle.pop()
            except IndexError:
                part = Part(self.wiring, n)
            np.copyto(batch_first(part.x), x[cut])
            for call in part.calls:
                call()
            np.copyto(y[cut], batch_first(part.y))
            idle.append(part)  # not after an error

        parallel(work, cuts, math.inf)
        for n in set(tuple(self._idle)) - {cut.stop - cut.start for cut in cuts}:  # of other batches
            self._idle.pop(n, None)
        return y


class Part:
    """The calls for n items."""

    def __init__(self, wiring: Wiring, n: int) -> None:
        self.n, scratch = n, Scratch()
        for _ in range(2):  # the second time, the memory has its size
            self.calls = self._bind(wiring, scratch)

    def _bind(self, wiring: Wiring, scratch: Scratch) -> list[Call]:
        n, entries = self.n, wiring.entries
        uses = [Use(entry.step, entry.reads, entry.writes) for entry in entries]
        holders, places = of_values(uses, len(entries) + 1, training=False)

        def value(number: int, shape: tuple[int, ...]) -> NDArray:
            return scratch.array(f"place {places[holders[number]]}", (*shape, n), wiring.dtype)

        calls = []
        for entry in entries:
            x, *more = map(value, entry.reads, entry.shapes)
            y = value(entry.writes, entry.makes)
            calls.append(entry.step.bind(Values(x, y, y, None, {}, more=tuple(more), infers=True), scratch)[0])
        self.x, self.y = value(0, wiring.reads), value(entries[-1].writes, wiring.writes)
        return calls
