"""Inference of a large batch in parts: each goes through the whole network on one thread, in memory made once.

Items do not depend on each other, so a thread takes part after part. Parts have the same sizes for any number of
threads, and so have the products: the results are the same, bit for bit.
"""

from __future__ import annotations

import math

import numpy as np

from ...typing import NDArray, Shape
from ..batch_last import batch_first, chunks
from ..memory import empty
from ..threads import parallel
from .program import Chain, holders
from .step import Call, Scratch, Values

ITEMS = 64  # in a part, at most


class Inference:
    """A network's inference. Several threads may call it."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._idle: dict[int, list[Part]] = {}

    def __call__(self, x: NDArray) -> NDArray:
        """y of the whole batch x, (N, …, C) each."""
        items = len(x)
        y = batch_first(empty((*self.chain.writes, items), self.chain.dtype))
        cuts = chunks(items, min(ITEMS, -(-items // 2)))

        def work(cut: slice) -> None:
            n = cut.stop - cut.start
            idle = self._idle.setdefault(n, [])
            try:
                part = idle.pop()
            except IndexError:
                part = Part(self.chain, n)
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

    def __init__(self, chain: Chain, n: int) -> None:
        self.n, scratch = n, Scratch()
        for _ in range(2):  # the second time, the memory has its size
            self.calls = self._bind(chain, scratch)

    def _bind(self, chain: Chain, scratch: Scratch) -> list[Call]:
        n, held = self.n, holders([entry.step for entry in chain.entries], training=False)
        places = {value: place % 2 for place, value in enumerate(dict.fromkeys(held))}  # x and y of a step differ
        calls = []

        def value(number: int, shape: Shape) -> NDArray:
            return scratch.array(f"value {places[held[number]]}", (*shape, n), chain.dtype)

        for i, entry in enumerate(chain.entries):
            x, y = value(i, entry.reads), value(i + 1, entry.writes)
            calls.append(entry.step.bind(Values(x, y, y, None, {}, infers=True), scratch)[0])
        self.x, self.y = value(0, chain.reads), value(len(chain.entries), chain.writes)
        return calls
