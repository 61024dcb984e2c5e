"""A batch in a fixed number of shards that go through a network in step.

A batch of N items in S shards: shard s has the items that `cut` says, which depend on N and S alone. Each shard goes
through forward and backward by itself. Where a layer needs sums over the whole batch, as batch norm does, it calls
`current().gather(numbers)`: the shard waits there until each has come, and gets the numbers of all, in the order of the
shards. Where the shards run does not matter: all in one process, or each in another one. So the results are the same,
bit for bit.

In one process, one shard runs at a time, each in a thread of its own that gives way to the next when it waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from itertools import pairwise
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

import numpy as np

from .errors import OptionError
from .typing import NDArray

Result = TypeVar("Result")
Exchange: TypeAlias = Callable[[list[NDArray]], NDArray]  # the numbers (k,) of this process's shards → all (S, k)

_current: ContextVar[Shard | None] = ContextVar("xpcnn_shard", default=None)


def cut(items: int, shards: int) -> list[tuple[int, int]]:
    """Where each shard begins and ends; the first ones have one item more, and the last ones may have none.

    >>> cut(8, 3), cut(2, 3)
    ([(0, 3), (3, 6), (6, 8)], [(0, 1), (1, 2), (2, 2)])
    """
    size, more = divmod(items, shards)
    starts = [s * size + min(s, more) for s in range(shards + 1)]
    return list(pairwise(starts))


def current() -> Shard | None:
    """The shard that is on its way through a network in this thread; None if the batch is whole."""
    return _current.get()


class Shard:
    """One part of a batch.

    Parameters
        number : s, from 0 on
        items : how many it has; one without items runs on an item of another shard, which counts nothing
        batch : how many the batch has
        leads : whether it is the first of its process, which alone changes what the layers keep
    """

    def __init__(self, number: int, items: int, batch: int, leads: bool) -> None:
        self.number, self.items, self.batch, self.leads = number, items, batch, leads
        self.wait: Callable[[NDArray], NDArray] = lambda numbers: numbers[None]

    def gather(self, numbers: Any) -> NDArray:
        """The numbers of all shards, (k,) → (S, k), float64; every shard must call this equally often."""
        own = np.asarray(numbers, np.float64)
        return self.wait(own if self.items else np.zeros_like(own))

    def in_the_batch(self, count: int) -> int:
        """How many numbers the batch has, where this shard runs on that many."""
        return count * self.batch // max(self.items, 1)


def in_step(
    shards: Sequence[Shard],
    work: Callable[[Shard], Result],
    exchange: Exchange,
    turn: Callable[[Shard], None] = lambda shard: None,
) -> list[Result]:
    """work(shard) of each of this process's shards, in step.

    Parameters
        exchange : is given the numbers of these shards each time that all wait, and returns those of all processes
        turn : is called each time before a shard goes on
    Raises
        the error of the first shard that fails; the others then end where they wait
        OptionError : some shards have ended and others wait

    >>> shards = [Shard(s, 1, 3, s == 0) for s in range(3)]
    >>> in_step(shards, lambda shard: float(shard.gather([shard.number]).sum()), np.stack)
    [3.0, 3.0, 3.0]
    """
    walkers = [_Walker(shard, work) for shard in shards]
    answer = None
    try:
        while True:
            said = []
            for walker in walkers:
                turn(walker.shard)
                said.append(walker.go_on(answer))
            waiting = [each for each in said if isinstance(each, _Waits)]
            if not waiting:
                return [each.result for each in said]
            if len(waiting) < len(said):
                what = "sums over the batch in all shards or in none"
                raise OptionError("shards", what, f"in {len(waiting)} of {len(said)}", "a layer depends on its numbers")
            answer = exchange([each.numbers for each in waiting])
    finally:
        for walker in walkers:
            walker.stop()


class _Waits:
    def __init__(self, numbers: NDArray) -> None:
        self.numbers = numbers


class _Ended:
    def __init__(self, result: Any) -> None:
        self.result = result


class _Stop(BaseException):
    """Ends a shard that waits, when another has failed."""


class _Walker(threading.Thread):
    """A shard's way through the network; it walks only while `go_on` waits for it."""

    def __init__(self, shard: Shard, work: Callable[[Shard], Any]) -> None:
        super().__init__(name=f"xpcnn-shard-{shard.number}", daemon=True)
        self.shard, self.work, self.context = shard, work, copy_context()
        self.answers: SimpleQueue[Any] = SimpleQueue()
        self.said: SimpleQueue[Any] = SimpleQueue()
        shard.wait = self._wait
        self.start()

    def go_on(self, answer: NDArray | None) -> Any:
        """Let it walk until it waits or ends."""
        self.answers.put(answer)
        said = self.said.get()
        if isinstance(said, BaseException):
            raise said
        return said

    def stop(self) -> None:
        """End it, if it has not ended."""
        self.answers.put(_Stop)
        self.join()

    def run(self) -> None:
        try:
            if self.answers.get() is not _Stop:
                self.said.put(_Ended(self.context.run(self._walk)))
        except BaseException as error:
            self.said.put(error)

    def _walk(self) -> Any:
        _current.set(self.shard)
        return self.work(self.shard)

    def _wait(self, numbers: NDArray) -> NDArray:
        self.said.put(_Waits(numbers))
        answer: Any = self.answers.get()
        if answer is _Stop:
            raise _Stop
        told: NDArray = answer
        return told
